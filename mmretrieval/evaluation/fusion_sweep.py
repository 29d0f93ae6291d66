"""What each weight of captions is worth in fused search, on judged queries; and what the best of them gains.

All queries are scored once, and ranked once for each weight. The gain over looks alone is cross-validated: each fifth
of the queries is ranked with the weight that is best for the other four.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.evaluation.experiment import WHOLE_RANKING
from mmretrieval.evaluation.measures import Measure
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Qrels
from mmretrieval.evaluation.significance import Interval, interval
from mmretrieval.first_stages._allowed import allowed
from mmretrieval.first_stages.fused import Fused
from mmretrieval.fusion import Fusion
from mmretrieval.types import Query
from mmretrieval.vectors import allowed as mask_of
from mmretrieval.vectors import top_k

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.first_stages._fused_scores import Told

WEIGHTS = tuple(round(step / 20, 2) for step in range(21))
FOLDS = 5
_QUERIES_AT_ONCE = 64
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Sweep:
    """Means by measure, one for each weight of captions, and values by query, (queries, weights), of the first.

    `best` is the weight with the best mean of the first measure, the smallest of equal ones; `gain` is what a weight
    chosen on other queries adds to looks alone, per query.
    """

    weights: tuple[float, ...]
    means: dict[str, list[float]]
    by_query: list[list[float]]
    queries: int
    best: float
    gain: Interval

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the values of single queries."""
        return {name: value for name, value in asdict(self).items() if name != "by_query"}


def sweep(
    stage: Fused,
    rows: Sequence[QueryRow],
    qrels: Qrels,
    measures: Sequence[Measure],
    *,
    weights: Sequence[float] = WEIGHTS,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Rank every judged query with each weight; a composed query's reference is never an answer.

    Raises UsageError for early fusion, whose rows have one weight; InvalidData without judged queries. Costs one
    search per query, and a sort of all scores for each weight.
    """
    if stage.early is not None:
        raise UsageError("early fused rows have one weight, so there is nothing to sweep: sweep late or standard")
    judged = [row.query for row in rows if any(grade >= 1 for grade in qrels.get(row.query.id, {}).values())]
    if not judged:
        raise InvalidData("no query has a relevant image in the qrels: are these the qrels of these queries?")
    values: list[NDArray[np.float64]] = []
    depth = max(measure.cutoff or WHOLE_RANKING for measure in measures)
    for start in range(0, len(judged), _QUERIES_AT_ONCE):
        part = [_without_reference(query) for query in judged[start : start + _QUERIES_AT_ONCE]]
        for told in stage.told(part):
            grades = qrels[told.sought.query.id]
            ranked = [_ranked(stage, told, weight, depth) for weight in weights]
            values.append(np.array([[measure(ids, grades) for measure in measures] for ids in ranked]))
        if progress:
            progress(start + len(part), len(judged))
    table = np.stack(values)  # (queries, weights, measures)
    first = table[:, :, 0]
    held_out = _cross_validated(first)
    looks = first[:, list(weights).index(0.0)] if 0.0 in weights else first[:, 0]
    return Sweep(
        weights=tuple(weights),
        means={str(measure): table[:, :, at].mean(axis=0).tolist() for at, measure in enumerate(measures)},
        by_query=first.tolist(),
        queries=len(judged),
        best=weights[_best(first)],
        gain=interval((held_out - looks).tolist()),
    )


def _without_reference(query: Query) -> Query:
    return query if query.image_id is None else replace(query, exclude=query.exclude | {query.image_id})


def _ranked(stage: Fused, told: Told, weight: float, depth: int) -> list[str]:
    """Ids of the best, with captions weighing that much."""
    scores = Fusion(1 - weight, weight).joined(*told.joinable)
    may = allowed(told.sought.query, stage.collection)
    mask = mask_of(len(scores), may.within, may.exclude)
    here = np.arange(len(scores)) if mask is None else np.flatnonzero(mask)
    positions = here[top_k(scores[here], depth)]
    return [record.id for record in stage.collection.records_at(positions)]


def _best(values: NDArray[np.float64]) -> int:
    """The weight with the best mean; of equal ones the smallest."""
    means = values.mean(axis=0)
    return int(np.flatnonzero(means >= means.max() - _SAME)[0])


def _cross_validated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value of each query with the weight that is best for the other folds."""
    fold = np.arange(len(values)) % FOLDS
    others = [values[fold != own] if len(values) > 1 else values for own in fold]
    return np.array([values[at, _best(rest)] for at, rest in enumerate(others)])
