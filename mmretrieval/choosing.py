"""One option out of an answer in words, and numbers that stand beside names: what `parsing` reads besides orders."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_KEY = re.compile(
    r"(?:final_?|best_?|my_?)?(?:answer|choice|choose|chosen|best|pick|picked|label|option|picture|image|index|id|selected|"
    r"verdict|output|number)",
    re.IGNORECASE,
)
_GRADE_KEYS = ("grade", "score", "rating", "relevance", "value")
_NAME_KEYS = ("id", "image", "picture", "label", "index", "candidate", "number")
_NOUN = r"(?:output|answer|option|choice|caption|picture|image|photo|number|label|candidate|passage|id)"
_BARE = re.compile(rf"\W*(?:(?:{_NOUN}|final|the|my|correct|best|one|is)\b\W*)*(?P<rest>\w.*?)?\W*", re.IGNORECASE)
_LONGEST_BARE = 80
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")
_REFUSED = re.compile(
    r"\b(?:not|neither|nor|none|cannot|incorrect|wrong|unable|both|inaccurate|no)\b|n't\b", re.IGNORECASE
)
_ALL_REFUSED = re.compile(
    r"\b(?:neither|none of|both\b.{0,60}\b(?:incorrect|wrong))\b|sorry|cannot|can't", re.IGNORECASE
)
_SETTLED = re.compile(
    r"\b(?:answer|choose|chose|choice|pick|select|output|best|better|correct|closest|would be|more accurate|final)\b",
    re.IGNORECASE,
)
# "no, it is not" and "no there is none" answer, "no idea" and "no one knows" do not
_WORD_ENDS = r"(?=\s*(?:[^\w\s]|$)|\s+(?:it|there|the|this|that|these|those|because|since|as)\b)"
_NUMBER = r"[-+]?\d{1,9}(?:\.\d{1,9})?"
_ARROWS = r"(?:[=:–>|\s*\"'`]|-(?=[>\s-])){1,8}"


def is_choice_key(key: object) -> bool:
    """Whether a field of this name would hold a choice."""
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def bare(text: str) -> str:
    """A short answer without what stands around its one word: "Output (1)." is "1"; a long one has nothing bare."""
    if len(text) > _LONGEST_BARE:
        return ""
    found = _BARE.fullmatch(text.replace("\n", " "))
    return (found["rest"] or "").casefold() if found else ""


def settled(text: str, names: Sequence[str]) -> str | None:
    """The one name that a longer answer chooses, in any sentence that names it alone and does not refuse it."""
    beginning, marked = _marks(names)
    sure: set[str] = set()
    named: set[str] = set()
    for sentence in _SENTENCE.split(text):
        first = beginning.match(sentence)
        told = {found["name"].casefold() for found in marked.finditer(sentence)}
        told |= {first["name"].casefold()} if first else set()
        if len(told) != 1 or (_REFUSED.search(sentence, first.end() if first else 0) and not _is_word(first)):
            continue
        (sure if first or _SETTLED.search(sentence) else named).update(told)
    if len(sure) == 1:
        return next(iter(sure))
    return next(iter(named)) if not sure and len(named) == 1 and not _ALL_REFUSED.search(text) else None


def _is_word(first: re.Match[str] | None) -> bool:
    """Whether a sentence began with a whole word, as in "no, there is none", which settles it."""
    return first is not None and len(first["name"]) > 1 and first["name"].isalpha()


def _marks(names: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A sentence that begins with a name; and a name that brackets or a noun mark as one."""
    name = "(?P<name>" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + ")"
    is_worded = all(len(each) > 1 and each.isalpha() for each in names)
    after = _WORD_ENDS if is_worded else r"(?:\s?[\])]|[.:,](?!\w)|$)"
    first = rf"[\s*\"'`]*(?:{_NOUN}\s{{0,2}}:?\s{{0,2}})?[\[(]?\s?{name}{after}"
    if is_worded:  # a word needs no mark to be named: "yes or no" chooses nothing
        return re.compile(first, re.IGNORECASE), re.compile(rf"\b{name}\b", re.IGNORECASE)
    marked = rf"(?:[\[(]\s?|\b{_NOUN}\s{{0,2}}(?:is|:)?\s{{0,2}}[\[(#]?){name}(?!\w|\.\d)"
    return re.compile(first, re.IGNORECASE), re.compile(marked, re.IGNORECASE)


def pairs_in(value: Any) -> Iterator[tuple[str, float]]:
    """Names and numbers in an object: {"grades": {…}}, {"1": 7}, or an array of {"id": "1", "grade": 7}."""
    if isinstance(value, list):
        for each in value:
            yield from _pair_of(each)
    elif isinstance(value, Mapping):
        inner = [each for each in value.values() if isinstance(each, Mapping | list)]
        if inner and not any(_number(each) is not None for each in value.values()):
            for each in inner:
                yield from pairs_in(each)
        else:
            for key, held in value.items():
                yield _name(str(key)), _or_nan(held)


def _pair_of(each: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(each, Mapping):
        return
    names = [each[key] for key in _NAME_KEYS if isinstance(each.get(key), str | int)]
    held = [each[key] for key in _GRADE_KEYS if key in each]
    if names and held:
        yield _name(str(names[0])), _or_nan(held[0])


def pairs_by_line(text: str, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Names and numbers of lines, or of parts between commas, such as "picture 1: 7/10" and "[2] = 3.5"."""
    name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    if not name:
        return
    entry = re.compile(
        rf"[\s*#-]{{0,8}}(?:{_NOUN}\s{{0,2}})?[\[(\"'#]?\s?(?P<name>{name})\s?[\])\"']?{_ARROWS}"
        rf"(?:(?:grade|score)\W{{0,3}})?(?P<grade>{_NUMBER})(?:\s?/\s?\d{{1,3}})?(?![\w/])",
        re.IGNORECASE,
    )
    for piece in re.split(r"[\n,;]", text):
        found = entry.match(piece)
        if found:
            yield found["name"].casefold(), float(found["grade"])


def _name(text: str) -> str:
    found = re.fullmatch(rf"\s*(?:{_NOUN}[\s_]*)?[\[(#]?\s*(.{{1,60}}?)\s*[\])]?\s*", text[:80], re.IGNORECASE)
    return (found[1] if found else text).casefold()


def _or_nan(held: Any) -> float:
    number = _number(held)
    return math.nan if number is None else number


def _number(held: Any) -> float | None:
    """A grade as JSON holds it: a number, "7", "7/10", or an object with a grade in it."""
    if isinstance(held, bool):
        return None
    if isinstance(held, int | float):
        return float(held) if abs(held) < 1e9 else None
    if isinstance(held, str):
        found = re.fullmatch(rf"\s*({_NUMBER})(?:\s*/\s*\d{{1,3}})?\s*", held[:40])
        return float(found[1]) if found else None
    if isinstance(held, Mapping):
        return next((_number(held[key]) for key in _GRADE_KEYS if key in held), None)
    return None
