"""Signs alone: one bit per number, and the rows whose bits differ least are proposed. For when memory is very short.

Rows are rotated at random and cut at the medians of a sample, so that every bit splits the pictures in two; a search
counts differing bits over all rows and proposes hundreds. Nothing is smaller here, yet `pq` takes little more, is
quicker and finds more, above all for texts, whose bits are much alike; so the planner takes this kind only where the
memory holds nothing else.

Feng Lu et al., "SelaVPR++: Towards Seamless Adaptation of Foundation Models for Efficient Place Recognition", IEEE
TPAMI 2025, search by learned bits first and by numbers after; here the bits are not learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.indexes._coarse import Coarse, Effort

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Binary(Coarse):
    """One sign per number, for the shortest memory; 64 bytes for 512 numbers, crude for texts."""

    def recipe(self, n: int, dim: int) -> str:  # noqa: ARG002 (FAISS knows the dimension)
        return "LSHrt"  # rotated, and cut at the medians

    def untrained(self) -> Any:
        """Counting differing bits is a distance to FAISS, whatever it stands for."""
        import faiss

        return faiss.index_factory(self.rows.dim, self.recipe(self.rows.n, self.rows.dim), faiss.METRIC_L2)

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return -(-dim // 8)

    def reaches(self) -> list[int]:
        """All rows are looked at, always."""
        return [1]

    def parameters(self, reach: int, selector: Any) -> Any:  # noqa: ARG002 (there is no reach)
        import faiss

        return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]  # the stubs know C++ alone

    def propose(self, index: Any, queries: NDArray[np.float32], effort: Effort, selector: Any) -> NDArray[np.int64]:
        """As in `Coarse`; the codes are searched as bits, which can leave rows out, as FAISS's `IndexLSH` cannot."""
        import faiss

        bits: Any = faiss.IndexBinaryFlat(8 * index.sa_code_size())
        borrowed: Any = faiss.MaybeOwnedVectorUInt8
        bits.xb = borrowed.create_view(index.codes.data(), index.codes.size(), bits.xb.owner)
        bits.ntotal = index.ntotal
        _, slots = bits.search(index.sa_encode(queries), effort.fetch, params=self.parameters(effort.reach, selector))
        return np.asarray(slots, dtype=np.int64)
