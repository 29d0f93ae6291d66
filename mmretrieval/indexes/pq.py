"""Product quantisation with four bits in inverted lists: groups of numbers are replaced by the nearest of 16 patterns.

FAISS looks up the product of a query with all patterns in processor registers, 32 rows at a time, which makes it the
quickest scan there is, and the planner's choice for many vectors.

Fabien André, Anne-Marie Kermarrec and Nicolas Le Scouarnec, "Cache locality is not enough: High-Performance Nearest
Neighbor Search with Product Quantization Fast Scan", VLDB 2015.
"""

from __future__ import annotations

from mmretrieval.indexes._lists import Lists


class Pq(Lists):
    """Four bits for every four numbers, in inverted lists; 76 bytes for 512 numbers, the quickest to scan."""

    def recipe(self, n: int, dim: int) -> str:
        return f"IVF{self.lists(n)},PQ{_groups(dim)}x4fs"

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return _groups(dim) / 2 + 12


def _groups(dim: int) -> int:
    """Groups of four numbers, or of as few more as divide the dimension."""
    return next(groups for groups in range(max(dim // 4, 1), 0, -1) if dim % groups == 0)
