"""What open_clip's transform does to a picture before a model sees it, with Pillow and NumPy alone, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fill = tuple[int, int, int]
BLACK: Fill = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How pictures are brought to one size; scaling to numbers is part of the exported model.

    "shortest": the shorter side fits, the middle is cut out. "longest": all of it fits, on a ground of one colour.
    "squash": both sides are scaled on their own.
    """

    height: int
    width: int
    mode: str
    bilinear: bool
    fill: Fill

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From open_clip's own description; raises InvalidData for one that it does not give."""
        size = told["size"]
        height, width = (size, size) if isinstance(size, int) else size
        mode = told.get("resize_mode") or "shortest"
        if mode not in ("shortest", "longest", "squash"):
            raise InvalidData(f"pictures cannot be scaled by '{mode}': the ways are shortest, longest and squash")
        ground = int(told.get("fill_color") or 0)
        return cls(int(height), int(width), mode, told.get("interpolation") == "bilinear", (ground, ground, ground))

    def pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        """(height, width, 3) bytes of an RGB picture."""
        if self.mode == "squash":
            ready = self._resized(image, self.width, self.height)
        elif self.mode == "longest":
            ready = self._centred(self._fitted(image, max), self.fill)
        elif self.height == self.width:
            ready = self._centred(self._shorter_side(image), BLACK)
        else:
            ready = self._centred(self._fitted(image, min, always_bicubic=True), BLACK)
        return np.asarray(ready.convert("RGB"))

    def _resized(self, image: Image.Image, width: int, height: int, *, always_bicubic: bool = False) -> Image.Image:
        if image.size == (width, height):
            return image
        linear = self.bilinear and not always_bicubic
        return image.resize((width, height), Image.Resampling.BILINEAR if linear else Image.Resampling.BICUBIC)

    def _shorter_side(self, image: Image.Image) -> Image.Image:
        shorter, longer = sorted(image.size)
        long = int(self.height * longer / shorter)  # torchvision rounds down
        wide = image.width > image.height
        return self._resized(image, *((long, self.height) if wide else (self.height, long)))

    def _fitted(self, image: Image.Image, choose: Any, *, always_bicubic: bool = False) -> Image.Image:
        ratio = choose(image.height / self.height, image.width / self.width)
        width, height = round(image.width / ratio), round(image.height / ratio)
        return self._resized(image, width, height, always_bicubic=always_bicubic)

    def _centred(self, image: Image.Image, fill: Fill) -> Image.Image:
        """The middle of the picture; where it is too small, it lies in the middle of the ground."""
        width, height = max(image.width, self.width), max(image.height, self.height)
        if (width, height) != image.size:
            ground = Image.new("RGB", (width, height), fill)
            ground.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
            image = ground
        left, top = round((width - self.width) / 2), round((height - self.height) / 2)
        return image.crop((left, top, left + self.width, top + self.height))
