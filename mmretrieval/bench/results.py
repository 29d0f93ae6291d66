"""What came out of a benchmark: every system measured on the same queries, with what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmretrieval.bench.running import Ranked
from mmretrieval.benchmarks import Benchmark
from mmretrieval.evaluation.categories import Cell, by_category
from mmretrieval.evaluation.comparison import Difference, difference
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.visdial import Round, rank_of, rounds

SUBSET_AT = (1, 2, 3)
HITS_AT = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stage took over all queries, and how often it ended in which status."""

    stage: str
    calls: int
    cached: int
    tokens: int
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the report. `by_query` holds measure to query to value; `against` compares with the first stage."""

    name: str
    about: str
    run: Mapping[str, Sequence[str]]
    by_query: Mapping[str, Mapping[str, float]]
    tables: Mapping[str, list[Cell]]
    cost: tuple[Cost, ...] = ()
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    against: tuple[Difference, ...] = ()
    rounds: tuple[Round, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def judged(benchmark: Benchmark) -> list[str]:
    """The ids of the queries with a relevant candidate, in the benchmark's order."""
    return [q.id for q in benchmark.queries if any(grade >= 1 for grade in benchmark.qrels.get(q.id, {}).values())]


def measured(
    name: str,
    about: str,
    benchmark: Benchmark,
    run: Mapping[str, Sequence[str]],
    subset_run: Mapping[str, Sequence[str]] | None = None,
    measures: Sequence[str] = (),
) -> Result:
    """A run with its values; only judged queries count, and a query without ranking counts 0."""
    queries = judged(benchmark)
    by_query: dict[str, dict[str, float]] = {}
    for measure in parse_measures(" ".join(measures or benchmark.measures)):
        by_query[str(measure)] = {q: measure(run.get(q, ()), benchmark.qrels[q]) for q in queries}
    for k in SUBSET_AT if subset_run is not None else ():
        (measure,) = parse_measures(f"R@{k}")
        assert subset_run is not None
        by_query[f"R_subset@{k}"] = {q: measure(subset_run.get(q, ()), benchmark.qrels[q]) for q in queries}
    tables = {
        measure: by_category(values, benchmark.categories, benchmark.groups, benchmark.average)
        for measure, values in by_query.items()
        if values
    }
    return Result(name, about, run, by_query, tables, rounds=tuple(_rounds(benchmark, run)))


def echoes(benchmark: Benchmark) -> int:
    """How many judged queries stand word for word as a line among the texts of a relevant candidate.

    Words alone find these at once, which says nothing about the search.
    """
    count = 0
    for query in benchmark.queries:
        grades = benchmark.qrels.get(query.id, {})
        texts = [benchmark.texts.get(each, "") for each, grade in grades.items() if grade >= 1]
        text = query.text.strip()
        count += bool(text) and any(text == line.strip() for own in texts for line in own.splitlines())
    return count


def compared(first: Result, second: Result) -> tuple[Difference, ...]:
    """Second minus first, measure by measure, paired over queries."""
    return tuple(difference(name, first.by_query[name], second.by_query[name]) for name in second.tables)


def cost_of(ranked: Sequence[Ranked]) -> tuple[Cost, ...]:
    """The sums over all queries, stage by stage, in the order in which they worked."""
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for each in ranked:
        for step in each.steps:
            stages.setdefault(step["name"], []).append(step)
    return tuple(
        Cost(
            name,
            calls=sum(step["calls"] for step in steps),
            cached=sum(step["cached"] for step in steps),
            tokens=sum(step["tokens"] for step in steps),
            statuses=dict(sorted(Counter(step["status"] for step in steps).items())),
        )
        for name, steps in stages.items()
    )


def _rounds(benchmark: Benchmark, run: Mapping[str, Sequence[str]]) -> list[Round]:
    """Hits round by round, over the dialogues all of whose rounds are judged; one target each."""
    ranks: dict[str, list[int | None]] = {}
    known = set(judged(benchmark))
    for dialogue, queries in benchmark.dialogues.items():
        if all(query in known for query in queries):
            targets = [next(i for i, grade in benchmark.qrels[query].items() if grade >= 1) for query in queries]
            ranks[dialogue] = [rank_of(run.get(q, ()), target) for q, target in zip(queries, targets, strict=True)]
    return rounds(ranks, len(benchmark.candidates), HITS_AT) if ranks else []
