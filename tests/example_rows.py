"""A channel of unit rows in memory, with the public face of `segments.Rows`, and the slow search it is checked by."""

import hashlib
import math
from collections.abc import Iterator

import numpy as np


class MemoryRows:
    """Rows by position, kept as float16 and given out in storage order, as segments written over time would be."""

    def __init__(self, matrix, *, block=7, seed=0) -> None:
        self.matrix = np.asarray(matrix, dtype=np.float16)
        self.n, self.dim = self.matrix.shape
        self.block = block
        self.stored = np.random.default_rng(seed).permutation(self.n)
        self.passes = 0

    @property
    def key(self) -> str:
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    def blocks(self, rows_per_block: int = 8192) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.passes += 1
        size = min(self.block, rows_per_block)
        for at in range(0, self.n, size):
            positions = self.stored[at : at + size].astype(np.int64)
            yield positions, self.matrix[positions]

    def take(self, positions) -> np.ndarray:
        return self.matrix[np.asarray(positions, dtype=np.int64)].astype(np.float32)


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
