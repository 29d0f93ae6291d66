"""What all methods do that show candidates side by side: find out what is sought, open, show, and blend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from mmretrieval.rerankers._asked import NOTHING_TO_ASK, Asked, asked
from mmretrieval.rerankers._blend import Join, blended
from mmretrieval.rerankers._orders import Asking, Note, Pass, in_orders
from mmretrieval.rerankers._pictures import LONG_SIDE, pictures
from mmretrieval.rerankers._sureness import noted, steady_share
from mmretrieval.stages import Candidate, Reranked
from mmretrieval.types import Query

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Shown:
    """What is sought, and the candidates whose picture can be shown, with their pictures, in their old order."""

    query: Query
    sought: Asked
    candidates: Sequence[Candidate]
    images: Sequence[Image]


# Values the candidates, shown in the order of these places.
Look: TypeAlias = Callable[[Shown, list[int]], Asking[Pass]]


def side_by_side(
    name: str,
    query: Query,
    candidates: Sequence[Candidate],
    look: Look,
    *,
    orders: int,
    alpha: float,
    join: Join,
    long_side: int = LONG_SIDE,
) -> Asking[Reranked]:
    """The candidates as `look` values them in so many orders of showing, blended with the order they stand in.

    The more pairs another order of showing turns round, the less than `alpha` is the model's share, see `_sureness`.
    Those whose picture cannot be opened are not shown, and stay about where they are. Nothing is asked for a single
    candidate, nor for a query that a model cannot be told.
    """
    if len(candidates) < 2:
        return Reranked([candidate.hit for candidate in candidates])
    sought = asked(query, candidates[0].collection)
    if not sought.said and sought.reference is None:
        return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ASK)
    opened = pictures(candidates, long_side)
    places = [place for place, image in enumerate(opened.images) if image is not None]
    images = [image for image in opened.images if image is not None]
    shown = Shown(query, sought, [candidates[place] for place in places], images)
    told = yield from in_orders(len(images), orders, partial(look, shown))
    values: list[float | None] = [None] * len(candidates)
    notes = [Note()] * len(candidates)
    for at, place in enumerate(places):
        values[place], notes[place] = told.values[at], told.notes.get(at, Note())
    share = steady_share(alpha, told.flips)
    return blended(
        name,
        candidates,
        values,
        alpha=share,
        join=join,
        whys=[note.why or _told(value, values) for note, value in zip(notes, values, strict=True)],
        details=[note.details for note in notes],
        parsed=told.parsed,
        flips=told.flips,
        note=noted(share, alpha, opened.note),
    )


def _told(value: float | None, values: Sequence[float | None]) -> str:
    """The place of a candidate by the model's word alone; nothing where it said nothing of it."""
    if value is None:
        return ""
    said = [each for each in values if each is not None]
    return f"place {1 + sum(each > value for each in said)} of {len(said)} by the model"
