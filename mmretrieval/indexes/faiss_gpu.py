"""Exact search by FAISS on a GPU, which keeps all rows as float16.

It has not been run on a GPU by its authors: its logic is tested with FAISS's index on the CPU in place of the one on
the GPU. `torch` does the same without another package, takes filters on the GPU, and carries rows over that do not fit.

FAISS returns at most 2,048 rows on a GPU and ignores selectors there without a word. So what is dead or forbidden is
fetched along with the rest and dropped; where that would be more than it returns, the CPU scans what is allowed. What
it proposes is scored for good by the one rule all indexes share, and where a row that was left out could belong to the
result, the CPU scans for that query, so it equals a brute-force sort, ties included.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import MissingPrerequisite, UsageError
from mmretrieval.indexes._scan import Span, scan
from mmretrieval.protocols import Index
from mmretrieval.vectors import allowed, best, legal_queries, margin, row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

MOST = 2048  # rows that FAISS returns per query on a GPU
_EXTRA = 54  # fetched beyond top_k, since float16 products blur the edge of the result
_ROWS = 32_768  # rows handed over at once
_HALF = 2.0**-10  # what rounding query and product to float16 can change, as a share of the query's length


class FaissGpu(Index):
    """Inner products with every row on a GPU, by a FAISS built for one; `torch` needs no other FAISS."""

    def __init__(self, rows: Rows, cache: Path | None = None) -> None:
        """Raises MissingPrerequisite without a GPU, or without a FAISS that is built for one."""
        super().__init__(rows, cache)
        if not self._is_able():
            raise MissingPrerequisite(
                "the index 'faiss_gpu' needs a GPU and a FAISS built for it, and one of them is missing: uninstall "
                "faiss-cpu and pip install 'mmretrieval[gpu]', or choose --index-kind torch"
            )
        self._filled: Any = None
        self._lock = Lock()

    def search(
        self,
        queries: NDArray[np.float32],
        top_k: int,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> list[Found]:
        """As in `Index`; scores are inner products, float32.

        Raises InvalidData for a query that is zero, not finite or of another dimension, and for positions that do
        not exist; UsageError for `top_k` below 1.
        """
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}: ask for at least one hit")
        queries = legal_queries(queries, self.rows.dim)
        mask = allowed(self.rows.n, within, exclude)
        count = self.rows.n if mask is None else int(np.count_nonzero(mask))
        fetch = min(top_k + _EXTRA + self.rows.stored - count, self.rows.stored)
        if not count or not len(queries) or fetch > MOST:
            return scan(self.rows, queries, top_k, Span(0, mask))
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)  # a long query would leave the range of float16
        products, slots = self._index().search(queries / lengths, fetch)
        found = []
        for query, lowest, some in zip(queries, products.min(axis=1) * lengths[:, 0], slots, strict=True):
            result, is_certain = self._refined(query, some, float(lowest), top_k, mask)
            found.append(result if is_certain else scan(self.rows, query[None], top_k, Span(0, mask))[0])
        return found

    def _refined(
        self, query: NDArray[np.float32], slots: NDArray[np.int64], lowest: float, top_k: int, mask: Any
    ) -> tuple[Found, bool]:
        """The best of what was proposed, and whether no row that was left out can be better."""
        positions = self.rows.owners[slots].astype(np.int64)
        may_be_found = (positions >= 0) if mask is None else (positions >= 0) & mask[positions]
        positions = positions[may_be_found]
        scores = row_scores(self.rows.take_slots(slots[may_be_found]), query)
        order = best(scores, positions, top_k)
        slack = margin(query) + _HALF * float(np.linalg.norm(query))
        is_certain = len(slots) == self.rows.stored or bool(lowest + slack < scores[order[-1]])
        return (positions[order], scores[order]), is_certain

    def _index(self) -> Any:
        with self._lock:
            if self._filled is None:
                index = self._empty()
                for _, matrix in self.rows.stored_blocks(0, _ROWS):
                    index.add(matrix.astype(np.float32))
                self._filled = index
            return self._filled

    def _is_able(self) -> bool:
        import faiss

        return hasattr(faiss, "GpuIndexFlatIP") and faiss.get_num_gpus() > 0

    def _empty(self) -> Any:
        """FAISS's flat index on the first GPU; it keeps what it is given as float16."""
        import faiss

        gpu: Any = faiss
        settings = gpu.GpuIndexFlatConfig()
        settings.useFloat16 = True
        return gpu.GpuIndexFlatIP(gpu.StandardGpuResources(), self.rows.dim, settings)
