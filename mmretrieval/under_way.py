"""One query on its way through the stages of a pipeline, and what becomes of it when one of them ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from mmretrieval.asks import STOPPED, Reply
from mmretrieval.composition import ChannelledCollection, keeps
from mmretrieval.driver import Outcome, drive
from mmretrieval.errors import MMRetrievalError
from mmretrieval.stages import Flow, Refiner, Reranker, Stage
from mmretrieval.types import Hit, Query, Step
from mmretrieval.verdicts import Verdict, with_failed_asks
from mmretrieval.watching import Heard

OnError = Literal["raise", "keep", "strict"]


@dataclass(slots=True)
class Search:
    """One query on its way through the stages."""

    given: Query
    query: Query  # as the rewriters left it
    top_k: int
    hits: tuple[Hit, ...] = ()
    steps: list[Step] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def shown(self) -> tuple[Hit, ...]:
        """What is returned when it ends as it stands."""
        return self.hits[: self.top_k]

    def allows(self, record_id: str, collection: ChannelledCollection | None) -> bool:
        """Whether the query may return it; a filter is asked of the collection."""
        query = self.query
        is_left_out = record_id in query.exclude or record_id in query.unlike
        if is_left_out or not (query.within is None or record_id in query.within):
            return False
        return not query.filter or collection is None or keeps(collection, query.filter, record_id)


def note_step(stage: Stage, search: Search, outcome: Outcome[Any], verdict: Verdict, seconds: float) -> None:
    """The stage's step, and what the user should be warned of."""
    search.steps.append(
        Step(
            stage.name,
            seconds,
            verdict.status,
            calls=outcome.calls,
            cached=outcome.cached,
            tokens=outcome.tokens,
            moved=verdict.moved,
            note=verdict.note,
            parsed=verdict.parsed,
            tau=verdict.tau,
            flips=verdict.flips,
            unanswered=len(outcome.failures),
        )
    )
    if outcome.failures:
        search.warnings.append(f"'{stage.name}' went without replies of the language model: {outcome.failures[0]}")
    elif verdict.status == "fallback" and verdict.parsed:
        search.warnings.append(f"'{stage.name}' could not read what the language model wrote, and went without")
    elif verdict.idle:
        search.warnings.append(f"'{stage.name}' left the order as it was: {verdict.note}")


def leave_out(stage: Stage, searches: Sequence[Search], on_error: OnError) -> None:
    """A stage that was not reached before the stop."""
    for search in searches:
        if on_error == "strict":
            raise failure(stage, search, MMRetrievalError(STOPPED))
        search.steps.append(Step(stage.name, status="fallback", note=f"left out: {STOPPED}"))
        search.warnings.append(f"'{stage.name}' was left out: {STOPPED}")


def offered(stage: Stage, search: Search) -> int:
    """How many hits the stage will look at."""
    return min(stage.depth, len(search.hits)) if isinstance(stage, Refiner | Reranker) else 0


def order_so_far(
    stage: Stage,
    searches: Sequence[Search],
    start: Callable[[Search], Flow[Any]],
    take: Callable[[Search, Any], Verdict],
    number: int,
    replies: Mapping[int, Reply],
) -> tuple[Hit, ...]:
    """What a query's hits become when its stage gets no further replies."""
    search = searches[number]
    if not replies or not search.hits:
        return search.shown()
    trial = replace(search, steps=[], warnings=[])
    [outcome] = drive([partial(start, trial)], Heard(replies), stage.needs, stop_at_error=False)
    settle(stage, trial, outcome, take, "keep")
    return trial.shown()


def settle(
    stage: Stage,
    search: Search,
    outcome: Outcome[Any],
    take: Callable[[Search, Any], Verdict],
    on_error: OnError,
) -> Verdict:
    """Take over what a stage returned; where it failed, by `on_error`: an error, or the order of before."""
    error = outcome.error
    if error is None:
        try:
            verdict = with_failed_asks(take(search, outcome.value), outcome)
        except MMRetrievalError as refused:
            error = refused
        else:
            if on_error == "strict" and verdict.status != "ok":
                raise failure(stage, search, MMRetrievalError(f"{verdict.status}, {verdict.note}"))
            return verdict
    failed = failure(stage, search, error)
    if on_error != "keep":
        raise failed from error
    search.warnings.append(f"{failed}; the order before it was kept")
    return Verdict("fallback", _reason(error))


def failure(stage: Stage, search: Search, error: Exception) -> MMRetrievalError:
    """The error that names stage and query."""
    return MMRetrievalError(f"'{stage.name}' failed on query '{search.given.id}': {_reason(error)}")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, MMRetrievalError) else f"{type(error).__name__}: {error}"
