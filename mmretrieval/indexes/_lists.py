"""Inverted lists: rows lie with the nearest of some centres, and a search looks at the lists of the nearest centres."""

from __future__ import annotations

import math
from typing import Any

from mmretrieval.indexes._coarse import Coarse

_ROUNDS = 8  # of k-means; more hardly help lists that are searched by the dozen


class Lists(Coarse):
    """A `Coarse` whose reach is the number of lists that are looked at."""

    @classmethod
    def lists(cls, n: int) -> int:
        """How many lists there are for `n` rows: about √n / 2, a power of two.

        The codes are so quick to scan that long lists cost little, while every further centre makes adding dearer.
        """
        return int(2 ** max(round(math.log2(max(n, 1) ** 0.5 / 2)), 2))

    def prepare_training(self, index: Any) -> None:
        """The sample is bounded already, so all of it is used."""
        import faiss

        lists: Any = faiss.extract_index_ivf(index)
        lists.cp.niter = _ROUNDS
        lists.cp.max_points_per_centroid = self.training_rows
        lists.cp.seed = 1234

    def reaches(self) -> list[int]:
        """Shares of the lists, from a sixty-fourth to all."""
        lists = self.lists(self.rows.n)
        shares = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1)
        return sorted({max(int(lists * share), 1) for share in shares})

    def parameters(self, reach: int, selector: Any) -> Any:
        import faiss

        settings: Any = faiss.IVFSearchParameters
        return settings(nprobe=reach, sel=selector)
