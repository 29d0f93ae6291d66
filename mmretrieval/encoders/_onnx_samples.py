"""Pictures and texts on which an exported model is measured, the same on every machine.

Drawn scenes with their captions, and clouds of colour whose detail falls off with its size as it does in photographs,
in many shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.creation import NEUTRAL_TEXTS
from mmretrieval.demo.sample import sample

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE = 256


def drawn(number: int, seed: str) -> list[tuple[Image, str]]:
    """Scenes of the drawn world of all sorts, with captions; about 15 ms each."""
    samples = [sample(seed, 7 * each) for each in range(number)]
    return [(each.render(_SIDE), each.caption) for each in samples]


def clouds(number: int, seed: int) -> list[Image]:
    """Random pictures with the spectrum of photographs, from narrow to wide."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None])
    falls_off = 1 / np.maximum(frequency, 1 / _SIDE)
    pictures = []
    for each in range(number):
        noise = rng.standard_normal((3, _SIDE, _SIDE))
        noise = noise + 1.5 * noise.mean(axis=0)  # colours go together more than not
        smooth = np.fft.irfft2(np.fft.rfft2(noise) * falls_off, s=(_SIDE, _SIDE))
        spread = (smooth - smooth.mean()) / smooth.std() * rng.uniform(30, 70) + rng.uniform(80, 170)
        picture = Image.fromarray(np.moveaxis(spread.clip(0, 255).astype(np.uint8), 0, -1))
        narrow = _SIDE - 19 * (each % 8)
        pictures.append(picture.crop((0, 0, narrow, _SIDE) if each % 2 else (0, 0, _SIDE, narrow)))
    return pictures


def texts() -> list[str]:
    """Plain words about many things."""
    return list(NEUTRAL_TEXTS)
