"""Queries to unit vectors: one part alone, or several joined by a sum or along the arc between picture and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.first_stages._parts import Collection, Item, items_of
from mmretrieval.first_stages._usable import usable_examples
from mmretrieval.protocols import Encoder
from mmretrieval.types import Query
from mmretrieval.vectors import arc_weights, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Summand = NDArray[np.float64]

_NEAR_MEAN = 1e-3  # nearer to its mean than this, a vector's direction from it is noise: then the mean is left out
_FEEDBACK = ("like", "unlike")


@dataclass(frozen=True, slots=True)
class Sought:
    """A query as a unit vector (dim,), which is the sum of what each of its items adds to it.

    `directions` are the items' own (dim,) directions with their sign, before weights; `items` are in the same order.
    """

    query: Query
    vector: Vector
    summands: Mapping[str, Summand]
    items: tuple[Item, ...]
    directions: tuple[Summand, ...]
    warnings: tuple[str, ...] = ()

    @property
    def is_own_picture(self) -> bool:
        """Whether it seeks what is most like one picture of the collection, and nothing else."""
        return len(self.items) == 1 and self.items[0].key == "image" and self._is_stored and self.items[0].weight > 0

    @property
    def _is_stored(self) -> bool:
        return self.query.image_id is not None

    @property
    def is_product(self) -> bool:
        """Whether several things are joined by multiplying their scores, so that `vector` only finds candidates."""
        return self.query.compose == "product" and len(self.items) > 1


def vectors_of(queries: Sequence[Query], encoder: Encoder, collection: Collection) -> list[Sought]:
    """The queries as vectors, in order; see `items_of` for what is encoded and what is refused.

    Raises UsageError also for parts that cancel each other out, and for an operator that has nothing to join.
    """
    for query in queries:
        _check_meaning(query)
    made = items_of(queries, encoder, collection)
    return [_sought(query, items, collection) for query, items in zip(queries, made, strict=True)]


def _sought(query: Query, items: Sequence[Item], collection: Collection) -> Sought:
    items, warnings = usable_examples(query, items, collection)
    if len(items) == 1:
        return _alone(query, items[0], warnings)
    means = {"image": collection.image_mean, "text": collection.text_mean}
    directions = [_direction(item, means[item.kind]) for item in items]
    weights = _on_the_arc(query, items, directions) if query.compose == "slerp" else None
    if weights is None:
        weights = [abs(item.weight) for item in items]
    summands = [weight * direction for weight, direction in zip(weights, directions, strict=True)]
    total = np.sum(summands, axis=0)
    try:
        vector = unit_rows(total[None])[0]
    except InvalidData as error:
        raise UsageError(f"query '{query.id}': its parts cancel each other out: change a weight") from error
    length = np.linalg.norm(total)
    shares = {item.key: summand / length for item, summand in zip(items, summands, strict=True)}
    return Sought(query, vector, shares, tuple(items), tuple(directions), warnings)


def _alone(query: Query, item: Item, warnings: tuple[str, ...]) -> Sought:
    """A single thing is compared as it is, without its mean: by cosine."""
    vector = item.rows[0] if len(item.rows) == 1 else unit_rows(item.rows.mean(axis=0, keepdims=True))[0]
    vector = vector if item.weight > 0 else -vector
    direction = vector.astype(np.float64)
    return Sought(query, vector, {item.key: direction}, (item,), (direction,), warnings)


def _direction(item: Item, mean: Vector) -> Summand:
    """Where the item leads, seen from the mean of its kind: a unit vector, for examples the mean of such vectors.

    So examples that do not agree weigh less than ones that do. With a negative weight it leads the other way.
    """
    rows = item.rows.astype(np.float64)
    apart = rows - mean.astype(np.float64)
    is_near = np.linalg.norm(apart, axis=1) < _NEAR_MEAN
    apart[is_near] = rows[is_near]
    direction: Summand = unit_rows(apart).astype(np.float64).mean(axis=0)
    return direction if item.weight > 0 else -direction


def _on_the_arc(query: Query, items: Sequence[Item], directions: Sequence[Summand]) -> list[float] | None:
    """What each item weighs in a spherical interpolation from the pictures to the words; None with one side alone.

    A side with several items is the unit vector of their weighted sum. Examples are added to the result.
    """
    sides = {}
    for kind in ("image", "text"):
        own = [at for at, item in enumerate(items) if item.kind == kind and item.key not in _FEEDBACK]
        if own:
            total = np.sum([abs(items[at].weight) * directions[at] for at in own], axis=0)
            given = sum(max(0.0, items[at].weight) for at in own)
            sides[kind] = (own, total, given)
    if len(sides) < 2:
        return None
    if any(given == 0 or not np.linalg.norm(total) > 0 for _, total, given in sides.values()):
        raise UsageError(
            f"query '{query.id}': slerp goes from a picture to words, and one of them only leads away: use the sum"
        )
    (own_i, image, given_i), (own_t, text, given_t) = sides["image"], sides["text"]
    lengths = float(np.linalg.norm(image)), float(np.linalg.norm(text))
    cosine = float(image @ text) / (lengths[0] * lengths[1])
    arcs = arc_weights(cosine, given_t / (given_i + given_t))
    weights = [abs(item.weight) for item in items]
    for own, arc, length in zip((own_i, own_t), arcs, lengths, strict=True):
        for at in own:
            weights[at] = abs(items[at].weight) * arc / length
    return weights


def _check_meaning(query: Query) -> None:
    """UsageError where an operator is asked for that cannot join what the query is made of."""
    if query.compose == "slerp":
        has_text = bool(query.text.strip()) or any(part.text.strip() for part in query.parts)
        has_image = query.has_image or any(not part.text.strip() for part in query.parts)
        if has_text != has_image:
            have = "words" if has_text else "pictures"
            raise UsageError(f"query '{query.id}': slerp goes from a picture to words, and it has only {have}: use sum")
