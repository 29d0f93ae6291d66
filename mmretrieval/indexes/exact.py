"""Exact search: every row is scored, block by block, straight from the float16 files.

A fast float32 product per block finds every row that could still belong to the best; only those are scored for
good, by the one rule all indexes share (`vectors.row_scores`). So the result equals a brute-force sort, ties
included, at the price of a matrix product. Best up to about 200,000 rows; above, see `faiss`.

Cost for one query, d = 256, one core: 10,000 rows about 1 ms, 100,000 rows about 11 ms once the rows are kept in
memory as float32, a tenth more than the bare product; the first search reads them from disk and turns them from
float16 as it goes, which takes five to nine times as long, since NumPy needs 2 ns per number.

NumPy's BLAS may use all cores for many queries at once; for single queries, which are bound by memory, more than one
thread gains nothing and in a container with a CPU quota loses much, so a server should set OMP_NUM_THREADS to its
quota, or to 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Index
from mmretrieval.vectors import allowed, best, legal_queries, margin, row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

    Block = tuple[NDArray[np.int64], NDArray[np.float32]]

_ROWS = 32_768  # rows per block: large enough that what is done once per block costs a few percent only
_QUERIES = 256  # queries per pass; bounds the table of products to 32 MiB
_SPARSE = 8  # when fewer than one row in so many is allowed, those rows are fetched one by one instead


class Exact(Index):
    """Inner products with every allowed row; needs no cache and nothing built beforehand."""

    def __init__(self, rows: Rows, cache: Path | None = None, *, keep_bytes: int = 512 * 2**20) -> None:
        """From the second search on the rows stay in memory as float32 if that takes at most `keep_bytes`."""
        super().__init__(rows, cache)
        self._may_keep = rows.n * rows.dim * 4 <= keep_bytes
        self._searched = False
        self._kept: list[Block] | None = None

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
        mask = allowed(self.rows.n, within, exclude)
        found: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        for at in range(0, len(queries), _QUERIES):
            running = [_Best(query, top_k) for query in queries[at : at + _QUERIES]]
            for positions, matrix in self._blocks(mask):
                _offer(running, positions, matrix)
            found.extend((one.positions, one.scores) for one in running)
        return found

    def _blocks(self, mask: NDArray[np.bool_] | None) -> Iterator[Block]:
        """The allowed rows as float32, in blocks."""
        if mask is not None and np.count_nonzero(mask) * _SPARSE < self.rows.n:
            chosen = np.flatnonzero(mask)
            for at in range(0, len(chosen), _ROWS):
                yield chosen[at : at + _ROWS], self.rows.take(chosen[at : at + _ROWS])
            return
        for positions, matrix in self._all():
            if mask is None:
                yield positions, matrix
            elif (keep := mask[positions]).any():
                yield positions[keep], matrix[keep]

    def _all(self) -> Iterator[Block]:
        if self._kept is None and self._may_keep and self._searched:
            self._kept = list(self._read())
        self._searched = True
        yield from self._read() if self._kept is None else self._kept

    def _read(self) -> Iterator[Block]:
        for positions, matrix in self.rows.blocks(_ROWS):
            yield positions, np.asarray(matrix).astype(np.float32)  # a plain array; a mapped one is slow to cut


class _Best:
    """The best `k` rows of one query so far, in order."""

    def __init__(self, query: NDArray[np.float32], k: int) -> None:
        self.query = query
        self.k = k
        self.margin = np.float32(margin(query))
        self.positions = np.empty(0, dtype=np.int64)
        self.scores = np.empty(0, dtype=np.float32)

    @property
    def floor(self) -> float:
        """A product below this cannot belong to a row that enters the best."""
        return float(self.scores[-1] - self.margin) if len(self.scores) == self.k else -np.inf

    def offer(self, positions: NDArray[np.int64], matrix: NDArray[np.float32], products: NDArray[np.float32]) -> None:
        """Take in rows of one block, given all their float32 products with the query."""
        able = np.flatnonzero(products >= self.floor)
        if len(able) > 2 * self.k + 64:  # also no row enters that lies clearly below the k-th best of its own block
            kth = np.partition(products[able], len(able) - self.k)[len(able) - self.k]
            able = able[products[able] >= kth - 2 * self.margin]
        scores = np.concatenate([self.scores, row_scores(matrix[able], self.query)])
        where = np.concatenate([self.positions, positions[able]])
        order = best(scores, where, self.k)
        self.scores, self.positions = scores[order], where[order]


def _offer(running: list[_Best], positions: NDArray[np.int64], matrix: NDArray[np.float32]) -> None:
    products = np.stack([one.query for one in running]) @ matrix.T
    highest = products.max(axis=1)
    if np.isnan(highest).any():
        bad = positions[~np.isfinite(matrix).all(axis=1)]
        raise InvalidData(f"the stored vector at position {bad[0]} is not finite: index the pictures again")
    for one, row, top in zip(running, products, highest, strict=True):
        if top >= one.floor:
            one.offer(positions, matrix, row)
