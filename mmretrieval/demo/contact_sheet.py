"""A query and what was found for it, on one picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, FRAME, LABEL = 190, 16, 6, 24
PAPER, INK, FAINT = (250, 249, 246), (34, 34, 38), (120, 120, 126)
RIGHT, OTHER = (34, 150, 84), (208, 208, 212)
TITLE_LINE, TITLE_SIZE = 30, 21


@dataclass(frozen=True, slots=True)
class Tile:
    """One hit: its picture, a short label below it, and whether it is a known right answer."""

    image: Image.Image
    label: str
    right: bool


def contact_sheet(
    title: str, tiles: Sequence[Tile], *, reference: Image.Image | None = None, columns: int = 5
) -> Image.Image:
    """Hits in reading order under the title; right ones in a green frame. A reference picture stands to the left."""
    left = 0 if reference is None else CELL + 3 * GAP
    width = left + columns * (CELL + GAP) + GAP
    lines = wrap(title, max(20, int(width / (TITLE_SIZE * 0.52))))
    top = GAP + len(lines) * TITLE_LINE + GAP // 2
    rows = max(1, -(-len(tiles) // columns))
    sheet = Image.new("RGB", (width, top + rows * (CELL + LABEL + GAP) + LABEL), PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(TITLE_SIZE), ImageFont.load_default(14)
    for number, line in enumerate(lines):
        draw.text((GAP, GAP + number * TITLE_LINE), line, fill=INK, font=font)
    if reference is not None:
        _place(sheet, draw, reference, GAP, top, OTHER, "the reference", small)
    for number, tile in enumerate(tiles):
        x = left + GAP + number % columns * (CELL + GAP)
        y = top + number // columns * (CELL + LABEL + GAP)
        _place(sheet, draw, tile.image, x, y, RIGHT if tile.right else OTHER, tile.label, small)
    foot = "green frame: a known right answer"
    draw.text((GAP, sheet.height - LABEL), foot, fill=FAINT, font=small)
    return sheet


def _place(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    image: Image.Image,
    x: int,
    y: int,
    frame: tuple[int, int, int],
    label: str,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=frame)
    inner = CELL - 2 * FRAME
    sheet.paste(image.resize((inner, inner), Image.Resampling.LANCZOS), (x + FRAME, y + FRAME))
    draw.text((x + 2, y + CELL + 4), label, fill=RIGHT if frame == RIGHT else FAINT, font=font)
