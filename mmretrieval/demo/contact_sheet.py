"""A query and what was found for it in several ways, row by row, on one picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from PIL import Image, ImageDraw, ImageFont

CELL, GAP, FRAME, LABEL = 190, 16, 6, 22
PAPER, INK, FAINT = (250, 249, 246), (34, 34, 38), (110, 110, 116)
RIGHT, OTHER = (34, 150, 84), (208, 208, 212)
TITLE_LINE, TITLE_SIZE = 30, 21
HEAD, HEAD_SIZE = 28, 16
NOTE_LINE, NOTE_SIZE, NOTE_LINES = 16, 13, 3

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class Tile:
    """One hit: its picture, a short label below it, whether it is a known right answer, and what was said of it."""

    image: Image.Image
    label: str
    right: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The best hits of one way to search, under its name."""

    name: str
    tiles: Sequence[Tile]


def contact_sheet(
    title: str, rows: Sequence[Row], *, foot: str = "", reference: Tile | None = None, columns: int = 5
) -> Image.Image:
    """The rows below each other; right ones in a green frame. A reference picture stands to the left."""
    left = 0 if reference is None else CELL + 3 * GAP
    width = left + columns * (CELL + GAP) + GAP
    lines = wrap(title, max(20, int(width / (TITLE_SIZE * 0.5))))
    top = GAP + len(lines) * TITLE_LINE + GAP // 2
    heights = [_height(row) for row in rows]
    sheet = Image.new("RGB", (width, top + sum(heights) + LABEL + GAP // 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((GAP, GAP + number * TITLE_LINE), line, fill=INK, font=_font(TITLE_SIZE))
    if reference is not None:
        _place(sheet, draw, reference, GAP, top + HEAD, most=3 * NOTE_LINES)
    y = top
    for row, height in zip(rows, heights, strict=True):
        draw.text((left + GAP, y), row.name, fill=INK, font=_font(HEAD_SIZE))
        for column, tile in enumerate(row.tiles[:columns]):
            _place(sheet, draw, tile, left + GAP + column * (CELL + GAP), y + HEAD)
        y += height
    told = "; ".join(part for part in ("green frame: a known right answer", foot) if part)
    draw.text((GAP, sheet.height - LABEL - GAP // 2), told, fill=FAINT, font=_font(14))
    return sheet


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _height(row: Row) -> int:
    notes = max((len(_lines(tile.note)) for tile in row.tiles), default=0)
    return HEAD + CELL + LABEL + notes * NOTE_LINE + GAP


def _lines(note: str, most: int = NOTE_LINES) -> list[str]:
    """As many as there is room for below a tile; the last one ends in … where some is left out."""
    return wrap(note, int(CELL / (NOTE_SIZE * 0.52)), max_lines=most, placeholder=" …")


def _place(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int, most: int = NOTE_LINES) -> None:
    frame = RIGHT if tile.right else OTHER
    draw.rectangle((x, y, x + CELL - 1, y + CELL - 1), fill=frame)
    inner = CELL - 2 * FRAME
    sheet.paste(tile.image.resize((inner, inner), Image.Resampling.LANCZOS), (x + FRAME, y + FRAME))
    draw.text((x + 2, y + CELL + 3), tile.label, fill=RIGHT if tile.right else FAINT, font=_font(14))
    for number, line in enumerate(_lines(tile.note, most)):
        draw.text((x + 2, y + CELL + LABEL + number * NOTE_LINE), line, fill=FAINT, font=_font(NOTE_SIZE))
