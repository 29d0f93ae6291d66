"""The questions that describe one picture, and what becomes of the answers.

A picture gets a dense caption, a sparse list of what is seen, and planned aspects: one caption for each aspect of a
plan, scored by the encoder as words for this picture, of which the best two are kept. Together they cover more than
one question asked several times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval import prompts
from mmretrieval.asks import Failed, Generate, Reply, Text
from mmretrieval.caption_text import caption_of, is_refusal, items_of
from mmretrieval.features import Feature, State

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT_ASPECTS = 2
LONG = 25  # words; each one more costs PER_WORD of the cosine, since towers of texts read no further than about that
PER_WORD = 0.002

Score = Callable[[Sequence[str]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Question:
    """One ask about a picture; `aspect` is empty but for aspects."""

    kind: str
    ask: Generate
    aspect: str = ""


def questions(image: Image, kinds: Sequence[str], *, compact: bool) -> list[Question]:
    """What is asked of a picture; a small model only gets those aspects that it has a short question for."""
    asked = []
    for kind in kinds:
        if kind == "caption":
            asked.append(Question(kind, prompts.caption(image)))
        elif kind == "ingredients":
            asked.append(Question(kind, prompts.ingredients(image)))
        else:
            names = prompts.COMPACT_ASPECTS if compact else prompts.ASPECTS
            asked += [Question(kind, prompts.aspect(image, name), name) for name in names]
    return asked


def described(answers: Sequence[tuple[Question, Reply]], origins: Mapping[str, str], score: Score) -> list[Feature]:
    """One feature for each kind that was asked for; `score` says how well texts fit this picture, larger is better.

    A kind of which an ask never reached a model is left out, so that it is asked next time.
    """
    kinds = list(dict.fromkeys(question.kind for question, _ in answers))
    own = {kind: [(q, reply) for q, reply in answers if q.kind == kind] for kind in kinds}
    return [
        _aspects(own[kind], origins[kind], score)
        if kind == "aspects"
        else _single(kind, own[kind][0][1], origins[kind])
        for kind in kinds
        if all(was_asked(reply) for _, reply in own[kind])
    ]


def was_asked(reply: Reply) -> bool:
    """Whether a model was asked, or a cache knew the answer; a spent budget is no answer."""
    return not (isinstance(reply, Failed) and not reply.asked)


def _single(kind: str, reply: Reply, origin: str) -> Feature:
    text, state, reason = _read(kind, reply)
    return Feature(kind, text, state, reason, origin)


def _read(kind: str, reply: Reply) -> tuple[str, State, str]:
    """Text, state and reason."""
    if not isinstance(reply, Text):
        return "", "failed", reply.reason if isinstance(reply, Failed) else "the model gave no text"
    if is_refusal(reply.text):
        return "", "refused", f"it said: {caption_of(reply.text)[:80]}"
    items = items_of(reply.text) if kind == "ingredients" else ()
    if reply.cut and len(items) > 1:
        items = items[:-1]  # the last one may be half a word
    text = ", ".join(items) if kind == "ingredients" else caption_of(reply.text)
    if not text:
        return "", "refused", "it said nothing that could be used"
    return (text, "cut", "the answer was longer than asked for") if reply.cut else (text, "ok", "")


def _aspects(answers: Sequence[tuple[Question, Reply]], origin: str, score: Score) -> Feature:
    """The best aspects as one text; all of them, with their scores, are in the details."""
    read = {question.aspect: _read("aspects", reply) for question, reply in answers}
    said = {name: text for name, (text, _, _) in read.items() if text and text.casefold().strip(" .") != "none"}
    if not said:
        states = [state for _, state, _ in read.values()]
        reason = next((reason for _, _, reason in read.values() if reason), "no aspect has anything to say")
        return Feature("aspects", "", "failed" if "failed" in states else "refused", reason, origin)
    cosines = dict(zip(said, score(list(said.values())), strict=True))
    worth = {name: cosine - PER_WORD * max(len(said[name].split()) - LONG, 0) for name, cosine in cosines.items()}
    kept = sorted(sorted(said, key=lambda name: -worth[name])[:KEPT_ASPECTS], key=list(said).index)
    lost = sum(state == "failed" for _, state, _ in read.values())
    details = {
        name: {"text": text, "score": round(worth[name], 6), "kept": name in kept} for name, text in said.items()
    }
    reason = f"{lost} of {len(read)} aspects failed" if lost else ""
    text = " ".join(f"{said[name].rstrip(' .')}." for name in kept)
    return Feature("aspects", text, "cut" if lost else "ok", reason, origin, details=details)
