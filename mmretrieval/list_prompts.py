"""The words of questions about several pictures at once: a marked sheet, or labelled pictures one after the other.

What is sought comes first, the pictures next, and what to do with them last. Reasoning stands before the ranking in
every schema: an order that is written first can only be defended afterwards. The short forms are those of `prompts`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from mmretrieval.asks import Generate, ScoreChoices
from mmretrieval.prompts import LABEL, compact_grid, compact_list, labelled, labels, said
from mmretrieval.untrusted import clean

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.asks import Part

VERDICTS = ("excellent", "good", "partial", "poor")
_ANSWERED = re.compile(r"\?\s*\w")  # a question, and what was answered

_RANKING: Mapping[str, Any] = MappingProxyType({"type": "array", "items": {"type": "integer"}})
_NAMES: Mapping[str, Any] = MappingProxyType({"type": "array", "items": {"type": "string"}})
_CRITERIA = (
    "A picture that has everything asked for comes before one that lacks a part of it, and the main thing counts more "
    "than its surroundings."
)
_CHANGE_CRITERIA = (
    "First comes whether the change is there, then whether the rest of the reference picture is kept: a picture with "
    "the whole change and another setting comes before one with the right setting and no change."
)


class Sought(Protocol):
    """What a query asks for, as `rerankers._asked` finds it out."""

    @property
    def words(self) -> str: ...

    @property
    def change(self) -> str: ...

    @property
    def reference(self) -> Image | None: ...

    @property
    def avoided(self) -> tuple[str, ...]: ...

    @property
    def said(self) -> str: ...


def order_of_sheet(sheet: Image, marks: Sequence[str], sought: Sought) -> Generate:
    """All cells of a marked sheet in order, best first; a reference picture is shown beside it."""
    shown = (*wanted(sought), f"Sheet with {len(marks)} candidates, each below its {_kind(marks)}:", sheet)
    return Generate(
        (*shown, f"{_judged(sought)} {_as_json(marks)}"),
        _room(len(marks)),
        _schema(_ranking(marks)),
        compact=compact_grid(sheet, sought.said),
    )


def best_of_sheet(sheet: Image, marks: Sequence[str], sought: Sought) -> ScoreChoices:
    """Which cell of a marked sheet fits best: one log-probability for each mark."""
    shown = (*wanted(sought), f"Sheet with {len(marks)} candidates, each below its {_kind(marks)}:", sheet)
    question = f"Which candidate fits best? {_criteria(sought)} Answer with its {_kind(marks)} alone."
    return ScoreChoices((*shown, question), tuple(marks), compact=compact_grid(sheet, sought.said))


def order_of_list(images: Sequence[Image], sought: Sought, hints: Sequence[str] = ()) -> Generate:
    """All labels in order, best first, as "[3] > [1] > [2]"."""
    told = f"{_judged(sought)} Answer with all {len(images)} labels in brackets, best first, as in [3] > [1] > [2]."
    parts = (*wanted(sought), *_hinted(images, hints), told)
    return Generate(parts, _room(len(images)), compact=compact_list(images, sought.said))


def best_of_list(
    images: Sequence[Image], sought: Sought, marks: Sequence[str] = (), prefill: str = "", hints: Sequence[str] = ()
) -> ScoreChoices:
    """Which of several pictures fits best: one log-probability for each mark, "1" to "n" unless others are given.

    Small models know numbers only, so there is a short form for those alone.
    """
    names = tuple(marks) or labels(len(images))
    shown = (*wanted(sought), *_hinted(images, hints, names))
    how = f"{_kind(names)} {'in brackets' if prefill else 'alone'}"
    question = f"Which picture fits best? {_criteria(sought)} Answer with its {how}."
    short = compact_list(images, sought.said) if names == labels(len(images)) else ()
    return ScoreChoices((*shown, question), names, prefill, compact=short)


def grades_of_list(
    images: Sequence[Image], sought: Sought, marks: Sequence[str], hints: Sequence[str] = ()
) -> Generate:
    """A grade from 0 to 10 for each of several pictures, as JSON."""
    told = (
        "Compare the pictures with each other and grade each one from 0 (nothing fits) to 10 (every detail fits), the "
        f"better one higher. {_criteria(sought)} Answer with JSON alone, a whole number for each picture, as in "
        '{"grades": {' + ", ".join(f'"{mark}": {grade}' for mark, grade in zip(marks, (7, 0, 4), strict=False)) + "}}."
    )
    grade = {"type": "integer", "minimum": 0, "maximum": 10}
    schema = _schema({"grades": _schema({mark: dict(grade) for mark in marks})})
    return Generate((*wanted(sought), *_hinted(images, hints, marks), told), 32 + 10 * len(images), schema)


def reasoned_list(images: Sequence[Image], sought: Sought) -> Generate:
    """What is sought taken apart, each picture judged by it, then all labels in order: JSON in that order."""
    count = len(images)
    steps = (
        f"Work in three steps. 1. {_taking_apart(sought)} 2. Look at each of the {count} pictures in turn: which "
        f"requirements it meets, which it misses, and a verdict out of {', '.join(VERDICTS)}. 3. Compare all verdicts "
        f"and order all {count} pictures, best first, without ties. {_criteria(sought)} Answer with one JSON object, "
        'its fields in this order: {"requirements": ["..."], "evaluations": [{"picture": 1, "met": ["..."], "missing": '
        '["..."], "verdict": "..."}], "ranking": [all numbers from 1 to ' + f"{count}, each once, best first]}}."
    )
    verdict = {
        "picture": {"type": "integer"},
        "met": dict(_NAMES),
        "missing": dict(_NAMES),
        "verdict": {"enum": [*VERDICTS]},
    }
    fields = {"requirements": dict(_NAMES), "evaluations": {"type": "array", "items": _schema(verdict)}}
    return Generate(
        (*wanted(sought), *labelled(images), steps),
        200 + 80 * count,
        _schema({**fields, "ranking": dict(_RANKING)}),
        compact=compact_list(images, sought.said),
    )


def direct_list(images: Sequence[Image], sought: Sought) -> Generate:
    """All labels in order as JSON, without a word of reasoning."""
    marks = labels(len(images))
    return Generate(
        (*wanted(sought), *labelled(images), f"{_judged(sought)} {_as_json(marks)}"),
        _room(len(images)),
        _schema(_ranking(marks)),
        compact=compact_list(images, sought.said),
    )


def wanted(sought: Sought) -> tuple[Part, ...]:
    """What is looked for; a reference picture stands right behind its label."""
    shown: tuple[Part, ...] = () if sought.reference is None else ("reference picture:", sought.reference)
    told = [_told(sought)]
    if sought.avoided:
        told.append("It must not show " + " or ".join(f'"{said(words)}"' for words in sought.avoided) + ".")
    return (*shown, " ".join(told))


def is_dialogue(words: str) -> bool:
    """Whether the words hold a question and its answer, as a conversation about a picture does."""
    return _ANSWERED.search(words) is not None


def _told(sought: Sought) -> str:
    words = said(sought.words)
    if sought.change:
        there = "the reference picture" if sought.reference is not None else "a picture that you are not shown,"
        inside = f' In words, that is: "{words}".' if words else ""
        return (
            f'Sought is {there} after this change: "{said(sought.change)}". What the change leaves as it is must still '
            f"fit.{inside}"
        )
    if sought.reference is not None:
        return "Sought are pictures that show what the reference picture shows." + (
            f' It is: "{words}".' if words else ""
        )
    if is_dialogue(words):
        return (
            f'Sought is the one picture that this conversation is about: "{words}". It begins with a description; each '
            "question with its answer adds to that, and a later answer corrects earlier words."
        )
    return f'Sought is a picture that shows "{words}".'


def _taking_apart(sought: Sought) -> str:
    if sought.change:
        return (
            "Split the change into single modifications, and say what of the reference picture has to stay: these are "
            "the requirements."
        )
    whole = "the conversation" if is_dialogue(sought.words) else "what is sought"
    return (
        f"Take {whole} apart into single requirements: the main subject, what it does, details such as number, colour "
        "and place, the surroundings, the mood. Name nothing that is not asked for."
    )


def _criteria(sought: Sought) -> str:
    return _CHANGE_CRITERIA if sought.change else _CRITERIA


def _judged(sought: Sought) -> str:
    return f"Judge all candidates together. {_criteria(sought)}"


def _kind(marks: Sequence[str]) -> str:
    return "number" if marks and marks[0].isdigit() else "letter"


def _as_json(marks: Sequence[str]) -> str:
    kind, last = _kind(marks), marks[-1] if marks else "1"
    shown = "3, 1, 2" if kind == "number" else '"C", "A", "B"'
    return (
        f"Answer with JSON alone: the {kind}s of all candidates up to {last}, each once, best first, as in "
        f'{{"ranking": [{shown}]}}.'
    )


def _ranking(marks: Sequence[str]) -> dict[str, Any]:
    numbers = _kind(marks) == "number"
    return {"ranking": dict(_RANKING) if numbers else {"type": "array", "items": {"enum": list(marks)}}}


def _schema(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }


def _hinted(images: Sequence[Image], hints: Sequence[str], marks: Sequence[str] = ()) -> tuple[Part, ...]:
    """The pictures behind their marks, "1" to "n" unless others are given, each followed by what is said of it."""
    names = tuple(marks) or labels(len(images))
    told = [clean(hint) for hint in hints] or [""] * len(images)
    return tuple(
        part
        for name, image, hint in zip(names, images, told, strict=True)
        for part in (LABEL.format(name), image, hint)
        if part != ""
    )


def _room(count: int) -> int:
    return 32 + 6 * count  # about six tokens for a label and its sign, and some for what is said before
