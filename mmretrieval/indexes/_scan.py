"""All rows against a query, straight from the mapped float16 files, and the exact best among them.

Two ways find the rows that may belong to the best. FAISS's kernel for float16 codes reads the files as they are, at
about the speed of memory; it serves single queries. For many queries at once a block of rows is turned into float32
and multiplied with all of them. What either finds is scored for good by the one rule all indexes share
(`vectors.row_scores`), and more is fetched until no row that was left out can be better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmretrieval.errors import InvalidData, MMRetrievalError
from mmretrieval.indexes._views import selection, view
from mmretrieval.indexes._widening import Widener
from mmretrieval.vectors import best, margin, row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]
    Block = tuple[NDArray[np.int64], NDArray[np.float32]]

_ROWS = 32_768  # rows turned into float32 at once: large enough that what is done once per block costs a few percent
_QUERIES = 256  # queries per pass; bounds the table of products to 32 MiB
_CODES = 2**20  # rows handed to FAISS at once
_EXTRA = 16  # fetched beyond top_k at first; near-ties at the edge of the result are rarely more
_ONE_BY_ONE = 6  # queries up to which scanning for each costs less than turning the rows into float32 once
_FEW_NUMBERS = 2**21  # numbers that NumPy turns into float32 in less time than loading FAISS takes
_SPARSE = 256  # when fewer than one row in so many is allowed, those rows are fetched one by one instead


class Span(NamedTuple):
    """Which rows a scan looks at: slots from `first` on whose position is allowed; a mask of None allows all."""

    first: int = 0
    mask: NDArray[np.bool_] | None = None  # by position


def scan(rows: Rows, queries: NDArray[np.float32], top_k: int, span: Span) -> list[Found]:
    """For each legal query the best `top_k` positions of the span with their scores, in order; exact, ties included.

    Raises InvalidData for a stored row that is not finite, where it is turned into float32.
    """
    is_small = (rows.stored - span.first) * rows.dim <= _FEW_NUMBERS
    if is_small or len(queries) > _ONE_BY_ONE or _is_sparse(rows, span):
        parts = (queries[at : at + _QUERIES] for at in range(0, len(queries), _QUERIES))
        return [found for part in parts for found in together(rows, part, top_k, span)]
    return [one_by_one(rows, query, top_k, span) for query in queries]


def _is_sparse(rows: Rows, span: Span) -> bool:
    return span.mask is not None and bool(np.count_nonzero(span.mask) * _SPARSE < rows.n)


# One query: FAISS reads the float16 rows where they are


def one_by_one(rows: Rows, query: NDArray[np.float32], top_k: int, span: Span) -> Found:
    """Fetch more until no row that was left out can belong to the best."""
    fetch, slack = top_k + _EXTRA, margin(query)
    while True:
        fetch = min(fetch, rows.stored)
        products, slots = _nearest(rows, query, fetch, span)
        scores = row_scores(rows.take_slots(slots), query)
        if len(slots) and not np.abs(scores - products).max() <= 2 * slack:
            raise MMRetrievalError("FAISS computes wrong products on this machine: install another faiss-cpu")
        positions = rows.owners[slots].astype(np.int64)
        order = best(scores, positions, top_k)
        if len(slots) < fetch or fetch == rows.stored or products.min() + slack < scores[order[-1]]:
            return positions[order], scores[order]
        fetch *= 4


def _nearest(
    rows: Rows, query: NDArray[np.float32], fetch: int, span: Span
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Products and slots of the `fetch` best rows of the span; fewer where there are no more."""
    products, slots = [np.empty(0, dtype=np.float32)], [np.empty(0, dtype=np.int64)]
    for slot, matrix in rows.stored_blocks(span.first, _CODES):
        allowed = allowed_slots(rows, slot, len(matrix), span.mask)
        if allowed is None or allowed.any():
            count = min(fetch, len(matrix))
            nearest, labels = view(matrix).search(query[None], count, params=selection(allowed))
            found = labels[0] >= 0
            products.append(nearest[0][found])
            slots.append(labels[0][found] + slot)
    every = np.concatenate(products)
    order = np.argsort(-every, kind="stable")[:fetch]
    return every[order], np.concatenate(slots)[order]


def among(rows: Rows, slots: NDArray[np.int64], query: NDArray[np.float32], top_k: int) -> Found:
    """The best `top_k` of some live slots, exactly; a few near the edge are scored for good, and not all of them."""
    matrix, fetch = rows.take_slots(slots), min(top_k + _EXTRA, len(slots))
    products, labels = view(matrix).search(query[None], fetch)
    near = labels[0]
    if fetch < len(slots) and products[0][-1] >= products[0][top_k - 1] - 2 * margin(query):
        near = np.arange(len(slots))
    positions = rows.owners[slots[near]].astype(np.int64)
    scores = row_scores(matrix[near], query)
    order = best(scores, positions, top_k)
    return positions[order], scores[order]


def allowed_slots(rows: Rows, first: int, count: int, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Which of `count` slots hold an allowed row; None for all."""
    if mask is None and rows.stored == rows.n:
        return None
    owners = rows.owners[first : first + count]
    live: NDArray[np.bool_] = owners >= 0
    if mask is not None:
        live &= mask[owners]  # an owner of -1 reads some mark, which its being dead outweighs
    return None if live.all() else live


# Many queries: blocks of float32 times all of them


def together(rows: Rows, queries: NDArray[np.float32], top_k: int, span: Span) -> list[Found]:
    running = [_Best(query, top_k) for query in queries]
    for positions, matrix in _blocks(rows, span):
        _offer(running, positions, matrix)
    return [(one.positions, one.scores) for one in running]


def _blocks(rows: Rows, span: Span) -> Iterator[Block]:
    """The rows of the span as float32, in blocks; each holds until the next one is asked for."""
    if span.mask is not None and span.first == 0 and _is_sparse(rows, span):
        chosen = np.flatnonzero(span.mask)
        for at in range(0, len(chosen), _ROWS):
            yield chosen[at : at + _ROWS], rows.take(chosen[at : at + _ROWS])
        return
    widen = Widener(min(_ROWS, rows.stored), rows.dim)
    for slot, matrix in rows.stored_blocks(span.first, _ROWS):
        allowed = allowed_slots(rows, slot, len(matrix), span.mask)
        positions = rows.owners[slot : slot + len(matrix)].astype(np.int64)
        if allowed is None:
            yield positions, widen(matrix)
        elif allowed.any():
            yield positions[allowed], matrix[allowed].astype(np.float32)


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
