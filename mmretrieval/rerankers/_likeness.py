"""How alike two names are to a text encoder, and from where on that means the same thing.

Cosines of different things lie at 0.3 for one encoder and at 0.85 for another, so a fixed threshold cannot be right.
The names in the list of one picture are different things, or they would not be listed apart: the cosines among them,
over all pictures at hand, say what different things score, and the threshold is a percentile of those. The words of
the query have no part in it. Where the lists give too few pairs, common names of different things stand in for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.rerankers._nouns import Noun, means, singular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.protocols import TextEncoder

FEWEST = 50  # pairs of different things, for a percentile that means something


class Likeness:
    """Cosines of names; costs one encoding of each name that was not seen lately."""

    def __init__(self, encoder: TextEncoder, percentile: float, threshold: float | None = None) -> None:
        """A `threshold` given here holds as it is; else it is the `percentile` (0 to 100) of different things."""
        self.encoder, self.percentile, self.threshold = encoder, percentile, threshold

    def cosines(self, one: Sequence[Noun], other: Sequence[Noun]) -> NDArray[np.float64]:
        """(len(one), len(other))."""
        if not one or not other:
            return np.zeros((len(one), len(other)))
        return self._rows(one) @ self._rows(other).T

    def least(self, lists: Sequence[Sequence[Noun]]) -> float:
        """The cosine from which on two names count as the same thing, given the lists of some pictures."""
        if self.threshold is not None:
            return self.threshold
        pairs = {frozenset(pair) for names in lists for pair in combinations(names, 2) if not means(*pair)}
        if len(pairs) < FEWEST:
            pairs = set(map(frozenset, combinations(_common_names(), 2)))
        parted = [tuple(sorted(pair)) for pair in sorted(pairs, key=sorted)]
        return float(np.percentile(self._of_pairs(parted), self.percentile))

    def _of_pairs(self, pairs: Sequence[tuple[Noun, ...]]) -> NDArray[np.float64]:
        names = sorted({name for pair in pairs for name in pair})
        place = {name: number for number, name in enumerate(names)}
        rows = self._rows(names)
        first, second = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
        cosines: NDArray[np.float64] = np.einsum("nd,nd->n", rows[first], rows[second])
        return cosines

    def _rows(self, names: Sequence[Noun]) -> NDArray[np.float64]:
        return self.encoder.encode_texts([" ".join(name) for name in names]).astype(np.float64)


@lru_cache(maxsize=1)
def _common_names() -> tuple[Noun, ...]:
    """Every third of the names of things that `first_stages` keeps: enough pairs, and quickly encoded."""
    names = (files("mmretrieval.first_stages") / "phrases" / "things.txt").read_text("utf-8").splitlines()
    return tuple(dict.fromkeys(tuple(singular(word) for word in name.split()) for name in names[::3]))
