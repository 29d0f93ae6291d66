"""Stand-ins: queries of the same make as a given one, out of a collection's own captions and pictures.

Words become the caption of some record, a picture another record's picture, with the same weights, operator and
filter. A stand-in knows what it was made of: that, and its near-duplicates, are what belongs to it. With a picture
and words, the words are the caption of a similar record, as a change is wanted of something near.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmretrieval.creation import NEUTRAL_TEXTS
from mmretrieval.near_duplicates import THRESHOLD
from mmretrieval.stages import FirstStage
from mmretrieval.types import ImageRecord, Part, Query, Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 128
FEWEST = 16  # captions, below which neutral sentences take their place
_LOOKED_AT = 1024  # records among which captions are sought
_NEIGHBOURS = 8


class Collection(Protocol):
    """What is read of a collection."""

    @property
    def ids(self) -> Sequence[str]: ...

    def records(self, ids: Sequence[str]) -> list[ImageRecord]: ...

    def vectors(self, channel: str, ids: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A record that stand-ins are made of, with records near to it, nearest first, but for its near-duplicates."""

    record: ImageRecord
    near: tuple[ImageRecord, ...]


@dataclass(frozen=True, slots=True)
class StandIn:
    """A query like the given one, with the ids of the records whose captions and pictures it asks for."""

    query: Query
    made_of: tuple[str, ...]


class StandIns:
    """Makes stand-ins, at most 128 for a query; which records they are made of is chosen once."""

    def __init__(self, stage: FirstStage, collection: Collection) -> None:
        """`stage` finds the records near to a picture."""
        self._stage = stage
        self._collection = collection
        self._anchors: list[_Anchor] | None = None

    def of(self, query: Query) -> list[StandIn]:
        """The stand-ins; those are left out for which a record has too few neighbours to play all parts."""
        if self._anchors is None:
            self._anchors = self._found_anchors()
        return list(self._played(query, self._anchors))

    def _played(self, query: Query, anchors: Sequence[_Anchor]) -> Iterator[StandIn]:
        has_captions = bool(anchors) and bool(anchors[0].record.caption.strip())
        for number, anchor in enumerate(anchors):
            other = anchors[(number + len(anchors) // 2) % len(anchors)]
            sentence = NEUTRAL_TEXTS[number % len(NEUTRAL_TEXTS)]
            made = _Casting(anchor, other, "" if has_captions else sentence).play(query)
            if made is not None:
                yield made

    def _found_anchors(self) -> list[_Anchor]:
        """Records from all over the collection, those with captions if there are enough."""
        ids = self._collection.ids
        records = self._collection.records([ids[place] for place in _spread(len(ids), _LOOKED_AT)])
        with_caption = [record for record in records if record.caption.strip()]
        chosen = with_caption if len(with_caption) >= FEWEST else records
        chosen = [chosen[place] for place in _spread(len(chosen), MOST)]
        rankings = self._stage.search([Query(image_id=record.id) for record in chosen], _NEIGHBOURS + 1)
        return [self._anchor(record, ranking) for record, ranking in zip(chosen, rankings, strict=True)]

    def _anchor(self, record: ImageRecord, ranking: Ranking) -> _Anchor:
        others = unlike_all(self._collection, ranking.ids, [record.id])
        near = self._collection.records(others)
        return _Anchor(record, tuple(one for one in near if one.caption.strip() or not record.caption))


def unlike_all(collection: Collection, ids: Sequence[str], those: Sequence[str]) -> list[str]:
    """The ids, in order, but for those records and their near-duplicates."""
    if not ids or not those:
        return list(ids)
    rows = collection.vectors("image", [*ids, *those]).astype(np.float64)
    nearest = (rows[: len(ids)] @ rows[len(ids) :].T).max(axis=1)
    return [name for name, cosine in zip(ids, nearest, strict=True) if cosine < THRESHOLD and name not in those]


class _NoneLeft(Exception):
    """There are more roles than records; StopIteration would not leave the generators in which roles are given."""


def _next(cast: Iterator[ImageRecord]) -> ImageRecord:
    for record in cast:
        return record
    raise _NoneLeft


class _Casting:
    """Gives the roles of one query to one anchor and its neighbours, in turn; what leads away, to another anchor."""

    def __init__(self, anchor: _Anchor, other: _Anchor, sentence: str) -> None:
        """`sentence` stands for all words where there are no captions."""
        self.anchor = anchor
        self.sentence = sentence
        self.cast = iter((anchor.record, *anchor.near))
        self.opposite = iter((other.record, *other.near))
        self.used: list[str] = []

    def play(self, query: Query) -> StandIn | None:
        """The stand-in; None when the query has more roles than the anchor has neighbours."""
        try:
            image_id = self.picture() if query.has_image else None
            like = tuple(self.picture() for _ in query.like)
            text = self.words() if query.text.strip() else ""
            parts = tuple(self.part(part) for part in query.parts)
            target = self.words() if query.target.strip() else ""
            unlike = tuple(_next(self.opposite).id for _ in query.unlike)
        except _NoneLeft:
            return None
        made = replace(
            query,
            id=f"stand-in {self.anchor.record.id}",
            text=text,
            image=None,
            image_id=image_id,
            like=like,
            unlike=unlike,
            parts=parts,
            target=target,
        )
        return StandIn(made, tuple(self.used))

    def picture(self) -> str:
        record = _next(self.cast)
        self.used.append(record.id)
        return record.id

    def words(self) -> str:
        if self.sentence:
            return self.sentence
        record = _next(self.cast)
        self.used.append(record.id)
        return record.caption

    def part(self, part: Part) -> Part:
        if part.weight < 0:
            record = _next(self.opposite)
            if part.text:
                return Part(text=self.sentence or record.caption, weight=part.weight)
            return Part(image_id=record.id, weight=part.weight)
        if part.text:
            return Part(text=self.words(), weight=part.weight)
        return Part(image_id=self.picture(), weight=part.weight)


def _spread(count: int, most: int) -> list[int]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64)).tolist() if count else []
