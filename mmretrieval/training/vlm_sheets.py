"""Marked sheets of drawn pictures: which pictures lie on which sheet, and the sheet's pixels.

A sheet's cells are as large as the pictures that the tower has learned, below strips of one stride, so that its
feature map is one block of rows and columns per cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mmretrieval.sheet import sheet
from mmretrieval.training.clip_folder import IMAGE_SIZE
from mmretrieval.training.vlm_folder import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIBLINGS = 0.7  # of the sheets hold at least one pair that differs in a single thing


@dataclass(frozen=True, slots=True)
class Layout:
    """`side` x `side` cells; `number` sheets of it are drawn per 1,000 pairs of pictures."""

    side: int
    number: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.side * (IMAGE_SIZE + STRIDE), self.side * IMAGE_SIZE


LAYOUTS = (Layout(2, 200), Layout(3, 80), Layout(4, 20))


def chosen(seed: str, layout: Layout, number: int, pairs: int) -> list[int]:
    """The pool's rows on the sheet with that number, cell by cell: all food or all nature, in a random order."""
    rng = Random(f"sheet:{seed}:{layout.side}:{number}")
    domain = rng.randrange(2)  # even pairs show food, odd ones nature
    rows: list[int] = []
    while len(rows) < layout.side**2:
        pair = 2 * rng.randrange(pairs // 2) + domain
        both = rng.random() < SIBLINGS / 2 and len(rows) + 2 <= layout.side**2
        new = [2 * pair, 2 * pair + 1] if both or not rows else [2 * pair + rng.randrange(2)]
        rows += [row for row in new if row not in rows]
    rows = rows[: layout.side**2]
    rng.shuffle(rows)
    return rows


def pixels(pool: NDArray[np.uint8], seed: str, layout: Layout, start: int, stop: int) -> NDArray[np.uint8]:
    """The sheets `start` to `stop`: (n, height, width, 3)."""
    pairs = len(pool) // 2
    return np.stack([drawn([pool[row] for row in chosen(seed, layout, n, pairs)], layout) for n in range(start, stop)])


def drawn(pictures: list[NDArray[np.uint8]], layout: Layout) -> NDArray[np.uint8]:
    """Pictures (size, size, 3) on one sheet (height, width, 3)."""
    images = [Image.fromarray(picture) for picture in pictures]
    made = sheet(images, columns=layout.side, rows=layout.side, cell=IMAGE_SIZE, strip=STRIDE, gap=0)
    return np.asarray(made.image)
