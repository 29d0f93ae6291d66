"""What a searcher does around its pipeline: as many hits as were asked for, after near-duplicates were folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from mmretrieval.near_duplicates import collapse
from mmretrieval.pipeline import Cut, Pipeline
from mmretrieval.types import Hit, Query, Ranking, Step
from mmretrieval.under_way import OnError
from mmretrieval.watching import NOBODY, Progress, Watch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MORE = 20  # hits fetched beyond twice what is asked for
_FACTOR = 4  # how many times more when those were too many duplicates


class Collection(Protocol):
    """What is read of a collection."""

    @property
    def count(self) -> int: ...

    def vectors(self, channel: str, ids: Sequence[str]) -> NDArray[np.float32]: ...

    def matching(self, expression: str) -> NDArray[np.int64]: ...


def search(
    pipeline: Pipeline,
    collection: Collection,
    queries: Sequence[Query],
    top_k: int,
    *,
    cut: Cut | None = None,
    threshold: float | None = None,
    on_error: OnError = "raise",
    watch: Watch = NOBODY,
) -> list[Ranking]:
    """The pipeline's rankings; with a threshold near-duplicates are folded last, see `near_duplicates`.

    Then more hits are fetched than asked for, and if too many of them were duplicates the pipeline runs again for
    that query, for four times as many, until there are `top_k` or no more: all steps of all runs are told. A hit's
    `duplicates` are those among the hits that were fetched. A search that was stopped does not run again.
    """
    found: dict[int, Ranking] = {}
    steps: dict[int, tuple[Step, ...]] = {}
    pending = list(range(len(queries)))
    fetch = top_k if threshold is None else 2 * top_k + _MORE
    watch = watch if threshold is None else _watched(watch, collection, threshold, top_k)
    while pending:
        asked = [queries[number] for number in pending]
        rankings = pipeline.search(asked, fetch, on_error=on_error, cut=cut, watch=watch)
        for number, ranking in zip(pending, rankings, strict=True):
            steps[number] = (*steps.get(number, ()), *ranking.steps)
            finished = ranking if threshold is None else _collapsed(ranking, collection, threshold)
            is_all = threshold is None or len(ranking.hits) < fetch or fetch >= collection.count or watch.stopped
            if is_all or len(finished.hits) >= top_k:
                last = finished.steps[len(ranking.steps) :]
                warnings = (*finished.warnings, *_few(ranking.query, collection, top_k))
                found[number] = replace(
                    finished, hits=finished.hits[:top_k], steps=(*steps[number], *last), warnings=warnings
                )
        pending = [number for number in pending if number not in found]
        fetch *= _FACTOR
    return [found[number] for number in range(len(queries))]


def _collapsed(ranking: Ranking, collection: Collection, threshold: float) -> Ranking:
    began = perf_counter()
    hits = collapse(ranking.hits, collection.vectors("image", ranking.ids), threshold)
    note = f"{len(ranking.hits) - len(hits)} of {len(ranking.hits)} folded at a cosine of {threshold:g} or more"
    step = Step("near_duplicates", perf_counter() - began, note=note)
    return replace(ranking, hits=hits, steps=(*ranking.steps, step))


def _watched(watch: Watch, collection: Collection, threshold: float, top_k: int) -> Watch:
    """The order on the way has its near-duplicates folded, too."""

    def tell(progress: Progress) -> None:
        def folded() -> tuple[Hit, ...]:
            hits = progress.order()
            return collapse(hits, collection.vectors("image", [hit.id for hit in hits]), threshold)[:top_k]

        watch.tell(replace(progress, order=folded))

    return replace(watch, progress=tell if watch.progress else None)


def _few(query: Query, collection: Collection, top_k: int) -> list[str]:
    if not query.filter:
        return []
    kept = len(collection.matching(query.filter))
    if not 0 < kept < top_k:
        return []
    return [f"query '{query.id}': only {kept} records match the filter, fewer than the {top_k} asked for"]
