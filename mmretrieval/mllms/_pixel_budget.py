"""Pictures made small enough for a prompt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


def shrunk(image: Image, most_pixels: int) -> Image:
    """The picture as RGB with at most so many pixels, in its own proportions."""
    image = image if image.mode == "RGB" else image.convert("RGB")
    width, height = image.size
    if width * height <= most_pixels:
        return image
    scale = math.sqrt(most_pixels / (width * height))
    return image.resize((max(1, int(width * scale)), max(1, int(height * scale))), resample=3, reducing_gap=2.0)
