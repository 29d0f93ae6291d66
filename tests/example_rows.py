"""A channel of unit rows in memory, with the public face of `segments.Rows`, and the slow search it is checked by."""

import hashlib
import math
from collections.abc import Iterator

import numpy as np


class MemoryRows:
    """Rows by position, kept as float16 and given out in storage order, as segments written over time would be."""

    def __init__(self, matrix, *, block=7, seed=0, dead=0) -> None:
        """`dead` rows of no record lie among the others; later positions lie in later slots only by chance."""
        self.matrix = np.asarray(matrix, dtype=np.float16)
        self.n, self.dim = self.matrix.shape
        self.block = block
        rng = np.random.default_rng(seed)
        self.owners = rng.permutation(np.concatenate([np.arange(self.n), np.full(dead, -1)])).astype(np.int32)
        self.stored = len(self.owners)
        self._slots = np.empty(self.n, dtype=np.int64)
        self._slots[self.owners[self.owners >= 0]] = np.flatnonzero(self.owners >= 0)
        self._rows = np.zeros((self.stored, self.dim), dtype=np.float16)
        self._rows[self._slots] = self.matrix
        self._rows[self.owners < 0, :1] = 1  # a dead row is a row as any other
        self.passes = 0

    @property
    def key(self) -> str:
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    def storage_key(self, slots: int) -> str:
        return hashlib.sha256(self._rows[:slots].tobytes()).hexdigest()

    def slots(self, positions) -> np.ndarray:
        return self._slots[np.asarray(positions, dtype=np.int64)]

    def stored_blocks(self, first: int = 0, rows_per_block: int = 8192) -> Iterator[tuple[int, np.ndarray]]:
        self.passes += 1
        size = min(self.block, rows_per_block)
        for at in range(first, self.stored, size):
            yield at, self._rows[at : at + size]

    def blocks(self, rows_per_block: int = 8192) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for slot, matrix in self.stored_blocks(0, rows_per_block):
            positions = self.owners[slot : slot + len(matrix)].astype(np.int64)
            yield positions[positions >= 0], matrix[positions >= 0]

    def take(self, positions) -> np.ndarray:
        return self.matrix[np.asarray(positions, dtype=np.int64)].astype(np.float32)

    def take_slots(self, slots) -> np.ndarray:
        return self._rows[slots]


def unit(matrix) -> np.ndarray:
    matrix = np.asarray(matrix, dtype=np.float64)
    return (matrix / np.linalg.norm(matrix, axis=-1, keepdims=True)).astype(np.float32)


def random_unit(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, dim))).reshape(n, dim)


def slow_search(rows: MemoryRows, query, top_k, within=None, exclude=None):
    """Every row, one exact sum each, then a plain sort: what any index must give."""
    allowed = set(range(rows.n)) if within is None else {int(position) for position in within}
    allowed -= {int(position) for position in (() if exclude is None else exclude)}
    scored = []
    for position in allowed:
        products = [float(a) * float(b) for a, b in zip(rows.matrix[position], query, strict=True)]
        scored.append((-np.float32(math.fsum(products)), position))
    scored.sort()
    return [position for _, position in scored[:top_k]], [-score for score, _ in scored[:top_k]]
