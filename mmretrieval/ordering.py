"""Many orders of the same things made into one, and what two orders have in common.

An order is a sequence of places 0 … n-1, best first, each once. Ties are broken by the lower place, so that with the
first stage's places the first stage decides.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import exp, log, sqrt
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


def borda(orders: Sequence[Sequence[int]]) -> list[int]:
    """One order by the mean rank in several of the same places."""
    totals = [0.0] * _length(orders)
    for order in orders:
        for rank, place in enumerate(order):
            totals[place] -= rank
    return best_first(totals)


def reciprocal_ranks(orders: Sequence[Sequence[int]], k: int = 60) -> list[int]:
    """One order by the sum of 1 / (k + rank), ranks from 1: a thing that one order has on top rises further."""
    totals = [0.0] * _length(orders)
    for order in orders:
        for rank, place in enumerate(order, start=1):
            totals[place] += 1 / (k + rank)
    return best_first(totals)


def kemeny(orders: Sequence[Sequence[int]]) -> list[int]:
    """An order that agrees with as many of the pairs of all orders as swaps of neighbours can reach.

    Starts at `borda`. Costs n^2 for each order and each pass; made for some thirty things.
    """
    order = borda(orders)
    ranks = [{place: rank for rank, place in enumerate(each)} for each in orders]
    is_better = True
    while is_better:
        is_better = False
        for at in range(len(order) - 1):
            one, other = order[at], order[at + 1]
            if 2 * sum(rank[other] < rank[one] for rank in ranks) > len(ranks):
                order[at], order[at + 1] = other, one
                is_better = True
    return order


def bradley_terry(count: int, wins: Mapping[tuple[int, int], float], rounds: int = 200) -> list[float]:
    """Log-strengths of `count` things, mean 0, out of how often the first of a pair was preferred to the second.

    By the MM algorithm (Hunter 2004), with half a win for either side of every pair that was compared, so that a thing
    that always won stays finite. It weighs few comparisons and many alike, as a count of wins would not. Things that
    were never compared get 0.
    """
    met: dict[tuple[int, int], float] = {}
    won = [0.0] * count
    for pair in {(min(pair), max(pair)) for pair in wins if pair[0] != pair[1]}:
        first, second = wins.get(pair, 0.0) + 0.5, wins.get(pair[::-1], 0.0) + 0.5
        met[pair] = first + second
        won[pair[0]] += first
        won[pair[1]] += second
    compared = [place for place in range(count) if won[place]]
    strength = [1.0] * count
    for _ in range(rounds):
        shares = [0.0] * count
        for (one, other), times in met.items():
            share = times / (strength[one] + strength[other])
            shares[one] += share
            shares[other] += share
        strength = [won[place] / shares[place] if shares[place] else 1.0 for place in range(count)]
        mean = exp(fmean([log(strength[place]) for place in compared])) if compared else 1.0
        strength = [strength[place] / mean if shares[place] else 1.0 for place in range(count)]
    return [log(each) for each in strength]


def flips(orders: Sequence[Sequence[int]]) -> float | None:
    """The share of pairs of things that two of the orders see otherwise, over all two of them; None for one order."""
    if len(orders) < 2:
        return None
    return fmean([(1 - agreement(one, other)) / 2 for one, other in combinations(orders, 2)])


def agreement(one: Sequence[int], other: Sequence[int]) -> float:
    """Kendall's tau of two orders of the same places."""
    rank = {place: number for number, place in enumerate(one)}
    return kendall_tau([rank[place] for place in other])


def _length(orders: Sequence[Sequence[int]]) -> int:
    """How many things the orders hold; ValueError when they do not hold the same."""
    if not orders:
        return 0
    places = set(range(len(orders[0])))
    if any(set(order) != places or len(order) != len(places) for order in orders):
        raise ValueError("orders can only be joined when each holds the same places once")
    return len(places)
