"""The weights of a blend, fitted to judged queries, and what they gain on queries they were not fitted to.

All weights on a grid are tried, which is exact enough for two or three numbers and has no settings of its own. What
is reported is measured by cross-validation: each fifth of the queries is ranked with weights from the other four. The
weights that are kept come from all queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.measures import Measure, parse_measure
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Qrels
from mmretrieval.evaluation.significance import Interval, interval
from mmretrieval.first_stages.hybrid import WEIGHTS, Hybrid
from mmretrieval.lock import sole_writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.first_stages._evidence import Evidence

LEAST_QUERIES = 30
FOLDS = 5
META = "blend"  # the catalogue's name for what was fitted
_STEPS = {1: 1, 2: 20, 3: 10}  # of the grid from 0 to 1, by the number of channels
_QUERIES_AT_ONCE = 64
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted weights, by channel. `gain` is per query, over the usual weights, and so are `before` and `after`.

    `after` and `gain` are cross-validated: no query was ranked with weights that were fitted to it.
    """

    weights: Mapping[str, float]
    usual: Mapping[str, float]
    measure: str
    queries: int
    before: float
    after: float
    gain: Interval

    @property
    def helps(self) -> bool:
        """Whether the mean over unseen queries is larger than with the usual weights."""
        return self.gain.mean > 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def fit(
    blend: Hybrid,
    rows: Sequence[QueryRow],
    qrels: Qrels,
    measure: str = "nDCG@10",
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """The best weights of a blend for these queries; those without words, or without a relevant image, are left out.

    Raises InvalidData for fewer than LEAST_QUERIES queries. Costs one search per query, and less than that for all
    weights.
    """
    wanted = parse_measure(measure)
    judged = [row.query for row in rows if any(grade >= 1 for grade in qrels.get(row.query.id, {}).values())]
    found: list[Evidence] = []
    for start in range(0, len(judged), _QUERIES_AT_ONCE):
        part = blend.evidence(judged[start : start + _QUERIES_AT_ONCE], wanted.cutoff or 0)
        found += [evidence for evidence in part if len(evidence.channels) == len(blend.channels)]
        if progress:
            progress(start + len(part), len(judged))
    if len(found) < LEAST_QUERIES:
        raise InvalidData(
            f"weights are fitted to {LEAST_QUERIES} judged queries with words or more, and here are {len(found)}: "
            "judge more queries, or use --hybrid rrf, which needs none"
        )
    names = [channel.name for channel in blend.channels]
    grid = np.array([[WEIGHTS[name] for name in names], *_grid(len(names))])
    grid /= grid.sum(axis=1, keepdims=True)
    values = np.array([_values(evidence, names, grid, qrels[evidence.query.id], wanted) for evidence in found])
    held_out = _cross_validated(values, grid)
    return Fit(
        weights=dict(zip(names, grid[_best(values, grid)].tolist(), strict=True)),
        usual=dict(zip(names, grid[0].tolist(), strict=True)),
        measure=str(wanted),
        queries=len(found),
        before=float(values[:, 0].mean()),
        after=float(held_out.mean()),
        gain=interval((held_out - values[:, 0]).tolist()),
    )


def remember(index: Path, fitted: Fit) -> None:
    """Let later searches of this index blend with the fitted weights; raises IndexLocked, StorageError."""
    with sole_writer(index), closing(Catalog.open_writer(index)) as catalog, catalog.transaction():
        catalog.set_meta({META: fitted.to_dict()})
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def _grid(channels: int) -> Iterator[list[float]]:
    """All weights of so many channels that sum to 1, in even steps."""
    steps = _STEPS[channels]
    for some in product(range(steps + 1), repeat=channels - 1):
        if sum(some) <= steps:
            yield [step / steps for step in (*some, steps - sum(some))]


def _values(
    evidence: Evidence, names: Sequence[str], grid: NDArray[np.float64], grades: Mapping[str, int], measure: Measure
) -> list[float]:
    """The measure for one query with each of the weights."""
    ids = [hit.id for hit in evidence.hits]
    all_weights = (evidence.weights(dict(zip(names, row, strict=True))) for row in grid.tolist())
    orders = (evidence.order(evidence.values * weights)[: measure.cutoff] for weights in all_weights)
    return [measure([ids[row] for row in order], grades) for order in orders]


def _best(values: NDArray[np.float64], grid: NDArray[np.float64]) -> int:
    """The row of the grid with the best mean; of several, the one nearest to the usual weights."""
    means = values.mean(axis=0)
    tied = np.flatnonzero(means >= means.max() - _SAME)
    return int(tied[np.argmin(np.abs(grid[tied] - grid[0]).sum(axis=1))])


def _cross_validated(values: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each query with the weights that are best for the other folds."""
    fold = np.arange(len(values)) % FOLDS
    return np.array([values[at, _best(values[fold != fold[at]], grid)] for at in range(len(values))])
