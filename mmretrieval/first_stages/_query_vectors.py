"""Queries to unit vectors.

What is asked for - words, pictures, or both - is the base: one thing as it is, several of one kind as their weighted
sum, and words with pictures as the weighted sum of their directions from the mean of their kind, or along the arc
between these. Then what was marked or is to be avoided leads the base, itself a unit vector, some way towards or
away from its own direction from the mean: words to avoid, examples, counter-examples, as in Rocchio's feedback. So a
query without such marks is the same query as with marks of no weight.

A described target takes its share of the base: unit((1 - share) base + share target), both unit vectors, which is
SQUARE's first stage (arXiv 2509.26330). With the share 0 there is only the base, with 1 only the target.

Words alone stay as they are, since the mean was taken of whole captions and a word or two lie elsewhere: without it
they find more (assets/reports/composed.md). Between kinds the means must go, or what all pictures and all texts share
outweighs what they say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._parts import TARGET, Collection, Item, items_of
from mmretrieval.first_stages._usable import FLOOR, usable_examples
from mmretrieval.protocols import Encoder
from mmretrieval.types import Query
from mmretrieval.vectors import arc_weights, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]
    Summand = NDArray[np.float64]

_NEAR_MEAN = 1e-3  # nearer to its mean than this, a vector's direction from it is noise: then the mean is left out


@dataclass(frozen=True, slots=True)
class Sought:
    """A query as a unit vector (dim,), which is the sum of what each of its items adds to it."""

    query: Query
    vector: Vector
    summands: Mapping[str, Summand]
    items: tuple[Item, ...]
    warnings: tuple[str, ...] = ()

    @property
    def is_own_picture(self) -> bool:
        """Whether it seeks what is most like one picture of the collection, and nothing else."""
        alone = len(self.items) == 1 and self.items[0].key == "image" and self.items[0].weight > 0
        return alone and self.query.image_id is not None

    @property
    def is_product(self) -> bool:
        """Whether several things are joined by multiplying their scores, so that `vector` only finds candidates."""
        return self.query.compose == "product" and len(self.items) > 1


def vectors_of(
    queries: Sequence[Query], encoder: Encoder, collection: Collection, floor: float = FLOOR
) -> list[Sought]:
    """The queries as vectors, in order; see `items_of` for what is encoded, `usable_examples` for the `floor`.

    Raises UsageError also for parts that cancel each other out, and for an operator that has nothing to join.
    """
    for query in queries:
        _check_meaning(query)
    made = items_of(queries, encoder, collection)
    return [_sought(query, items, collection, floor) for query, items in zip(queries, made, strict=True)]


def direction(item: Item, collection: Collection) -> Summand:
    """Where the item leads, seen from the mean of its kind: a unit vector, for examples the mean of such vectors.

    So examples that do not agree weigh less than ones that do. With a negative weight it leads the other way.
    """
    mean = collection.image_mean if item.kind == "image" else collection.text_mean
    rows = item.rows.astype(np.float64)
    apart = rows - mean.astype(np.float64)
    is_near = np.linalg.norm(apart, axis=1) < _NEAR_MEAN
    apart[is_near] = rows[is_near]
    towards: Summand = unit_rows(apart).astype(np.float64).mean(axis=0)
    return towards if item.weight > 0 else -towards


def _sought(query: Query, items: Sequence[Item], collection: Collection, floor: float) -> Sought:
    base, target, marks = _parted(items)
    summands = _base(query, base, target, collection)
    start = unit_rows(_total(query, summands)[None])[0]
    marks, warnings = usable_examples(query, marks, start, collection, floor)
    base += [target] if target else []
    if not marks and len(base) == 1:
        return Sought(query, start, {base[0].key: start.astype(np.float64)}, tuple(base), warnings)
    length = np.linalg.norm(_total(query, summands))
    led = {key: summand / length for key, summand in summands.items()}
    led |= {item.key: abs(item.weight) * direction(item, collection) for item in marks}
    total = _total(query, led)
    shares = {key: summand / np.linalg.norm(total) for key, summand in led.items()}
    return Sought(query, unit_rows(total[None])[0], shares, (*base, *marks), warnings)


def _parted(items: Sequence[Item]) -> tuple[list[Item], Item | None, list[Item]]:
    """What is asked for, the target that is blended with it, and the marks that lead it on.

    Without words and pictures the target is what is asked for, and without it the examples are.
    """
    target = next((item for item in items if item.key == TARGET), None)
    others = [item for item in items if item.key != TARGET]
    main = [item for item in others if item.key in ("image", "text") or (item.weight > 0 and item.key != "like")]
    base = main or ([target] if target else [item for item in others if item.key == "like"] or others)
    asked = {item.key for item in base}
    return base, target if main else None, [item for item in others if item.key not in asked]


def _base(query: Query, base: Sequence[Item], target: Item | None, collection: Collection) -> dict[str, Summand]:
    """What each item adds to the vector of what is asked for, which need not be a unit vector yet."""
    if target is None:
        return _joined(query, base, collection, is_mixed=len({item.kind for item in base}) > 1)
    is_mixed = len({item.kind for item in (*base, target)}) > 1
    summands = _joined(query, base, collection, is_mixed=is_mixed)
    length = np.linalg.norm(_total(query, summands))
    towards = direction(target, collection) if is_mixed else target.rows[0].astype(np.float64)
    rest = (1 - target.weight) / length
    return {key: rest * each for key, each in summands.items()} | {TARGET: target.weight * towards}


def _joined(query: Query, base: Sequence[Item], collection: Collection, *, is_mixed: bool) -> dict[str, Summand]:
    """Words and pictures, seen from the means of their kinds where both are in the query."""
    if len(base) == 1 and is_mixed:
        return {base[0].key: direction(base[0], collection)}
    if len(base) == 1:
        [only] = base
        return {only.key: np.sign(only.weight) * only.rows.astype(np.float64).mean(axis=0)}
    if not is_mixed:
        return {item.key: item.weight * item.rows.astype(np.float64).mean(axis=0) for item in base}
    directions = {item.key: direction(item, collection) for item in base}
    weights = {item.key: abs(item.weight) for item in base}
    if query.compose == "slerp" and len({item.kind for item in base}) > 1:
        weights = _on_the_arc(query, base, directions)
    return {key: weight * directions[key] for key, weight in weights.items()}


def _on_the_arc(query: Query, base: Sequence[Item], directions: Mapping[str, Summand]) -> dict[str, float]:
    """What each item weighs in a spherical interpolation from the pictures to the words.

    A side with several items is the unit vector of their weighted sum.
    """
    if any(item.weight < 0 for item in base):
        raise UsageError(f"query '{query.id}': slerp goes from a picture to words and cannot lead away: use the sum")
    sides = {kind: [item for item in base if item.kind == kind] for kind in ("image", "text")}
    totals = {kind: np.sum([i.weight * directions[i.key] for i in own], axis=0) for kind, own in sides.items()}
    lengths = {kind: float(np.linalg.norm(total)) for kind, total in totals.items()}
    if min(lengths.values()) < _NEAR_MEAN:
        raise _cancelled(query)
    given = {kind: sum(item.weight for item in own) for kind, own in sides.items()}
    cosine = float(totals["image"] @ totals["text"]) / (lengths["image"] * lengths["text"])
    arcs = dict(zip(sides, arc_weights(cosine, given["text"] / sum(given.values())), strict=True))
    return {item.key: item.weight * arcs[item.kind] / lengths[item.kind] for item in base}


def _total(query: Query, summands: Mapping[str, Summand]) -> Summand:
    total: Summand = np.sum(list(summands.values()), axis=0)
    if not np.linalg.norm(total) > _NEAR_MEAN * max(np.linalg.norm(each) for each in summands.values()):
        raise _cancelled(query)
    return total


def _cancelled(query: Query) -> UsageError:
    return UsageError(f"query '{query.id}': its parts cancel each other out: change a weight")


def _check_meaning(query: Query) -> None:
    """UsageError where an operator is asked for that cannot join what the query asks for."""
    if query.compose != "slerp":
        return
    wanted = [part for part in query.parts if part.weight > 0]
    has_text = bool(query.text.strip()) or any(part.text.strip() for part in wanted)
    has_image = query.has_image or any(not part.text.strip() for part in wanted)
    if not (has_text and has_image):
        have = "words" if has_text else "pictures" if has_image else "examples"
        raise UsageError(f"query '{query.id}': slerp goes from a picture to words, and it has only {have}: use the sum")
