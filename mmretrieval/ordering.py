"""Many orders of the same things made into one, and what two orders have in common.

An order is a sequence of places 0 … n-1, best first, each once. Ties are broken by the lower place, so that with the
first stage's places the first stage decides.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import sqrt
from statistics import fmean


def kendall_tau(order: Sequence[int]) -> float:
    """How an order agrees with 0 … n-1: 1 is the same, -1 the reverse, 0 no relation; 1 for less than two things.

    Each place once; any numbers without ties will do.
    """
    pairs = len(order) * (len(order) - 1) // 2
    return 1.0 - 2.0 * inversions(order) / pairs if pairs else 1.0


def inversions(order: Sequence[int]) -> int:
    """Pairs in which the larger number stands first."""
    seen: list[int] = []
    count = 0
    for number in order:
        count += len(seen) - bisect_left(seen, number)
        insort(seen, number)
    return count


def z_scores(values: Sequence[float]) -> list[float]:
    """The values with mean 0 and standard deviation 1; all 0 where they are all the same."""
    if not values:
        return []
    mean = fmean(values)
    deviation = sqrt(fmean([(value - mean) ** 2 for value in values]))
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]


def best_first(values: Sequence[float]) -> list[int]:
    """Places by falling value, equal ones in their old order."""
    return sorted(range(len(values)), key=lambda place: (-values[place], place))
