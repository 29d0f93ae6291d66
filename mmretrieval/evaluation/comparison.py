"""Two runs side by side, query by query: means, paired difference with interval and p-value, wins, losses, extremes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.measures import Measure
from mmretrieval.evaluation.significance import Interval, interval, p_value

EXTREMES = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of two runs: B minus A. `by_query` is sorted by query id; wins are queries where B is better."""

    measure: str
    first: float
    second: float
    delta: Interval
    p: float
    wins: int
    losses: int
    by_query: Mapping[str, float]

    @property
    def ties(self) -> int:
        return len(self.by_query) - self.wins - self.losses

    @property
    def best(self) -> list[tuple[str, float]]:
        """The queries that gain most, at most 5, the largest gain first."""
        return [pair for pair in self._sorted(-1) if pair[1] > 0][:EXTREMES]

    @property
    def worst(self) -> list[tuple[str, float]]:
        """The queries that lose most, at most 5, the largest loss first."""
        return [pair for pair in self._sorted(1) if pair[1] < 0][:EXTREMES]

    def _sorted(self, sign: int) -> list[tuple[str, float]]:
        return sorted(self.by_query.items(), key=lambda pair: (sign * pair[1], pair[0]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with the difference of every query."""
        return {
            "measure": self.measure,
            "a": self.first,
            "b": self.second,
            "delta": self.delta.mean,
            "interval": [self.delta.low, self.delta.high],
            "p": self.p,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "best": [list(pair) for pair in self.best],
            "worst": [list(pair) for pair in self.worst],
            "by_query": dict(self.by_query),
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """All measures over the same queries, with what did not fit between the runs and the judgements."""

    differences: tuple[Difference, ...]
    queries: int
    warnings: tuple[str, ...] = ()


def compare(
    first: Mapping[str, Sequence[str]],
    second: Mapping[str, Sequence[str]],
    qrels: Mapping[str, Mapping[str, int]],
    measures: Sequence[Measure],
) -> Comparison:
    """Compare two runs on every query with a relevant image; a query that a run lacks counts 0 there, and is told.

    Raises InvalidData when the runs and the judgements share no query.
    """
    judged = sorted(query for query, grades in qrels.items() if any(grade >= 1 for grade in grades.values()))
    shared = [query for query in judged if query in first or query in second]
    if not shared:
        raise InvalidData("no query of the runs has a relevant image in the qrels: do they belong together?")
    differences = tuple(_difference(measure, first, second, qrels, shared) for measure in measures)
    return Comparison(differences, len(shared), tuple(_doubts(first, second, judged, shared)))


def difference(measure: str, first: Mapping[str, float], second: Mapping[str, float]) -> Difference:
    """The comparison of one measure from its values per query; both must have the same queries."""
    if first.keys() != second.keys():
        raise InvalidData(f"{measure} was measured on different queries, so the values cannot be paired")
    deltas = {query: second[query] - first[query] for query in sorted(first)}
    values = list(deltas.values())
    return Difference(
        measure,
        fmean(first.values()),
        fmean(second.values()),
        interval(values),
        p_value(values),
        wins=sum(value > 0 for value in values),
        losses=sum(value < 0 for value in values),
        by_query=deltas,
    )


def _difference(
    measure: Measure,
    first: Mapping[str, Sequence[str]],
    second: Mapping[str, Sequence[str]],
    qrels: Mapping[str, Mapping[str, int]],
    queries: Sequence[str],
) -> Difference:
    values = [{query: measure(run.get(query, ()), qrels[query]) for query in queries} for run in (first, second)]
    return difference(str(measure), *values)


def _doubts(
    first: Mapping[str, Sequence[str]],
    second: Mapping[str, Sequence[str]],
    judged: Sequence[str],
    shared: Sequence[str],
) -> list[str]:
    lacking = [
        (sorted(set(judged) - set(shared)), "judged queries that neither run has are left out"),
        (sorted(set(shared) - first.keys()), "queries that the first run lacks count 0 there"),
        (sorted(set(shared) - second.keys()), "queries that the second run lacks count 0 there"),
        (sorted((first.keys() | second.keys()) - set(judged)), "queries without a relevant image are left out"),
    ]
    return [f"{remark}: {len(names)} ({', '.join(names[:5])})" for names, remark in lacking if names]
