"""Training pictures drawn once and kept: pairs of a scene and the same scene with one attribute changed.

Row 2i holds the scene, row 2i + 1 its edit. The pixels lie in one memory-mapped file that may be filled in several
goes; which rows are drawn is known from its length. Scenes themselves are never stored: they follow from the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.demo.edits import edit
from mmretrieval.demo.render import render
from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 500  # pairs drawn at a time: a killed run loses at most these
# drawn at several sizes and scaled down, since users' pictures come in any size
DRAWN_AT = (96, 128, 160)


def pair(seed: str, number: int) -> tuple[Scene, Scene, str]:
    """Scene, edited scene, modification text. The `train:` prefix keeps these apart from every gallery's seed."""
    base = scene(f"train:{seed}", number, "food" if number % 2 == 0 else "nature")
    changed, words = edit(base, Random(f"edit:train:{seed}:{number}"))
    return base, changed, words


def draw_pairs(seed: str, start: int, stop: int, size: int) -> bytes:
    """Pixels of the pairs `start` to `stop`: uint8 (2 (stop - start), size, size, 3)."""
    from PIL.Image import Resampling

    pixels = bytearray()
    for number in range(start, stop):
        base, changed, _ = pair(seed, number)
        for which, shown in enumerate((base, changed)):
            look = f"train:{seed}:{number}:{which}"
            drawn = render(shown, max(size, Random(f"size:{look}").choice(DRAWN_AT) * size // 96), look)
            pixels += drawn.resize((size, size), Resampling.BICUBIC).tobytes()
    return bytes(pixels)


def fill(path: Path, seed: str, pairs: int, size: int, workers: int) -> Iterator[int]:
    """Draws what is missing of `pairs` pairs into `path`; yields the number of pairs that lie there."""
    row = 2 * size * size * 3
    done = path.stat().st_size // row if path.exists() else 0
    done -= done % CHUNK
    with path.open("ab") as file:
        file.truncate(done * row)
        yield done
        starts = list(range(done, pairs, CHUNK))
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            jobs = [executor.submit(draw_pairs, seed, s, min(s + CHUNK, pairs), size) for s in starts]
            for start, job in zip(starts, jobs, strict=True):
                file.write(job.result())
                file.flush()
                yield min(start + CHUNK, pairs)


def pixels(path: Path, size: int) -> NDArray[np.uint8]:
    """The pool as (rows, size, size, 3), memory-mapped."""
    rows = path.stat().st_size // (size * size * 3)
    return np.memmap(path, dtype=np.uint8, mode="r", shape=(rows - rows % 2, size, size, 3))
