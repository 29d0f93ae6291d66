"""RaBitQ in inverted lists: one bit per number says on which side of its list's centre a row lies.

An eighth of a byte per number and some bytes more. The bits alone are crude, so that some hundred rows are proposed
for ten. For pictures they say more than the codes of `pq` of the same size; for texts, which lie far from every
centre, they say less. Rows are rotated at random first, as the bits are only fair where no direction stands out.

Jianyang Gao and Cheng Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
Approximate Nearest Neighbor Search", SIGMOD 2024.
"""

from __future__ import annotations

from typing import Any

from mmretrieval.indexes._lists import Lists


class Rabitq(Lists):
    """One bit per number in inverted lists; 90 bytes for 512 numbers."""

    @classmethod
    def recipe(cls, n: int, dim: int) -> str:
        return f"RR{dim},IVF{cls.lists(n)},RaBitQfs"

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return dim / 8 + 28

    def parameters(self, reach: int, selector: Any) -> Any:
        import faiss

        rotated: Any = faiss.SearchParametersPreTransform
        return rotated(index_params=super().parameters(reach, selector))
