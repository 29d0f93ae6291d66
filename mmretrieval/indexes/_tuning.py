"""How much effort a coarse index needs to reach a stated recall@10, measured on each kind of query by itself.

The recall of a search whose proposals are refined exactly is the share of the true ten among the proposals. So one
search that proposes many rows tells the recall of all that propose fewer, and nothing has to be refined.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmretrieval.indexes._coarse import Coarse, Effort, Report
from mmretrieval.indexes._scan import Span, scan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

TOP = 10
FETCHES = (20, 50, 100, 200, 400, 800, 1600)  # rows proposed for ten


class Sample(NamedTuple):
    """Queries of one kind and the slots of the true ten nearest rows of each, (q, dim) and (q, 10)."""

    queries: NDArray[np.float32]
    truth: NDArray[np.int64]


class Point(NamedTuple):
    """One effort with what it was measured to bring: recall by kind of query, and milliseconds of a query."""

    effort: Effort
    recall: Mapping[str, float]
    milliseconds: float

    def least(self) -> float:
        """The recall of the kind of query that fares worst."""
        return min(self.recall.values())

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "reach": self.effort.reach,
            "fetch": self.effort.fetch,
            "recall": {kind: round(recall, 4) for kind, recall in self.recall.items()},
            "milliseconds": round(self.milliseconds, 3),
        }


def measured(rows: Rows, queries: NDArray[np.float32]) -> Sample:
    """The queries with their true nearest rows, by exact search."""
    found = scan(rows, queries, min(TOP, rows.n), Span())
    return Sample(queries, np.stack([rows.slots(positions) for positions, _ in found]))


def like_pictures(rows: Rows, count: int, seed: int = 1) -> Sample:
    """Queries by pictures of the collection: each looks for its neighbours, and finding itself does not count."""
    positions = np.random.default_rng(seed).choice(rows.n, size=min(count, rows.n), replace=False)
    queries = rows.take(positions)
    found = scan(rows, queries, min(TOP + 1, rows.n), Span())
    others = [rows.slots(each[each != position][:TOP]) for position, (each, _) in zip(positions, found, strict=True)]
    return Sample(queries, np.stack(others))


def curve(
    index: Coarse, built: Any, samples: Mapping[str, Sample], target: float, report: Report | None = None
) -> list[Point]:
    """Efforts of rising reach until one meets the target on every kind of query, or all have been tried.

    For each reach stands the least number of proposals that meets the target, or the largest number.
    """
    points: list[Point] = []
    reaches = index.reaches()
    for reach in reaches:
        several = list(_points(index, built, samples, reach))
        enough = [point for point in several if point.least() >= target]
        points.append(enough[0] if enough else several[-1])
        if report is not None:
            report("tuning the index", len(reaches) if enough else len(points), len(reaches))
        if enough:
            break
    return points


def chosen(points: Sequence[Point], target: float) -> Point:
    """The quickest point that meets the target; where none does, the one that comes nearest to it."""
    enough = [point for point in points if point.least() >= target]
    return min(enough, key=lambda point: point.milliseconds) if enough else max(points, key=Point.least)


def _points(index: Coarse, built: Any, samples: Mapping[str, Sample], reach: int) -> Iterator[Point]:
    proposals, started, count = {}, time.process_time(), 0
    for kind, sample in samples.items():
        effort = Effort(reach, min(FETCHES[-1], int(built.ntotal)))
        proposals[kind] = [index.propose(built, query[None], effort, None)[0] for query in sample.queries]
        count += len(sample.queries)
    milliseconds = (time.process_time() - started) / count * 1e3
    for fetch in FETCHES:
        recall = {
            kind: float(
                np.mean(
                    [np.isin(truth, found[:fetch]) for truth, found in zip(sample.truth, proposals[kind], strict=True)]
                )
            )
            for kind, sample in samples.items()
        }
        yield Point(Effort(reach, fetch), recall, milliseconds)
