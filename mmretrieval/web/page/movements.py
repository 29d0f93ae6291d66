"""How far each picture moved between two orders of the same search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmretrieval.types import Hit


@dataclass(frozen=True, slots=True)
class Movement:
    """One hit of the later order: its 1-based place now, and before; None where it was not shown before."""

    hit: Hit
    rank: int
    was: int | None

    @property
    def places(self) -> int:
        """How many places it rose, negative where it fell; 0 for one that stayed or that is new."""
        return 0 if self.was is None else self.was - self.rank

    @property
    def kind(self) -> str:
        """One word: "new", "up", "down" or "same"."""
        if self.was is None:
            return "new"
        return "up" if self.places > 0 else "down" if self.places else "same"

    @property
    def words(self) -> str:
        """For people, and for screen readers."""
        if self.kind in ("new", "same"):
            return {"new": "was not among the first", "same": "same place"}[self.kind]
        count = abs(self.places)
        return f"{self.kind} {count} {'place' if count == 1 else 'places'}, was {self.was}"


def movements(before: Sequence[Hit], after: Sequence[Hit]) -> list[Movement]:
    """A movement for each hit of `after`, in its order; both orders are best first."""
    places = {hit.id: rank for rank, hit in enumerate(before, start=1)}
    return [Movement(hit, rank, places.get(hit.id)) for rank, hit in enumerate(after, start=1)]


def gone(before: Sequence[Hit], after: Sequence[Hit]) -> list[tuple[int, Hit]]:
    """The hits that only `before` holds, with their 1-based places there."""
    kept = {hit.id for hit in after}
    return [(rank, hit) for rank, hit in enumerate(before, start=1) if hit.id not in kept]
