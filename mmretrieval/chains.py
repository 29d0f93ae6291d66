"""Orders as models write them in words: [3] > [1] > [2], or 3, 1, 2 on a line of its own, or a numbered list.

Numbers that merely stand in prose are no order: a chain needs its signs, or a line to itself, or a word such as
"ranking:" before it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

_WORD = r"(?:image|picture|photo|passage|candidate|option|label|number|no\.?|#)"
_GAP = re.compile(r"[\s\"'*`_]*(?P<sign>->|=>|>>|[>→≻»,;|=])?[\s\"'*`_]*")
_LONGEST_GAP = 24
_NUMBERING = re.compile(r"[.:)][\s*]{1,4}")
_CUE = re.compile(
    r"[\s*#\"'`>-]*(?:(?:the|my|final|best|first|to|worst|is|best-first|ranked|overall|descending|ranking|rank|ranks|order|"
    r"ordering|answer|result|permutation|therefore|so|thus|relevance|of|by|list)\b[\s*,()-]*)*[:=]?[\s*\"'`>(\[-]*(?:\d{1,6}[.):]\s*)?",
    re.IGNORECASE,
)
_AFTER = re.compile(r"[\s.!*\"'`)\];,>-]*")
_CUT = re.compile(r"[\s\"'*`]*(?:->|[>→≻,])\s*[\[(]?\s*")
_LINE = re.compile(
    rf"[ \t]*(?:[-*]\s?)?\**(\d{{1,6}})[.):][ \t*]{{0,4}}((?:{_WORD}\s{{0,3}})?[\[(#]?\s?\w{{1,8}}[\])]?)",
    re.IGNORECASE,
)
_VALUE = re.compile(rf"\s*[\"']?(?:{_WORD}\s*)?[\[(#]?\s*(\w{{1,8}})(?:\.0+)?\s*[\])]?[\"']?\s*", re.IGNORECASE)
_ORDER_KEY = re.compile(
    r"(?:final_?)?(?:ranking|ranked|ranks?|order|ordering|permutation|sorted|indices|ids|labels|images|pictures|"
    r"candidates|results?|answer|top(?:_?(?:\d+|k))?)(?:_(?:list|order|ids|indices|images|labels))?",
    re.IGNORECASE,
)
_OPEN_STRING = re.compile(r"[\"'](\w{1,40})[\"']\s{0,9}:\s{0,9}[\"']\Z")
_OPEN_ARRAY = re.compile(r"[\"'](\w{1,40})[\"']\s{0,9}:\s{0,9}\Z")


@dataclass(frozen=True, slots=True)
class Names:
    """What the things are called in the text: numbers from 1, or labels."""

    place_of: Mapping[str, int]
    is_numbered: bool

    def __len__(self) -> int:
        return len(self.place_of)


@dataclass(frozen=True, slots=True)
class Found:
    """Places in the order they were named, repeated ones too; how many names meant nothing; and how it was written."""

    places: tuple[int, ...]
    strange: int = 0
    is_loose: bool = False
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class _Item:
    """One name in the text; `is_marked` when brackets or a word such as "image" make it one."""

    start: int
    end: int
    name: str
    is_marked: bool
    is_open: bool = False  # its bracket was never closed
    is_closed_alone: bool = False  # a bracket closes that was never opened


def names_of(count: int, labels: Sequence[str]) -> Names:
    """The names of `count` things: `labels` in any case, or the numbers from 1 on."""
    told = labels or [str(number) for number in range(1, count + 1)]
    return Names({label.casefold(): place for place, label in enumerate(told)}, not labels)


def is_order_key(key: object) -> bool:
    """Whether a field of this name would hold an order."""
    return isinstance(key, str) and _ORDER_KEY.fullmatch(key) is not None


def listed(values: Sequence[Any], names: Names) -> Found:
    """The order of an array: numbers, "2", "Image 4", "(3)", or objects that name their thing."""
    return _resolved([_named(value) for value in values], names)


def chain(text: str, names: Names, *, is_alone: bool = False) -> Found | None:
    """The order that a text writes out, the fullest one and of these the last; None where it writes none.

    `is_alone` says that the text is known to be an order and nothing else.
    """
    items = _items(text, names)
    best: Found | None = None
    for run, signs in _runs(text, items):
        is_cut = run[-1].is_open and run[-1].end == len(text)
        kept = run[:-1] if is_cut else run
        found = _resolved([item.name for item in kept], names)
        if (
            found.strange > 2 * len(found.places)
            or not found.places
            or not (is_alone or _is_order(text, kept or run, signs, len(names)))
        ):
            continue
        is_cut = is_cut or bool(_CUT.fullmatch(text, run[-1].end))
        is_loose = found.is_loose or len({(item.is_marked, item.is_closed_alone) for item in kept}) > 1
        found = replace(found, is_broken=is_cut, is_loose=is_loose)
        if best is None or len(set(found.places)) >= len(set(best.places)):
            best = found
    lines = _numbered_lines(text, names)
    return lines if lines and (best is None or len(set(lines.places)) > len(set(best.places))) else best


def broken_off(text: str, names: Names) -> Found | None:
    """What can be had of a JSON answer that ends in the middle of its order."""
    at = max(text.rfind("["), text.rfind('"'))
    if at < 0:
        return None
    head, tail = text[: at + 1][-100:], text[at + 1 :]
    if text[at] == '"':
        key = _OPEN_STRING.search(head)
        found = chain(tail, names, is_alone=True) if key and is_order_key(key[1]) else None
        return replace(found, is_broken=True) if found else None
    key = _OPEN_ARRAY.search(head[:-1])
    if "]" in tail or not ((key and is_order_key(key[1])) or tail.count(",") > 1):
        return None
    whole = tail.split(",")[:-1]  # the last number may be the beginning of a longer one
    found = _resolved([_named(piece.strip()) for piece in whole], names)
    return replace(found, is_broken=True) if found.places else None


def _resolved(told: Sequence[str | None], names: Names) -> Found:
    numbers = {name for name in told if name is not None}
    from_zero = names.is_numbered and len(names) > 1 and numbers == {str(number) for number in range(len(names))}
    read = [str(int(name) + 1) if from_zero and name is not None else name for name in told]
    places = [names.place_of.get(name) if name is not None else None for name in read]
    known = tuple(place for place in places if place is not None)
    return Found(known, len(told) - len(known), is_loose=from_zero)


def _named(value: Any) -> str | None:
    """The name that an element of an array stands for; None for what names nothing."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if abs(value) < 10**6 else None
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 10**6 else None
    if isinstance(value, dict):
        own = [
            value[key] for key in ("index", "id", "image", "picture", "candidate", "label", "number") if key in value
        ]
        return _named(own[0]) if own and not isinstance(own[0], dict) else None
    if isinstance(value, str) and len(value) < 40:
        found = _VALUE.fullmatch(value)
        return _plain(found[1]) if found else None
    return None


