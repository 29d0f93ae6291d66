"""What the frozen tower sees of every training picture, computed once and kept as half-precision rows on disk.

The language model is most of the work of a step, so a tower that does not learn has no reason to look twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mmretrieval.training.vlm_folder import STRIDE, TOWER_WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

BATCH = 40  # pictures


def tokens(height: int, width: int) -> int:
    """How many tokens a picture of that size becomes."""
    return (height // STRIDE) * (width // STRIDE)


def fill(
    path: Path, tower: nn.Module, pictures: Callable[[int, int], NDArray[np.uint8]], number: int, shape: tuple[int, int]
) -> Iterator[int]:
    """Features of pictures 0 to `number`, each `shape` high and wide, appended to `path`; yields how many lie there.

    `pictures(start, stop)` gives (n, height, width, 3) pixels. What is there already is not computed again.
    """
    row = tokens(*shape) * TOWER_WIDTH * 2
    done = path.stat().st_size // row if path.exists() else 0
    with path.open("ab") as file:
        file.truncate(done * row)
        yield done
        for start in range(done, number, BATCH):
            stop = min(start + BATCH, number)
            file.write(seen(tower, pictures(start, stop)).tobytes())
            yield stop


def rows(path: Path, shape: tuple[int, int]) -> NDArray[np.float16]:
    """(pictures, tokens, width), mapped into memory."""
    return np.memmap(path, np.float16, "r").reshape(-1, tokens(*shape), TOWER_WIDTH)


@torch.inference_mode()
def seen(tower: nn.Module, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
    """(n, height, width, 3) pixels to (n, tokens, width) features, in reading order."""
    device = next(tower.parameters()).device
    x = torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    x = tower(x.contiguous(memory_format=torch.channels_last)).last_hidden_state
    maps: NDArray[np.float16] = x.flatten(2).transpose(1, 2).half().cpu().numpy()
    return maps
