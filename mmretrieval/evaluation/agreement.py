"""How much the rankings of two runs agree, and what is wrong with recorded ones: no judgement is needed for either.

Recorded rankings of language models may name an image twice, and then have lost another: such lists are counted, and
compared as they stand wherever that has a meaning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

from mmretrieval.errors import InvalidData

Run = Mapping[str, Sequence[str]]


def doubled(run: Run) -> list[str]:
    """The queries whose ranking holds an image more than once, in the order of the run."""
    return [query for query, ranked in run.items() if len(set(ranked)) != len(ranked)]


def distinct_counts(run: Run) -> dict[int, int]:
    """How many rankings hold how many different images, the most images first."""
    return dict(sorted(Counter(len(set(ranked)) for ranked in run.values()).items(), reverse=True))


def same_first(one: Run, other: Run) -> float:
    """The share of queries with the same image on the first place."""
    return fmean(float(one[query][:1] == other[query][:1]) for query in _shared(one, other))


def overlap(one: Run, other: Run, k: int) -> float:
    """The mean share of the first k images that both have, whatever their order."""
    return fmean(len(set(one[query][:k]) & set(other[query][:k])) / k for query in _shared(one, other))


def same_set(one: Run, other: Run, k: int) -> float:
    """The share of queries whose first k images are the same set: where it ends tells how deep a reranker looked."""
    return fmean(float(set(one[query][:k]) == set(other[query][:k])) for query in _shared(one, other))


def kendall(one: Run, other: Run, k: int) -> tuple[float, int]:
    """The mean Kendall tau over the first k, and over how many queries.

    Only queries whose first k are the same k different images have one. 1 is the same order, -1 the reverse.
    """
    taus = [
        _tau(one[query][:k], other[query][:k])
        for query in _shared(one, other)
        if set(one[query][:k]) == set(other[query][:k]) and len(set(one[query][:k])) == len(one[query][:k])
        and len(other[query][:k]) == len(one[query][:k]) > 1
    ]  # fmt: skip
    return (fmean(taus) if taus else 0.0), len(taus)


def _tau(one: Sequence[str], other: Sequence[str]) -> float:
    place = {name: rank for rank, name in enumerate(other)}
    places = [place[name] for name in one]
    pairs = len(places) * (len(places) - 1) // 2
    against = sum(earlier > later for i, earlier in enumerate(places) for later in places[i + 1 :])
    return 1 - 2 * against / pairs


def _shared(one: Run, other: Run) -> list[str]:
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise InvalidData("the two runs have no query in common")
    return shared
