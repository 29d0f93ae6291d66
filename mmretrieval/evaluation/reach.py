"""How far a reranker could get: an oracle over the first so many, and the depth from which more brings little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.measures import Measure
from mmretrieval.evaluation.significance import Interval, interval

DEPTHS = (5, 10, 20, 50, 100)
ENOUGH = 0.95  # of what the deepest look could reach


@dataclass(frozen=True, slots=True)
class Reach:
    """What a perfect reranker makes of a run at each depth, and the smallest depth that is enough."""

    measure: str
    queries: int
    now: Interval
    at: Mapping[int, Interval]
    depth: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": {str(depth): asdict(value) for depth, value in self.at.items()}}


def oracle(
    run: Mapping[str, Sequence[str]], qrels: Mapping[str, Mapping[str, int]], depth: int
) -> dict[str, list[str]]:
    """The run as a reranker that knows the judgements leaves it: the first `depth` by grade, the rest as it was."""
    best = {}
    for query, ranked in run.items():
        grades = qrels.get(query, {})
        head = sorted(ranked[:depth], key=lambda each: -max(grades.get(each, 0), 0))
        best[query] = [*head, *ranked[depth:]]
    return best


def reach(
    run: Mapping[str, Sequence[str]],
    qrels: Mapping[str, Mapping[str, int]],
    measure: Measure,
    depths: Sequence[int] = DEPTHS,
) -> Reach:
    """The oracle at each depth, and the smallest depth that reaches ENOUGH of the deepest.

    This is an upper bound: what stands below a depth no reranker of that depth can bring up. Only queries with a
    relevant image count. Raises InvalidData when there is none.
    """
    queries = sorted(q for q in run if any(grade >= 1 for grade in qrels.get(q, {}).values()))
    if not queries:
        raise InvalidData("no query of the run has a relevant image, so there is nothing to rerank for")
    at = {depth: _mean(oracle(run, qrels, depth), qrels, measure, queries) for depth in sorted(depths)}
    most = max(value.mean for value in at.values())
    depth = next(depth for depth, value in at.items() if value.mean >= ENOUGH * most)
    return Reach(str(measure), len(queries), _mean(run, qrels, measure, queries), at, depth)


def _mean(
    run: Mapping[str, Sequence[str]], qrels: Mapping[str, Mapping[str, int]], measure: Measure, queries: Sequence[str]
) -> Interval:
    return interval([measure(run[query], qrels[query]) for query in queries])
