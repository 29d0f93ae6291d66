"""One rerank of a search, in the background: the order before it, how far it is, and what the model saw and said."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mmretrieval.types import Hit, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.seen import MOST, MOST_WEIGHT, Seen, seen
from mmretrieval.web.page.work import Work

if TYPE_CHECKING:
    from mmretrieval.watching import Exchange, Progress
    from mmretrieval.web.desk import Desk

DEPTH = "depth"
_SECONDS_BETWEEN_ORDERS = 1.0  # an order so far costs as much as opening the candidates' pictures


@dataclass(frozen=True, slots=True)
class Far:
    """How far a rerank is: so many of at most so many answers, in this stage; `order` is the best so far."""

    before: Ranking
    stage: str = ""
    done: int = 0
    planned: int = 0
    order: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """Both orders of a form, and what the model was asked on the way; `unseen` more questions were not kept."""

    form: SearchForm
    before: Ranking
    after: Ranking
    seen: tuple[Seen, ...] = ()
    unseen: int = 0


def with_depth(chosen: Sequence[str], depth: int) -> tuple[str, ...]:
    """The methods as the command line takes them, each looking at so many of the best unless it says otherwise."""
    return tuple(_deep(spec.strip(), depth) for spec in chosen if spec.strip())


def rerank(desk: Desk, form: SearchForm, *, clock: Callable[[], float] = time.monotonic) -> Work[Far, Done]:
    """Search without the form's rerankers, then with them; a stop gives the best order so far.

    What fails is raised where the result is asked for, as `Desk.search` raises it.
    """

    def call(tell: Callable[[Far], None], stopped: Callable[[], bool]) -> Done:
        before = desk.search(form.model_copy(update={"rerank": ()}))
        follower = _Follower(before, tell, clock)
        tell(Far(before, order=before.hits))
        after = desk.search(form, progress=follower.progress, stop=stopped, trace=follower.trace)
        return Done(form, before, after, tuple(follower.seen), follower.unseen)

    return Work(call)


@dataclass(slots=True)
class _Follower:
    """Makes what a search tells into something to show, not more often than it is worth."""

    before: Ranking
    tell: Callable[[Far], None]
    clock: Callable[[], float]
    seen: list[Seen] = field(default_factory=list)
    unseen: int = 0
    _order: tuple[Hit, ...] = ()
    _ordered: float = 0.0

    def progress(self, progress: Progress) -> None:
        if not progress.planned:
            return  # a stage that asks nothing is over before anybody could look
        now = self.clock()
        if not self._order or progress.ended or now - self._ordered >= _SECONDS_BETWEEN_ORDERS:
            self._order, self._ordered = progress.order(), now
        self.tell(Far(self.before, progress.stage, progress.done, progress.planned, self._order))

    def trace(self, exchange: Exchange) -> None:
        if len(self.seen) >= MOST or sum(each.weight for each in self.seen) >= MOST_WEIGHT:
            self.unseen += 1
            return
        self.seen.append(seen(exchange))


def _deep(spec: str, depth: int) -> str:
    name, _, settings = spec.partition(":")
    if any(pair.partition("=")[0].strip() == DEPTH for pair in settings.split(",")):
        return spec
    return f"{name}:{settings},depth={depth}" if settings else f"{name}:depth={depth}"
