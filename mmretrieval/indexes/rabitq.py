"""RaBitQ in inverted lists: one bit per number says on which side of its list's centre a row lies.

An eighth of a byte per number and some bytes more. The bits alone are crude, so that some hundred rows are proposed
for ten. For pictures they say more than the codes of `pq` of the same size; for texts, which lie far from every
centre, they say less. Rows are rotated at random first, as the bits are only fair where no direction stands out.

"rabitq:bits=2" and "rabitq:bits=4" keep further bits on how far from the centre a row lies: a row of 512 numbers then
takes 157 or 285 bytes, a search proposes fewer rows, and scanning as many codes takes 1.4 or 5 times as long.

Jianyang Gao and Cheng Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
Approximate Nearest Neighbor Search", SIGMOD 2024. Further bits: Jianyang Gao et al., "Practical and Asymptotically
Optimal Quantization of High-Dimensional Vectors in Euclidean Space for Approximate Nearest Neighbor Search", SIGMOD
2025.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mmretrieval.errors import UsageError
from mmretrieval.indexes._lists import Lists

if TYPE_CHECKING:
    from mmretrieval.segments import Rows

Bits = Literal[1, 2, 4]


class Rabitq(Lists):
    """One bit per number in inverted lists, or `bits=2` or 4; 90, 157 or 285 bytes for 512 numbers."""

    def __init__(self, rows: Rows, cache: Path | None = None, *, bits: Bits = 1) -> None:
        """`bits` per number; more of them need fewer proposals and a slower scan. Raises UsageError for others."""
        super().__init__(rows, cache)
        if bits not in get_args(Bits):
            raise UsageError(f"rabitq:bits is {bits}, and it takes 1, 2, 4")
        self.bits = bits

    @property
    def spec(self) -> str:
        return self.name if self.bits == 1 else f"{self.name}:bits={self.bits}"

    def recipe(self, n: int, dim: int) -> str:
        codes = "RaBitQfs" if self.bits == 1 else f"RaBitQ{self.bits}"  # further bits are no quicker 32 rows at a time
        return f"RR{dim},IVF{self.lists(n)},{codes}"

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return dim / 8 + 28

    def parameters(self, reach: int, selector: Any) -> Any:
        import faiss

        rotated: Any = faiss.SearchParametersPreTransform
        return rotated(index_params=super().parameters(reach, selector))
