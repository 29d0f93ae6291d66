"""What looks and captions say of all records to a query, for fused search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmretrieval.first_stages import _parts
from mmretrieval.first_stages._query_vectors import Sought
from mmretrieval.fusion import all_scores
from mmretrieval.vectors import margin, row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Scores = NDArray[np.float64]
    Vector = NDArray[np.float32]

_LEAST_SPREAD = 1e-9


class Collection(_parts.Collection, Protocol):
    """What is read of a collection; position p belongs to `ids[p]`."""

    @property
    def channels(self) -> frozenset[str]: ...

    def members(self, channel: str) -> Positions: ...


@dataclass(frozen=True, slots=True)
class Told:
    """The scores of all records by position, up to the rounding of float32; NaN where there is no caption.

    `caption_vector` is what captions are asked with, None for a query that says nothing to them. Scores are counted
    from `means` in units of `spreads`, for looks and captions: 0 and 1 unless standardised.
    """

    sought: Sought
    caption_vector: Vector | None
    image: Scores
    caption: Scores
    means: tuple[float, float] = (0.0, 0.0)
    spreads: tuple[float, float] = (1.0, 1.0)

    def calibrated(self, image: Scores, caption: Scores) -> tuple[Scores, Scores]:
        """Cosines as they are joined."""
        return (image - self.means[0]) / self.spreads[0], (caption - self.means[1]) / self.spreads[1]

    @property
    def joinable(self) -> tuple[Scores, Scores]:
        """The scores of both channels as they are joined."""
        return self.calibrated(self.image, self.caption)

    @property
    def slack(self) -> float:
        """How far a fused score may be off for the rounding of float32."""
        image = margin(self.sought.vector) / self.spreads[0]
        return image + (0.0 if self.caption_vector is None else margin(self.caption_vector) / self.spreads[1])

    def standardised(self) -> Told:
        """Counted from the means of the whole collection; a channel without spread counts as it is."""
        means, spreads = zip(*(_mean_and_spread(scores) for scores in (self.image, self.caption)), strict=True)
        return replace(self, means=means, spreads=spreads)


def members(collection: Collection) -> Positions:
    """Positions that have a caption, rising."""
    has = "caption" in collection.channels
    return collection.members("caption") if has else np.empty(0, dtype=np.int64)


def tell(collection: Collection, sought: Sequence[Sought], vectors: Sequence[Vector | None]) -> list[Told]:
    """The scores of all records to each query; `vectors` are what captions are asked with. A pass over all rows."""
    image = all_scores(collection.rows("image"), np.stack([one.vector for one in sought])).astype(np.float64)
    asked, have = [vector for vector in vectors if vector is not None], members(collection)
    found = iter(all_scores(collection.rows("caption"), np.stack(asked)) if asked and len(have) else ())
    result = []
    for one, vector, looks in zip(sought, vectors, image, strict=True):
        caption = np.full(len(looks), np.nan)
        if vector is not None and len(have):
            caption[have] = next(found)
        result.append(Told(one, vector, looks, caption))
    return result


def cosines(
    collection: Collection, vector: Vector, caption_vector: Vector | None, positions: Positions
) -> tuple[Scores, Scores]:
    """The exact scores of both channels for records at these positions; NaN where nothing is said of a caption."""
    image = row_scores(collection.rows("image").take(positions), vector).astype(np.float64)
    caption, have = np.full(len(positions), np.nan), members(collection)
    has = np.isin(positions, have)
    if caption_vector is not None and has.any():
        rows = np.searchsorted(have, positions[has])
        caption[has] = row_scores(collection.rows("caption").take(rows), caption_vector)
    return image, caption


def fused_lengths(collection: Collection, weights: tuple[float, float], positions: Positions) -> Scores:
    """Of w_i v + w_c c for these records; 1 where there is no caption."""
    have = members(collection)
    has, lengths = np.isin(positions, have), np.ones(len(positions))
    if has.any():
        captions = collection.rows("caption").take(np.searchsorted(have, positions[has])).astype(np.float64)
        looks = collection.rows("image").take(positions[has]).astype(np.float64)
        lengths[has] = np.linalg.norm(weights[0] * looks + weights[1] * captions, axis=1)
    return lengths


def shares_of(sought: Sought, row: Scores, looks: float) -> Mapping[str, float]:
    """What each part of the query adds to the channel of looks, so that they add up to it."""
    own = {key: float(row @ summand) for key, summand in sought.summands.items()}
    total = sum(own.values())
    scale = looks / total if abs(total) > _LEAST_SPREAD else 0.0
    return {key: float(share * scale) for key, share in own.items()}


def _mean_and_spread(scores: Scores) -> tuple[float, float]:
    known = scores[~np.isnan(scores)]
    spread = float(known.std()) if len(known) > 1 else 0.0
    return (float(known.mean()), spread) if spread > _LEAST_SPREAD else (0.0, 1.0)
