"""One searcher over many queries with judgements: a value per measure, and every reason to doubt it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Literal, Protocol

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.measures import Measure, parse_measures
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Qrels, Run
from mmretrieval.evaluation.summed import summed, worst
from mmretrieval.types import Query, Ranking

DEFAULT_MEASURES = "nDCG@10 R@1 R@10"
QUERIES_AT_ONCE = 64
WHOLE_RANKING = 1000  # how deep a measure without a cutoff looks, as in TREC runs


class SearchesMany(Protocol):
    """What is measured: anything that ranks a known set of images."""

    @property
    def ids(self) -> Sequence[str]: ...

    def search_all(self, queries: Sequence[Query], top_k: int) -> list[Ranking]: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The means over `queries` queries, the value of each query, and the rankings they come from."""

    measures: Mapping[str, float]
    queries: int
    by_type: Mapping[str, Mapping[str, float]]
    by_query: Mapping[str, Mapping[str, float]]
    run: Run
    left_out: tuple[str, ...] = ()  # queries without a relevant image in the qrels; they count nowhere
    warnings: tuple[str, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()  # what each stage did over all queries
    status: Literal["ok", "partial"] = "ok"  # "partial" where a stage went without replies on some query

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the rankings."""
        return {
            "measures": dict(self.measures),
            "queries": self.queries,
            "by_type": {name: dict(values) for name, values in self.by_type.items()},
            "left_out": list(self.left_out),
            "steps": [dict(step) for step in self.steps],
        }


def evaluate(
    searcher: SearchesMany,
    rows: Sequence[QueryRow],
    qrels: Qrels,
    measures: str | Sequence[Measure] = DEFAULT_MEASURES,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Search every query that has a relevant image in the qrels, and average each measure over those queries.

    A composed query's reference is excluded from its ranking. A query whose reference is not in the index counts 0
    with a warning: to leave it out would flatter the system. `progress` is told how many of how many are done.
    Raises InvalidData when queries and qrels, or qrels and index, have nothing in common.
    """
    measures = parse_measures(measures) if isinstance(measures, str) else measures
    judged = [row for row in rows if _is_judged(row, qrels)]
    left_out = tuple(row.query.id for row in rows if not _is_judged(row, qrels))
    known = frozenset(searcher.ids)
    warnings = _doubts(rows, judged, qrels, known, left_out)
    cutoffs = [measure.cutoff or WHOLE_RANKING for measure in measures]
    searchable = [row for row in judged if row.query.image_id is None or row.query.image_id in known]
    run: Run = {row.query.id: [] for row in judged}
    rankings: list[Ranking] = []
    done = 0
    for start in range(0, len(searchable), QUERIES_AT_ONCE):
        part = [_without_reference(row.query) for row in searchable[start : start + QUERIES_AT_ONCE]]
        for ranking in searcher.search_all(part, max(cutoffs)):
            run[ranking.query.id] = ranking.ids
            warnings += ranking.warnings
            rankings.append(replace(ranking, hits=()))
        done += len(part)
        if progress:
            progress(done, len(searchable))
    by_query = {qid: {str(measure): measure(ranked, qrels[qid]) for measure in measures} for qid, ranked in run.items()}
    return Evaluation(
        measures=_means(list(by_query.values()), measures),
        queries=len(judged),
        by_type=_by_type(judged, by_query, measures),
        by_query=by_query,
        run=run,
        left_out=left_out,
        warnings=tuple(dict.fromkeys(warnings)),
        steps=tuple(summed(rankings)),
        status=worst(rankings),
    )


def _is_judged(row: QueryRow, qrels: Qrels) -> bool:
    return any(grade >= 1 for grade in qrels.get(row.query.id, {}).values())


def _without_reference(query: Query) -> Query:
    return query if query.image_id is None else replace(query, exclude=query.exclude | {query.image_id})


def _doubts(
    rows: Sequence[QueryRow],
    judged: Sequence[QueryRow],
    qrels: Qrels,
    known: frozenset[str],
    left_out: Sequence[str],
) -> list[str]:
    """What does not fit between queries, qrels and index; InvalidData when nothing does."""
    if not judged:
        raise InvalidData("no query has a relevant image in the qrels: are these the qrels of these queries?")
    relevant = {image for row in judged for image, grade in qrels[row.query.id].items() if grade >= 1}
    if not relevant & known:
        example = min(relevant)
        raise InvalidData(f"no relevant image of the qrels is in the index, '{example}' for one: do the ids fit?")
    strangers = sorted(qrels.keys() - {row.query.id for row in rows})
    lost = [row.query.id for row in judged if row.query.image_id is not None and row.query.image_id not in known]
    remarks = [
        (left_out, "queries without a relevant image in the qrels are left out"),
        (strangers, "queries of the qrels that the query file lacks are left out"),
        (lost, "queries with a reference that is not in the index count 0"),
        (sorted(relevant - known), "relevant images that are not in the index cannot be found"),
    ]
    return [f"{remark}: {len(names)} ({_some(names)})" for names, remark in remarks if names]


def _some(names: Sequence[str], at_most: int = 5) -> str:
    return ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")


def _means(values: Sequence[Mapping[str, float]], measures: Sequence[Measure]) -> dict[str, float]:
    return {str(measure): fmean(each[str(measure)] for each in values) for measure in measures}


def _by_type(
    judged: Sequence[QueryRow], by_query: Mapping[str, Mapping[str, float]], measures: Sequence[Measure]
) -> dict[str, dict[str, float]]:
    types = sorted({row.type for row in judged} - {""})
    return {each: _means([by_query[row.query.id] for row in judged if row.type == each], measures) for each in types}
