"""How good settings are on a visitor's marks: measured by the package's own evaluation, with intervals, and compared.

What was never marked counts as wrong, and marks are made on what some setting showed: they favour that setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mmretrieval.evaluation.comparison import Comparison, compare
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Run
from mmretrieval.evaluation.significance import Interval, interval
from mmretrieval.types import Query, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.marks import Judged, under

MEASURES = "nDCG@10 AP@100 R@1"

Search = Callable[[SearchForm], Ranking]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """The mean of each measure with its interval over `queries` queries, the rankings behind it, and doubts."""

    values: Mapping[str, Interval]
    queries: int
    run: Run
    notes: tuple[str, ...] = ()


def measure(
    search: Search, ids: Sequence[str], judged: Judged, settings: SearchForm, progress: Progress | None = None
) -> Measured:
    """Search everything that has a right picture with these settings, and measure it.

    `ids` are those of the collection. A reference picture is no answer to its own query. `progress` is told how many
    of how many queries are done. Raises InvalidData without a picture that was marked right.
    """
    rows = [
        QueryRow(Query(name, text=name, image_id=sought.image_id, exclude=_reference(sought)))
        for name, sought in judged.sought.items()
    ]
    under_settings = _UnderSettings(search, ids, judged, settings, progress)
    found = evaluate(under_settings, rows, judged.qrels, MEASURES)
    by_query = [found.by_query[name] for name in sorted(found.by_query)]
    values = {str(each): interval([own[str(each)] for own in by_query]) for each in parse_measures(MEASURES)}
    return Measured(values, found.queries, found.run, (*_without_right(found.left_out), *found.warnings))


def against(first: Measured, second: Measured, judged: Judged) -> Comparison:
    """The second setting minus the first, query by query."""
    return compare(first.run, second.run, judged.qrels, parse_measures(MEASURES))


class _UnderSettings:
    """What `evaluate` asks of a searcher, by the search of the page: the name of a query tells its form."""

    def __init__(
        self, search: Search, ids: Sequence[str], judged: Judged, settings: SearchForm, progress: Progress | None
    ) -> None:
        self.ids = ids
        self._search, self._judged, self._settings = search, judged, settings
        self._progress, self._done = progress, 0

    def search_all(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        return [self._one(query, top_k) for query in queries]

    def _one(self, query: Query, top_k: int) -> Ranking:
        sought = self._judged.sought[query.id]
        found = self._search(under(sought, self._settings, top_k + len(query.exclude)))
        hits = tuple(hit for hit in found.hits if hit.id not in query.exclude)[:top_k]
        self._done += 1
        if self._progress:
            self._progress(self._done, len(self._judged.sought))
        return replace(found, query=query, hits=hits)


def _without_right(names: Sequence[str]) -> list[str]:
    return [f"no picture was marked right for {', '.join(names)}, so nothing is measured there"] if names else []


def _reference(sought: SearchForm) -> frozenset[str]:
    return frozenset({sought.image_id} if sought.image_id else ())
