"""What a method returned, made whole: no image lost, none invented, none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mmretrieval.errors import MMRetrievalError
from mmretrieval.types import Hit


@dataclass(frozen=True, slots=True)
class Glued:
    """A complete order, and how much of it had to be mended."""

    hits: tuple[Hit, ...]
    dropped: int = 0  # returned, but unknown or a second time
    forgotten: int = 0  # offered, but not returned

    @property
    def note(self) -> str:
        parts = [
            f"{self.dropped} unknown or repeated hits dropped" if self.dropped else "",
            f"{self.forgotten} candidates kept behind in their old order" if self.forgotten else "",
        ]
        return "; ".join(part for part in parts if part)


def glue(
    returned: Iterable[Hit],
    old: Sequence[Hit],
    depth: int,
    welcome: Callable[[str], bool] = lambda _: False,
    *,
    adds: bool = False,
) -> Glued:
    """The returned hits, then the candidates (`old[:depth]`) that were forgotten, then the untouched tail.

    A returned hit counts when it is among the candidates, or, for what a refiner brings, when its id is `welcome`.
    It inherits what it does not state itself: path, reason, details and the first stage's rank. A refiner's scores
    are added to those of before (`adds`), a reranker's take their place.
    """
    offered = {hit.id: hit for hit in old[:depth]}
    tail = {hit.id for hit in old[depth:]}
    placed: dict[str, Hit] = {}
    dropped = 0
    for hit in _hits(returned):
        known = hit.id in offered or (hit.id not in tail and welcome(hit.id))
        if hit.id in placed or not known:
            dropped += 1
        else:
            placed[hit.id] = _with_evidence(hit, offered.get(hit.id), adds=adds)
    forgotten = [hit for hit in old[:depth] if hit.id not in placed]
    return Glued((*placed.values(), *forgotten, *old[depth:]), dropped, len(forgotten))


def moved(before: Sequence[Hit], after: Sequence[Hit]) -> int:
    """How many hits of `after` stand at another place than in `before`, new ones included."""
    place = {hit.id: rank for rank, hit in enumerate(before)}
    return sum(place.get(hit.id) != rank for rank, hit in enumerate(after))


def _hits(returned: object) -> list[Hit]:
    if not isinstance(returned, Iterable):
        raise MMRetrievalError(f"a list of hits was expected, and {type(returned).__name__} came back")
    hits = list(returned)
    for thing in hits:
        if not isinstance(thing, Hit) or not isinstance(thing.id, str):
            raise MMRetrievalError(f"a list of hits was expected, and it holds {type(thing).__name__}")
    return hits


def _with_evidence(hit: Hit, old: Hit | None, *, adds: bool) -> Hit:
    if old is None:
        return hit
    hit = replace(
        hit,
        path=hit.path or old.path,
        why=hit.why or old.why,
        duplicates=hit.duplicates or old.duplicates,
        details={**old.details, **hit.details},
        first_stage_rank=old.first_stage_rank,
    )
    if adds:
        return replace(hit, scores={**old.scores, **hit.scores}, shares={**old.shares, **hit.shares})
    return hit if hit.by == old.by else _with_own_scores(hit, old)


def _with_own_scores(hit: Hit, old: Hit) -> Hit:
    """A reranked hit: its scores add up to its score, and those of before stand in its details."""
    stated = hit.scores if hit.scores != old.scores else {}
    own = stated or ({} if hit.score is None else {hit.by: hit.score})
    before = {"by": old.by, "score": old.score, "scores": dict(old.scores), "shares": dict(old.shares)}
    return replace(hit, scores=own, shares={}, details={"first_stage": before, **hit.details})
