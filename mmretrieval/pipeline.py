"""A pipeline is a list of stages: any rewriters, one first stage, then refiners and rerankers.

Mistakes of composition surface in the constructor, before any picture is opened. While it runs, the driver serves
the asks of all queries together, and what a stage returns is made whole again, so that no stage can lose an image,
invent one or fail unseen: every stage leaves a `Step` with its status on every ranking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any

from mmretrieval.asks import MLLM
from mmretrieval.composition import ChannelledCollection, check_asks, check_channels, in_order
from mmretrieval.driver import drive
from mmretrieval.errors import MMRetrievalError, NotFound, UsageError
from mmretrieval.filters.parser import both
from mmretrieval.glue import glue
from mmretrieval.pooling import is_pooled, search_pooled
from mmretrieval.stages import Candidate, Flow, Refiner, Reranked, Reranker, Rewriter, Rewritten, Stage
from mmretrieval.types import Query, Ranking, Step
from mmretrieval.under_way import OnError, Search, failure, leave_out, note_step, offered, order_so_far, settle
from mmretrieval.verdicts import Verdict, joined, of_glued, of_reranked, of_rewritten
from mmretrieval.watching import NOBODY, Following, Progress, Watch

Cut = Callable[[Sequence[Ranking]], list[Ranking]]


class Pipeline:
    """Stages in their order, with the model that answers their asks and the collection they read.

    Raises UsageError when the stages are out of order, when one needs a kind of ask that `mllm` does not answer,
    or reads a channel that the collection does not have.
    """

    def __init__(
        self, stages: Sequence[Stage], mllm: MLLM | None = None, collection: ChannelledCollection | None = None
    ) -> None:
        in_order(stages)  # so that what is no stage is told as such
        stages = [stage.suited(mllm) for stage in stages] if mllm else list(stages)
        self.rewriters, self.first_stage, self.later = in_order(stages)
        for stage in stages:
            check_asks(stage, mllm)
            check_channels(stage, collection)
        self.mllm = mllm
        self.collection = collection

    def search(
        self,
        queries: Sequence[Query],
        top_k: int = 10,
        *,
        on_error: OnError = "raise",
        cut: Cut | None = None,
        watch: Watch = NOBODY,
    ) -> list[Ranking]:
        """One ranking of at most `top_k` hits per query, in their order; each carries the query as it was given.

        When a rewriter, refiner or reranker fails on a query, `on_error="raise"` stops with an error that names
        both; `"keep"` leaves that query as it stood before the stage, with a Step of status "fallback" and a
        warning. A failing first stage always raises, since there is no older order to fall back to. `"strict"` raises
        also when a model's answer was missing, or had to be repaired before it was an order.
        A Step's seconds are the stage's wall time shared evenly among the queries it served together.
        `cut` takes hits away behind the first stage, before anything costly looks at them. `watch` is told how far
        the search is, and may stop it; the first stage is never left out, so that there is an order.
        """
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}: ask for at least one hit")
        searches = [Search(query, query, top_k) for query in queries]
        if not searches:
            return []
        for rewriter in self.rewriters:
            self._each(rewriter, searches, partial(_rewritten, rewriter), _take_query, on_error, watch)
        depths = [stage.depth for stage in self.later if isinstance(stage, Refiner | Reranker)]
        self._first(searches, max([top_k, *depths]))
        if cut:
            self._cut(searches, cut)
        for search in searches:
            watch.tell(Progress(search.given.id, self.first_stage.name, 0, 0, search.shown, ended=True))
        for stage in self.later:
            if isinstance(stage, Refiner):
                self._each(stage, searches, self._refined(stage), self._take_refined, on_error, watch)
            elif isinstance(stage, Reranker):
                take = partial(_take_order, stage.depth)
                self._each(stage, searches, self._reranked(stage), take, on_error, watch)
        return [Ranking(s.given, s.shown(), tuple(s.steps), tuple(dict.fromkeys(s.warnings))) for s in searches]

    def _each(
        self,
        stage: Stage,
        searches: Sequence[Search],
        start: Callable[[Search], Flow[Any]],
        take: Callable[[Search, Any], Verdict],
        on_error: OnError,
        watch: Watch,
    ) -> None:
        """Run one stage on every query, and take over what it returned."""
        if watch.stopped:
            leave_out(stage, searches, on_error)
            return
        starts = [partial(start, search) for search in searches]
        order = partial(order_so_far, stage, searches, start, take)
        planned = [stage.calls(offered(stage, search)) for search in searches]
        following = Following(watch, stage.name, [search.given.id for search in searches], planned, order)
        following.begun()
        began = perf_counter()
        outcomes = drive(starts, self.mllm, stage.needs, stop_at_error=on_error != "keep", listener=following)
        seconds = (perf_counter() - began) / len(searches)
        if on_error != "keep":
            for search, outcome in zip(searches, outcomes, strict=True):
                if outcome.error:
                    raise failure(stage, search, outcome.error) from outcome.error
        for search, outcome in zip(searches, outcomes, strict=True):
            note_step(stage, search, outcome, settle(stage, search, outcome, take, on_error), seconds)
        following.ended()

    def _first(self, searches: Sequence[Search], top_k: int) -> None:
        began = perf_counter()
        rankings = search_pooled(self.first_stage, [search.query for search in searches], top_k)
        seconds = (perf_counter() - began) / len(searches)
        name = self.first_stage.name
        if len(rankings) != len(searches):
            raise MMRetrievalError(f"'{name}' returned {len(rankings)} rankings for {len(searches)} queries")
        for search, ranking in zip(searches, rankings, strict=True):
            if not isinstance(ranking, Ranking):
                raise MMRetrievalError(f"'{name}' returned {type(ranking).__name__} for query '{search.given.id}'")
            search.hits = tuple(hit for hit in ranking.hits if search.allows(hit.id, self.collection))[:top_k]
            if self.later:
                search.hits = tuple(replace(hit, first_stage_rank=n) for n, hit in enumerate(search.hits, start=1))
            dropped = len(ranking.hits) - len(search.hits)
            search.warnings += ranking.warnings
            search.steps += ranking.steps
            note = f"{dropped} hits dropped that the query excludes or did not ask for" if dropped else ""
            search.steps.append(Step(name, seconds, "repaired" if dropped else "ok", note=note))

    def _cut(self, searches: Sequence[Search], cut: Cut) -> None:
        """Scores of a query that was taken apart are not those of the first stage, so nothing is cut there."""
        able = [search for search in searches if not is_pooled(search.query)]
        for search in searches:
            if is_pooled(search.query):
                told = "it was taken apart, and scores of parts have no cutoff"
                search.warnings.append(f"query '{search.given.id}': {told}, so nothing was cut")
        rankings = cut([Ranking(search.query, search.hits) for search in able]) if able else []
        for search, ranking in zip(able, rankings, strict=True):
            search.hits = ranking.hits
            search.steps += ranking.steps
            search.warnings += ranking.warnings

    def _refined(self, stage: Refiner) -> Callable[[Search], Ranking]:
        def start(search: Search) -> Ranking:
            return stage.refine(Ranking(search.query, search.hits), self._read())

        return start

    def _reranked(self, stage: Reranker) -> Callable[[Search], Flow[Any]]:
        def start(search: Search) -> Flow[Any]:
            collection = self._read()
            offered = search.hits[: stage.depth]
            if not offered:
                return []  # so that no method has to think of it
            return stage.rerank(search.query, [Candidate(collection.record(h.id), h, collection) for h in offered])

        return start

    def _take_refined(self, search: Search, value: Any) -> Verdict:
        if not isinstance(value, Ranking):
            raise MMRetrievalError(f"a ranking was expected, and {type(value).__name__} came back")

        def welcome(record_id: str) -> bool:
            return self._holds(record_id) and search.allows(record_id, self.collection)

        glued = glue(value.hits, search.hits, len(search.hits), welcome, adds=True)
        search.warnings += value.warnings
        # a refiner may well find better images than the ones it was given, so those it left out need no remark
        verdict = of_glued(search.hits, replace(glued, forgotten=0))
        search.hits = glued.hits
        return replace(verdict, note=joined(*(step.note for step in value.steps), verdict.note))

    def _holds(self, record_id: str) -> bool:
        try:
            self._read().record(record_id)
        except NotFound:
            return False
        return True

    def _read(self) -> ChannelledCollection:
        assert self.collection is not None, "the constructor refuses later stages without a collection"
        return self.collection


def _rewritten(stage: Rewriter, search: Search) -> Flow[Any]:
    return stage.rewrite(search.query)


def _take_query(search: Search, value: Any) -> Verdict:
    """The rewritten query, under its old id and never with fewer restrictions than before."""
    told = Rewritten(value) if isinstance(value, Query) else value
    if not isinstance(told, Rewritten):
        raise MMRetrievalError(f"a query was expected, and {type(value).__name__} came back")
    old, value = search.query, told.query
    within = value.within if old.within is None else old.within & (old.within if value.within is None else value.within)
    kept = replace(
        value, id=old.id, exclude=old.exclude | value.exclude, within=within, filter=both(old.filter, value.filter)
    )
    lost = (kept.id, kept.exclude, kept.within, kept.filter) != (value.id, value.exclude, value.within, value.filter)
    search.query = kept
    note = f"{old.text!r} became {kept.text!r}" if old.text != kept.text else ""
    return of_rewritten(told, note, lost=lost)


def _take_order(depth: int, search: Search, value: Any) -> Verdict:
    told = value if isinstance(value, Reranked) else Reranked(value)
    glued = glue(told.hits, search.hits, depth)
    verdict = of_reranked(search.hits, glued, told, depth)
    search.hits = glued.hits
    return verdict