def _plain(name: str) -> str:
    return str(int(name)) if name.isdecimal() else name.casefold()


@lru_cache(maxsize=64)
def _item_pattern(labels: tuple[str, ...]) -> re.Pattern[str]:
    name = "|".join(map(re.escape, sorted(labels, key=len, reverse=True))) if labels else r"\d{1,6}(?:\.0{1,3}(?!\d))?"
    opening, closing = r"(?P<open>[\[(]\s?)?", r"(?P<close>\s?[\])])?"
    return re.compile(rf"(?<![\w.])(?P<word>{_WORD}\s{{0,3}})?{opening}(?P<name>{name})(?!\w){closing}", re.IGNORECASE)


def _items(text: str, names: Names) -> list[_Item]:
    pattern = _item_pattern(() if names.is_numbered else tuple(names.place_of))
    return [
        _Item(
            found.start(),
            found.end(),
            _plain(found["name"].partition(".")[0]) if names.is_numbered else found["name"].casefold(),
            is_marked=bool(found["word"] or found["open"] or (found["close"] or "").strip() == "]"),
            is_open=bool(found["open"] and not found["close"]),
            is_closed_alone=bool(found["close"] and not found["open"]),
        )
        for found in pattern.finditer(text)
    ]


def _runs(text: str, items: Sequence[_Item]) -> list[tuple[list[_Item], set[str]]]:
    """Items with nothing but signs between them, and which signs; the numbers of a numbered list are left out."""
    runs: list[tuple[list[_Item], set[str]]] = []
    run: list[_Item] = []
    signs: set[str] = set()
    for at, item in enumerate(items):
        following = items[at + 1] if at + 1 < len(items) else None
        gap = text[item.end : following.start] if following else None
        run.append(item)
        if gap is not None and following and _is_numbering(text, item, gap, following):
            run.pop()
            continue
        sign = _GAP.fullmatch(gap) if gap is not None and len(gap) <= _LONGEST_GAP else None
        if sign is None:
            runs.append((run, signs))
            run, signs = [], set()
        else:
            signs.add(sign["sign"] or ("\n" if "\n" in (gap or "") else " "))
    return [(run, signs) for run, signs in runs if run]


def _is_numbering(text: str, item: _Item, gap: str, following: _Item) -> bool:
    """Whether an item is the "1." before an entry of a list."""
    if len(gap) > _LONGEST_GAP or item.is_marked:
        return False
    is_dotted = bool(_NUMBERING.fullmatch(gap)) or (item.is_closed_alone and not gap.strip())
    is_first = item.start == 0 or text[item.start - 1] == "\n"
    return is_dotted and "\n" not in gap and (following.is_marked or is_first)


def _is_order(text: str, run: Sequence[_Item], signs: set[str], count: int) -> bool:
    """Whether a run is written as an order, rather than some numbers in prose."""
    begin = text.rfind("\n", 0, run[0].start) + 1
    end = text.find("\n", run[-1].end)
    end = len(text) if end < 0 else end
    fills_lines = bool(_CUE.fullmatch(text[max(begin, run[0].start - 120) : run[0].start])) and bool(
        _AFTER.fullmatch(text[run[-1].end : min(end, run[-1].end + 40)])
    )
    is_all = begin == 0 and not text[end:].strip()
    marked = sum(item.is_marked for item in run)
    if len(run) == 1:
        return fills_lines and is_all
    if signs & {">", "->", "=>", ">>", "→", "≻", "»"}:
        return fills_lines or 2 * marked >= len(run) or 2 * len(run) > count
    if not fills_lines:
        return False
    is_cued = bool(text[begin : run[0].start].strip(" \t*#>-("))
    return marked == len(run) or is_cued or is_all or (signs == {","} and not text[end:].strip())


def _numbered_lines(text: str, names: Names) -> Found | None:
    """The entries of a list numbered 1, 2, 3, … whose lines begin with a marked name and may go on in prose."""
    told: list[str] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found and int(found[1]) == len(told) + 1:
            name = _named(found[2])
            is_marked = not found[2].strip().isalnum()
            if name is None or not is_marked:
                return None
            told.append(name)
    found_order = _resolved(told, names)
    is_account = all(name == str(number) for number, name in enumerate(told, start=1))  # of each in turn: no order
    return found_order if len(told) > 1 and found_order.places and not is_account else None
