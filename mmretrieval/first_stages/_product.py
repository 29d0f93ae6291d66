"""A query whose parts must all be met: their similarities are multiplied, as in BASIC.

Each part is a condition with a unit direction d, seen from the mean of its kind, and a share w of the whole weight.
A picture x meets it by a = max(0, d·x - m), where m is the least d·x in a sample of the collection (all of it up to
2,048 pictures). The score is G² - 4 λ A², with the weighted geometric mean G and the weighted arithmetic mean A of all
a: for a picture and words of equal weight this is s_t s_i - λ (s_t + s_i)², the paper's form, and with all weight on
one part it orders as that part alone. The penalty, like Harris' corner measure, turns down pictures that meet one
part very well and the other hardly. A part that leads away is the condition of being unlike it.

Paper: BASIC, of the i-CIR benchmark (NeurIPS 2025). Deviations: the direction of each part is made a unit vector;
the constants m come from the collection instead of a synthetic set; the words are not put into further contexts; the
projection stands on the phrase lists in `_phrases`, which are our own and shorter, and keeps a third of the
dimensions where the paper keeps 250 of 768. Projection and expansion are off unless asked for: see the report
assets/reports/composed.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._parts import TARGET, Item
from mmretrieval.first_stages._phrases import projection
from mmretrieval.first_stages._query_vectors import Sought, direction
from mmretrieval.first_stages._usable import sample_rows
from mmretrieval.protocols import Encoder
from mmretrieval.vectors import allowed, best, row_scores, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.first_stages._parts import Collection
    from mmretrieval.protocols import Index

    Positions = NDArray[np.int64]

PENALTY = 0.1
EXPANSION_SHARPNESS = 0.1


@dataclass(frozen=True, slots=True)
class Product:
    """How products are scored. `penalty` is λ; it must be below 0.25, or meeting a part better could count less.

    `project` looks at a picture only in the directions in which phrases for things differ, which costs encoding the
    phrases once; `expand` blends each picture of the query with so many of its nearest in the collection. Up to
    `score_all` pictures all are scored; of larger collections the union of the `pool` nearest to each part, and to
    their sum.
    """

    penalty: float = PENALTY
    project: bool = False
    expand: int = 0
    pool: int = 1000
    score_all: int = 5_000

    def __post_init__(self) -> None:
        if not 0 <= self.penalty < 0.25 or self.expand < 0 or self.pool < 1 or self.score_all < 0:
            raise UsageError(
                "a product takes a penalty of 0 or more and below 0.25, 0 or more pictures to expand by, a pool of 1 "
                f"or more, and 0 or more pictures to score whole: it was given {self}"
            )


@dataclass(frozen=True, slots=True)
class Conditions:
    """The directions (n, dim) of a query's parts, the share each has of the weight, and the least similarity m."""

    directions: NDArray[np.float32]
    shares: NDArray[np.float64]
    least: NDArray[np.float64]
    penalty: float

    def met(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """By how much each of (m, dim) rows meets each condition, (m, n), 0 or more."""
        similar = np.stack([row_scores(rows, direction) for direction in self.directions], axis=1)
        return np.maximum(0.0, similar.astype(np.float64) - self.least)

    def terms(self, met: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The two terms that add up to the score, (m,) each: the squared geometric mean, and minus the penalty."""
        product = np.prod(met ** (2 * self.shares), axis=1)
        return product, -4 * self.penalty * (met @ self.shares) ** 2


class Multiplied:
    """Products over one index; the sample and the projection are made at the first query that needs them, and kept."""

    def __init__(self, how: Product, encoder: Encoder, collection: Collection, index: Index) -> None:
        self.how = how
        self.encoder = encoder
        self.collection = collection
        self.index = index

    @cached_property
    def _projection(self) -> NDArray[np.float64]:
        return projection(self.encoder, self.collection.text_mean)

    @cached_property
    def _sample(self) -> NDArray[np.float32]:
        return sample_rows(self.collection)

    def conditions(self, sought: Sought) -> Conditions:
        """What a picture must meet; a sample of the collection gives the least similarities."""
        directions = np.stack([direction(item, self.collection) for item in sought.items])
        is_picture = np.array([item.kind == "image" and item.weight > 0 for item in sought.items])
        if is_picture.any():
            directions[is_picture] = self._seen(directions[is_picture])
        units = unit_rows(directions)
        least = [row_scores(self._sample, one).min() if len(self._sample) else 0.0 for one in units]
        return Conditions(units, _shares(sought.items), np.array(least, dtype=np.float64), self.how.penalty)

    def candidates(self, sought: Sought, wanted: Conditions, top_k: int, **restrictions: Positions | None) -> Positions:
        """Positions worth scoring: all that are allowed in a small collection, else the union of the nearest."""
        n = self.index.rows.n
        if n <= self.how.score_all:
            mask = allowed(n, restrictions.get("within"), restrictions.get("exclude"))
            return np.arange(n) if mask is None else np.flatnonzero(mask)
        vectors = np.concatenate([wanted.directions, sought.vector[None]])
        found = self.index.search(vectors, max(self.how.pool, top_k), **restrictions)
        return np.unique(np.concatenate([positions for positions, _ in found]))

    def _seen(self, pictures: NDArray[np.float64]) -> NDArray[np.float64]:
        """Directions of pictures after projection and expansion, as far as they are asked for."""
        pictures = self._projected(pictures)
        if not self.how.expand or not self.index.rows.n:
            return pictures
        found = self.index.search(pictures.astype(np.float32), self.how.expand)
        blended = []
        for picture, (positions, _) in zip(pictures, found, strict=True):
            apart = self.index.rows.take(positions).astype(np.float64) - self.collection.image_mean
            weights = np.exp(EXPANSION_SHARPNESS * np.concatenate([[1.0], apart @ picture]))
            blended.append(weights @ np.concatenate([picture[None], apart]) / weights.sum())
        return self._projected(np.stack(blended))

    def _projected(self, pictures: NDArray[np.float64]) -> NDArray[np.float64]:
        """A direction of which the projection leaves nothing stays as it was."""
        if not self.how.project:
            return pictures
        flat: NDArray[np.float64] = pictures @ self._projection
        lost = np.linalg.norm(flat, axis=1) < 1e-6
        flat[lost] = pictures[lost]
        return flat


def _shares(items: Sequence[Item]) -> NDArray[np.float64]:
    """How much of the whole weight each item has, with a sum of 1; of a target the share that it was given."""
    weights = np.array([abs(item.weight) for item in items])
    is_target = np.array([item.key == TARGET for item in items])
    if is_target.any() and not is_target.all():
        weights[~is_target] *= (1 - weights[is_target].sum()) / weights[~is_target].sum()
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def ranked(wanted: Conditions, index: Index, positions: Positions, top_k: int) -> tuple[Positions, NDArray[np.float32]]:
    """The best `top_k` of the positions with their scores, equal scores by position."""
    scores = np.sum(wanted.terms(wanted.met(index.rows.take(positions))), axis=0).astype(np.float32)
    order = best(scores, positions, top_k)
    return positions[order], scores[order]
