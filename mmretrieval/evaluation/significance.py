"""Is a difference between two systems more than chance? Paired over queries, seeded, and the same on every run.

Two questions, two tools. The paired bootstrap (Efron; Sakai, SIGIR 2006) draws queries with replacement and gives an
interval for the mean difference. The randomisation test (Fisher; Smucker, Allan and Carterette, CIKM 2007) flips the
sign of each query's difference, as if the two systems had no names, and gives a two-sided p-value: the share of flips
whose mean is at least as far from 0. With at most 14 differing queries all flips are taken, and the p-value is exact;
else 10,000 random ones, the observed one counted among them, so that it is never 0.

Neither helps against many comparisons: of 20 measures one falls below 0.05 by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

RESAMPLES = 10_000
SEED = 0
LEVEL = 0.95
_EXACT_UP_TO = 14  # 2**14 flips are about as many as the random ones
_AT_ONCE = 2_000_000  # numbers drawn at once; bounds the memory
_SAME = 1e-12  # two sums of the same numbers in another order differ by less


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the interval that holds it at the level asked for."""

    mean: float
    low: float
    high: float


def interval(
    values: Sequence[float], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The mean of one number per query with its bootstrap percentile interval.

    For a paired comparison give the differences per query. One query alone gives an interval without width. The result
    depends on the order of the values, so give them in the order of the query ids. Cost: resamples x queries draws.
    Raises InvalidData without values, or for one that is not finite.
    """
    given = _finite(values)
    means = np.concatenate(list(_resampled_means(given, resamples, seed)))
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(given.mean()), float(low), float(high))


def p_value(differences: Sequence[float], *, resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """The two-sided p-value of the randomisation test for one difference per query, between 0 and 1.

    It is 1 when no query differs. Queries without difference change nothing and are left out. Raises InvalidData as
    `interval` does.
    """
    given = _finite(differences)
    given = given[given != 0]
    if not given.size:
        return 1.0
    observed = abs(given.sum()) - _SAME * np.abs(given).sum()
    if given.size <= _EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**given.size)[:, None] >> np.arange(given.size)) & 1)
        return float((np.abs(signs @ given) >= observed).mean())
    beyond = sum(int((np.abs(sums) >= observed).sum()) for sums in _flipped_sums(given, resamples, seed))
    return (beyond + 1) / (resamples + 1)


def _finite(values: Sequence[float]) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not given.size:
        raise InvalidData("there is no query to compare on")
    if not np.isfinite(given).all():
        raise InvalidData("a measure has a value that is not finite")
    return given


def _resampled_means(given: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    for count in _parts(resamples, given.size):
        yield given[random.integers(0, given.size, (count, given.size))].mean(axis=1)


def _flipped_sums(given: Floats, resamples: int, seed: int) -> Iterator[Floats]:
    random = np.random.default_rng(seed)
    for count in _parts(resamples, given.size):
        # A sum over flips is the sum of all, less twice the flipped ones: half the work, and no table of signs.
        yield given.sum() - 2 * (random.integers(0, 2, (count, given.size), dtype=np.int8) @ given)


def _parts(resamples: int, size: int) -> Iterator[int]:
    most = max(1, _AT_ONCE // size)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)
