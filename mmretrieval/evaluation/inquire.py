"""INQUIRE's measures (arXiv 2411.02537) of one scored list, with what its evaluator does at ties beside what we do.

A list is k scored candidates in their first-stage order with their relevance; `total` counts the relevant images of
the whole collection (Fullrank) or of the pool (Rerank), those that are not in the list included: they are misses.
AP is the sum of precisions at the relevant ones over min(total, k), nDCG's ideal is min(total, k) relevant ones on
top, and the reciprocal rank has no cutoff of its own. Three rules for equal scores give three values:

- `published`, the reference evaluator: AP takes a tie as one step of the precision-recall curve, nDCG its mean gain,
  and the reciprocal rank reads a tie from its end, so that the last of the list counts as the best.
- `ours`: equal scores keep the first-stage order, as everywhere in this package.
- `expected`: the mean over all orders of what is tied; no scorer gains or loses by ties. A constant one is at chance.

Without ties all three are equal. The website calls its Rerank board AP@50, but the list there is 100 long: what was
measured is AP@100 with the pool's positives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import comb, isnan, log2

from mmretrieval.errors import InvalidData


@dataclass(frozen=True, slots=True)
class Values:
    """What INQUIRE reports of one query; all but an AP whose `total` is too small lie between 0 and 1."""

    precision: float
    recall: float
    ap: float
    ndcg: float
    rr: float


@dataclass(frozen=True, slots=True)
class _Tie:
    """A run of equal scores: where it starts, how many, and how many relevant ones in it and before it."""

    before: int
    size: int
    relevant: int
    found: int


def published(relevant: Sequence[bool], scores: Sequence[float], total: int) -> Values:
    """The values of the reference evaluator, ties and all. Raises InvalidData as `ours` does."""
    ties = _ties(relevant, scores, total)
    steps = sum(tie.relevant * (tie.found + tie.relevant) / (tie.before + tie.size) for tie in ties)
    best = next((tie for tie in ties if tie.relevant), None)
    return _values(relevant, ties, total, steps, 0.0 if best is None else _from_the_end(relevant, scores, best))


def ours(relevant: Sequence[bool], scores: Sequence[float], total: int) -> Values:
    """The values when equal scores keep their order.

    Raises InvalidData for an empty list, for scores that are no numbers, and when nothing is relevant: such queries
    have no value, and are to be left out and counted.
    """
    _check(relevant, scores, total)
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    distinct = [float(-rank) for rank in range(len(order))]
    return expected([relevant[place] for place in order], distinct, total)


def expected(relevant: Sequence[bool], scores: Sequence[float], total: int) -> Values:
    """The exact means over all orders of tied candidates. Raises InvalidData as `ours` does."""
    ties = _ties(relevant, scores, total)
    steps = sum(map(_expected_precisions, ties))
    best = next((tie for tie in ties if tie.relevant), None)
    return _values(relevant, ties, total, steps, 0.0 if best is None else _expected_rr(best))


BY_POLICY: dict[str, Callable[[Sequence[bool], Sequence[float], int], Values]] = {
    "published": published,
    "ours": ours,
    "expected": expected,
}


def _check(relevant: Sequence[bool], scores: Sequence[float], total: int) -> None:
    if not scores or len(relevant) != len(scores):
        raise InvalidData(f"a list of {len(relevant)} judgements and {len(scores)} scores has no measure")
    if any(map(isnan, scores)):
        raise InvalidData("a score is not a number, so the scores have no order")
    if total < 1:
        raise InvalidData("a query without a relevant image has no value: leave it out, and count it")


def _ties(relevant: Sequence[bool], scores: Sequence[float], total: int) -> list[_Tie]:
    _check(relevant, scores, total)
    return list(_runs(sorted(zip(scores, relevant, strict=True), key=lambda pair: -pair[0])))


def _runs(pairs: Sequence[tuple[float, bool]]) -> Iterator[_Tie]:
    before = found = 0
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        marks = [mark for _, mark in group]
        yield _Tie(before, len(marks), sum(marks), found)
        before, found = before + len(marks), found + sum(marks)


def _values(relevant: Sequence[bool], ties: Sequence[_Tie], total: int, steps: float, rr: float) -> Values:
    k, found = len(relevant), sum(relevant)
    gained = sum(tie.relevant / tie.size * _discounts(tie.before, tie.before + tie.size) for tie in ties)
    # The reference adds unseen positives to those it found, so a `total` below these leaves their number.
    ideal = _discounts(0, min(max(total, found), k))
    return Values(found / k, found / total, steps / min(total, k), gained / ideal, rr)


def _discounts(start: int, end: int) -> float:
    return sum(1 / log2(rank + 1) for rank in range(start + 1, end + 1))


def _from_the_end(relevant: Sequence[bool], scores: Sequence[float], best: _Tie) -> float:
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], -place))
    return 1 / next(rank for rank, place in enumerate(order[best.before :], start=best.before + 1) if relevant[place])


def _expected_precisions(tie: _Tie) -> float:
    """The mean sum of precisions at the relevant ones: at each place one stands there with r/m, others before."""
    share, others = tie.relevant / tie.size, (tie.relevant - 1) / max(tie.size - 1, 1)
    return sum(share * (tie.found + 1 + place * others) / (tie.before + place + 1) for place in range(tie.size))


def _expected_rr(tie: _Tie) -> float:
    """The first of r relevant ones stands at place i of m in comb(m - i, r - 1) of comb(m, r) cases."""
    cases = range(1, tie.size - tie.relevant + 2)
    ways = sum(comb(tie.size - place, tie.relevant - 1) / (tie.before + place) for place in cases)
    return ways / comb(tie.size, tie.relevant)
