"""Parts of a picture looked at more closely, for things that are small in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

OVERLAP = 0.25  # of a tile, so that what one cuts in two lies whole in its neighbour
_LEAST = 16  # pixels; a smaller tile shows nothing


def check_tiles(name: str, side: int) -> None:
    """UsageError unless it is a number of tiles along a side that costs something one can pay."""
    if not 0 <= side <= 4:
        raise UsageError(f"'{name}' cuts pictures into {side} tiles a side: give 0 for none, or 2 to 4")


def tiles(image: Image, side: int) -> list[Image]:
    """`side` times `side` overlapping tiles, row by row; none for less than 2, or of a picture too small for them."""
    if side < 2:
        return []
    width, height = (_spans(pixels, side) for pixels in image.size)
    if min(end - start for start, end in (*width, *height)) < _LEAST:
        return []
    return [image.crop((left, top, right, bottom)) for top, bottom in height for left, right in width]


def _spans(pixels: int, side: int) -> list[tuple[int, int]]:
    """The first and the last-but-one pixel of each tile along a side: equal lengths, from edge to edge."""
    length = pixels / (side - (side - 1) * OVERLAP)
    step = length * (1 - OVERLAP)
    return [(round(number * step), min(pixels, round(number * step + length))) for number in range(side)]
