"""Rank correlation of similarities with people's marks, plain and as Crisscrossed Captions takes it (arXiv 2004.15020).

That paper draws half of the left sides and one pair of each, takes Spearman's correlation over these pairs, and gives
mean and standard deviation over 1,000 draws, so that no item with many pairs counts more than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 1000
RESAMPLES = 1000
SEED = 0


class Drawn(NamedTuple):
    """Mean and standard deviation over the draws."""

    mean: float
    deviation: float


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Between -1 and 1; equal values share the mean of their ranks.

    Raises InvalidData for fewer than two pairs, lists of different length, or one whose values are all equal, which
    has no order to compare.
    """
    first, second = _ranks(one), _ranks(other)
    if first.size != second.size or first.size < 2:
        raise InvalidData(
            f"{first.size} and {second.size} values have no correlation: two lists of the same length are needed"
        )
    first, second = first - first.mean(), second - second.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    if not spread:
        raise InvalidData("values that are all equal have no correlation")
    return float(first @ second / spread)


def has_order(values: Sequence[float]) -> bool:
    """Whether two of them differ, without which there is no correlation."""
    return min(values) < max(values)


def spearman_interval(
    one: Sequence[float], other: Sequence[float], *, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """The ends of the 95 % bootstrap percentile interval over pairs drawn with replacement.

    Draws of which one side has no order, which only a handful of pairs has, are left out. Cost: resamples x pairs;
    raises as `spearman`.
    """
    spearman(one, other)  # tells what is wrong with them before they are drawn from
    random, first, second = np.random.default_rng(seed), np.asarray(one), np.asarray(other)
    values = []
    for _ in range(resamples):
        drawn = random.integers(0, first.size, first.size)
        marks, scores = first[drawn].tolist(), second[drawn].tolist()
        if has_order(marks) and has_order(scores):
            values.append(spearman(marks, scores))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def crossed(
    left: Sequence[str], marks: Sequence[float], scores: Sequence[float], *, draws: int = DRAWS, seed: int = SEED
) -> Drawn:
    """The published form: `left` names the side by which pairs are drawn. Cost: draws x pairs; raises as `spearman`.

    Draws without order, which only a handful of pairs has, are left out; InvalidData when there is no other.
    """
    sides, group = np.unique(np.asarray(left), return_inverse=True)
    marked, scored = np.asarray(marks, np.float64), np.asarray(scores, np.float64)
    random = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = random.permutation(sides.size)[: max(2, sides.size // 2)]
        order = random.permutation(group.size)
        first = np.full(sides.size, -1)
        first[group[order[::-1]]] = order[::-1]  # the last one written is the first of the random order
        pairs = first[chosen]
        if has_order(chosen_marks := marked[pairs].tolist()) and has_order(chosen_scores := scored[pairs].tolist()):
            values.append(spearman(chosen_marks, chosen_scores))
    if not values:
        raise InvalidData(f"no draw from these {scored.size} pairs has an order to compare: more of them are needed")
    return Drawn(float(np.mean(values)), float(np.std(values)))


def _ranks(values: Sequence[float]) -> NDArray[np.floating[Any]]:
    given = np.asarray(values, dtype=np.float64)
    if not np.isfinite(given).all():
        raise InvalidData("a value is not a finite number, so the values have no order")
    _, place, count = np.unique(given, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    ranks: NDArray[np.floating[Any]] = (ends - (count - 1) / 2)[place]
    return ranks
