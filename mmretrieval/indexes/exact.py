"""Exact search: every row is scored, straight from the float16 files; nothing is built, kept or cached.

The result equals a brute-force sort, ties included. One query reads all rows once, at about the speed of memory: on
one core 100,000 rows of 512 numbers take some 10 ms, a million 100 ms, five millions half a second. Many queries at
once share the reading and cost a matrix product each. Best up to about 200,000 rows; above, the planner chooses a
coarse index, see `planner`.

NumPy's BLAS may use all cores for many queries at once; for single queries, which are bound by memory, more than one
thread gains nothing and in a container with a CPU quota loses much, so a server should set OMP_NUM_THREADS to its
quota, or to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmretrieval.errors import UsageError
from mmretrieval.indexes._scan import Span, scan
from mmretrieval.protocols import Index
from mmretrieval.vectors import allowed, legal_queries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Exact(Index):
    """Inner products with every allowed row; needs no cache and nothing built beforehand."""

    def search(
        self,
        queries: NDArray[np.float32],
        top_k: int,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """As in `Index`; scores are inner products, float32.

        Raises InvalidData for a query that is zero, not finite or of another dimension, and for positions that do
        not exist; UsageError for `top_k` below 1.
        """
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}: ask for at least one hit")
        queries = legal_queries(queries, self.rows.dim)
        return scan(self.rows, queries, top_k, Span(0, allowed(self.rows.n, within, exclude)))
