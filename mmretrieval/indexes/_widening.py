"""float16 rows as float32: what a product of many queries with many rows begins with, and its larger part.

NumPy turns number after number, which takes several times as long as the product itself. torch uses the processor's own
instruction; it is not loaded for this, but whoever searches by words or pictures has it loaded for the encoder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS = 2_048  # copied at once: little enough to stay in the processor's cache between the two steps


class Widener:
    """Turns blocks of rows into float32, one after the other, in memory that is used again for the next block."""

    def __init__(self, rows: int, dim: int) -> None:
        """`rows` is the most that a block has."""
        self._wide = np.empty((rows, dim), dtype=np.float32)
        self._half = np.empty((min(_ROWS, rows), dim), dtype=np.float16)

    def __call__(self, block: NDArray[np.float16]) -> NDArray[np.float32]:
        """The block as float32, exactly; it holds until the next call."""
        torch = sys.modules.get("torch")
        if torch is None:
            return block.astype(np.float32)
        wide = self._wide[: len(block)]
        target, source = torch.from_numpy(wide), torch.from_numpy(self._half)
        for at in range(0, len(block), len(self._half)):
            part = block[at : at + len(self._half)]
            self._half[: len(part)] = part  # torch takes no memory that is read-only, as a mapped file is
            target[at : at + len(part)] = source[: len(part)]
        return wide
