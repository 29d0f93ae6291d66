"""What a model's words say: an order, a choice, or grades. Never an exception, and never an invented answer.

An error message, a refusal, and prose in which numbers happen to stand are no answers. Time is linear in the text.
A status tells how the answer was read:

- "ok": it says what was asked for, whatever stands around it;
- "repaired": it repeats something, names something unknown, leaves something out, or is written loosely;
- "partial": it breaks off, or grades only some;
- "failed": it holds no answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from mmretrieval.answers import answer_of, json_values
from mmretrieval.chains import Found, Names, broken_off, chain, is_order_key, listed, names_of
from mmretrieval.choosing import bare, is_choice_key, pairs_by_line, pairs_in, settled

Parsed = Literal["ok", "repaired", "partial", "failed"]
STATUSES: tuple[Parsed, ...] = ("ok", "repaired", "partial", "failed")

_ONE_ARRAY = re.compile(r"(?:```\w*)?\s*\[[^\[\]]*\]\s*(?:```)?")


def permutation(text: str, n: int, *, labels: Sequence[str] = (), top: int | None = None) -> tuple[list[int], Parsed]:
    """The order that the text gives to n things, as places 0 … n-1, best first: always each of them once.

    In the text they are called 1 … n, or by `labels`. What it leaves out follows in the old order; `top` says that
    only so many were asked for. Where there is no order the places come back as they were, with "failed". Understood
    are JSON (an array, or an object with one under a name such as "ranking"), chains as in [3] > [1] > [2], lists of
    numbers that stand alone on their line or behind "ranking:", and numbered lines. Of several the last counts.
    """
    found = _order(answer_of(text), names_of(n, labels)) if n else None
    if found is None or not found.places:
        return list(range(n)), "failed"
    first = list(dict.fromkeys(found.places))
    told = set(first)
    order = [*first, *(place for place in range(n) if place not in told)]
    if found.is_broken:
        return order, "partial"
    is_whole = len(first) == len(found.places) and len(first) >= min(n, top or n) and not found.strange
    return order, "ok" if is_whole and not found.is_loose else "repaired"


def _order(answer: str, names: Names) -> Found | None:
    """By the first way of writing that is found: an object, an array, a chain, a broken array; None without any."""
    array: Found | None = None
    for value, is_strict in json_values(answer):
        held = _held(value)
        found = chain(held, names, is_alone=True) if isinstance(held, str) else listed(held, names) if held else None
        if found is None or not found.places:
            continue
        found = replace(found, is_loose=found.is_loose or not is_strict)
        if isinstance(value, Mapping):
            return found
        if array is None and found.strange <= 2 * len(found.places):
            array = found
    if array and (len(array.places) + array.strange > 1 or _ONE_ARRAY.fullmatch(answer)):
        return array
    return chain(answer, names) or broken_off(answer, names)


def _held(value: Any, depth: int = 2) -> list[Any] | str | None:
    """The array of an answer, or the words that stand in its place; inside inner objects, too."""
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping) or not depth:
        return None
    named = [held for key, held in value.items() if is_order_key(key) and isinstance(held, list | str) and held]
    inner = (_held(held, depth - 1) for held in value.values() if isinstance(held, Mapping))
    return named[-1] if named else next((held for held in inner if held), None)


def choice(text: str, options: Sequence[str]) -> tuple[str | None, Parsed]:
    """Which one of the options the text names, as it stands in `options`; (None, "failed") for none or several.

    "(2)", "Output (2).", "Yes!" and {"answer": "2"} are ok; an option found in a longer answer is "repaired". Of an
    answer that turns them all down only what it settles on in the end counts, as in "if I had to choose: (2)".
    """
    names = {bare(option) or option.casefold(): option for option in options}
    answer = answer_of(text)
    for value, _ in json_values(answer):
        if isinstance(value, Mapping):
            held = [names.get(bare(str(held))) for key, held in value.items() if is_choice_key(key)]
            if len({option for option in held if option is not None}) == 1:
                return next(option for option in held if option is not None), "ok"
    if (option := names.get(bare(answer))) is not None:
        return option, "ok"
    found = settled(answer, tuple(names))
    return (names[found], "repaired") if found is not None else (None, "failed")


def grades(text: str, ids: Sequence[str]) -> tuple[dict[str, float], Parsed]:
    """The finite numbers that the text gives to some of the ids: the first for each, of unknown ids none.

    Understood are {"grades": {"1": 7}}, {"1": 7}, [{"id": "1", "grade": 7}], and lines as in "picture 1: 7/10".
    "partial" when some have none, "failed" when all have none; "repaired" when something was repeated, unknown or no
    number.
    """
    names = {name.strip().casefold(): name for name in ids}
    told = _graded(answer_of(text), tuple(names))
    found: dict[str, float] = {}
    strange = 0
    for name, grade in told:
        if name not in names or names[name] in found or not math.isfinite(grade):
            strange += 1
        else:
            found[names[name]] = grade
    if not found:
        return {}, "failed"
    if len(found) < len(names):
        return found, "partial"
    return found, "repaired" if strange else "ok"


def _graded(answer: str, names: Sequence[str]) -> list[tuple[str, float]]:
    """Names and numbers as the text pairs them: in JSON, else line by line."""
    for value, _ in json_values(answer):
        pairs = list(pairs_in(value))
        if any(name in names for name, _ in pairs):
            return pairs
    return list(pairs_by_line(answer, names))
