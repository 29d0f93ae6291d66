"""The same candidates shown in several orders, and the answers joined, since models prefer what they see first.

The first pass shows them as they stand, the second the other way round, further ones in fixed shuffles. All passes go
to the model together. Paper: permutation self-consistency (arXiv 2310.07712), with the mean of places (Borda) instead
of Kemeny's order, and the reversed list as the second, which undoes a constant liking for first places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import fmean
from typing import Any, TypeVar

from mmretrieval.asks import Ask, Reply
from mmretrieval.errors import UsageError
from mmretrieval.ordering import best_first, flips

T = TypeVar("T")
Asking = Generator[list[Ask], list[Reply], T]


@dataclass(frozen=True, slots=True)
class Note:
    """What was said of one candidate beside its place: a line for the user, and details for its hit."""

    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one showing of all candidates says of each place: larger is better, None where it says nothing.

    `parsed` counts how its answers were read. `notes` holds what it said of single places beside their order.
    """

    values: Sequence[float | None]
    parsed: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[int, Note] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Joined:
    """The mean of all passes' values, and the share of pairs that two passes order otherwise.

    `flips` is over the places that every pass that spoke at all spoke of; None where these are fewer than two, or the
    passes. Of the notes on a place the first counts.
    """

    values: list[float | None]
    parsed: Mapping[str, int]
    flips: float | None
    notes: Mapping[int, Note]


def checked_orders(name: str, orders: int) -> int:
    """UsageError unless the candidates are shown at least once and not absurdly often."""
    if not 1 <= orders <= 20:
        raise UsageError(f"'{name}' shows its candidates in {orders} orders: give 1 to 20")
    return orders


def shown_orders(count: int, orders: int) -> list[list[int]]:
    """In which orders `count` candidates are shown: as they stand, reversed, then shuffled, always the same ways."""
    given = list(range(count))
    shown = [given, given[::-1]][:orders]
    for number in range(len(shown), orders):
        shuffled = list(given)
        Random(f"order:{count}:{number}").shuffle(shuffled)
        shown.append(shuffled)
    return shown


def in_orders(count: int, orders: int, one_pass: Callable[[list[int]], Asking[Pass]]) -> Asking[Joined]:
    """One pass for each order of showing, all at once. Passes must speak on one scale, as places or log-odds do."""
    passes = yield from together([one_pass(shown) for shown in shown_orders(count, orders)])
    parsed: Counter[str] = Counter()
    for each in passes:
        parsed.update(each.parsed)
    told = [[value for each in passes if (value := each.values[place]) is not None] for place in range(count)]
    spoken = [each.values for each in passes if any(value is not None for value in each.values)]
    shared = [place for place in range(count) if all(values[place] is not None for values in spoken)]
    seen = [best_first([values[place] or 0.0 for place in shared]) for values in spoken] if len(shared) > 1 else []
    noted = {place: note for each in reversed(passes) for place, note in each.notes.items()}
    return Joined(
        [fmean(values) if values else None for values in told],
        parsed,
        flips(seen),
        noted,
    )


def together(flows: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Several flows as one: what all of them ask goes out in one round. Their results, in order."""
    results: dict[int, T] = {}
    pending: dict[int, list[Ask]] = {}

    def advance(number: int, replies: list[Reply] | None) -> None:
        try:
            pending[number] = next(flows[number]) if replies is None else flows[number].send(replies)
        except StopIteration as end:
            pending.pop(number, None)
            results[number] = end.value

    for number in range(len(flows)):
        advance(number, None)
    while pending:
        asked = dict(pending)
        replies = yield [ask for asks in asked.values() for ask in asks]
        for number, asks in asked.items():
            own, replies = replies[: len(asks)], replies[len(asks) :]
            advance(number, own)
    return [results[number] for number in range(len(flows))]
