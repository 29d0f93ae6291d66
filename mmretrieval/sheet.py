"""Several pictures on one, each below a mark of its own, for a model that reads them all in one look.

The marks stand in strips outside the pictures, so that they hide nothing of them. Equal pictures and arguments give
equal pixels; the letters are those of the font that Pillow brings along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from mmretrieval.errors import UsageError
from mmretrieval.pixels import orientation_of, to_rgb, upright

Marks = Literal["number", "letter"]
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two just outside

SHEET = "cells"  # the key of a picture's `info` that tells a sheet, with its columns and rows
PAD = (236, 236, 236)  # around a picture that is not square
EMPTY = (128, 128, 128)  # gaps, and cells without a picture
STRIP, INK = (16, 16, 16), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Cell:
    """Where one picture lies: its mark, the strip that the mark stands in, its cell, and the picture inside that."""

    mark: str
    strip: Box
    area: Box
    picture: Box


@dataclass(frozen=True, slots=True)
class Sheet:
    """The picture that shows all, RGB, and a cell for each picture in the order they were given."""

    image: Image.Image
    cells: tuple[Cell, ...]


def mark_names(count: int, marks: Marks = "number") -> list[str]:
    """1, 2, 3, … or A, B, …, Z, AA, AB, …"""
    return [str(number) if marks == "number" else _letters(number) for number in range(1, count + 1)]


def sheet(
    pictures: Sequence[Image.Image],
    *,
    columns: int = 4,
    rows: int | None = None,
    cell: int = 288,
    strip: int = 40,
    gap: int = 8,
    marks: Marks = "number",
) -> Sheet:
    """The pictures row by row on one: `columns` cells of `cell` x `cell` pixels, each with a strip above it.

    A picture is scaled to fit its cell, in its own proportions, centred, and of any mode. Without `rows` there are as
    many as the pictures need; cells that get no picture stay plain grey and have no mark. The sheet measures
    columns * cell + (columns - 1) * gap by rows * (strip + cell) + (rows - 1) * gap. Raises UsageError when a measure
    is not positive or the pictures do not fit.
    """
    needed = max(1, -(-len(pictures) // max(1, columns)))
    rows = needed if rows is None else rows
    if min(columns, rows, cell, strip) < 1 or gap < 0:
        raise UsageError(f"a sheet of {columns} x {rows} cells of {cell} pixels, strip {strip}, gap {gap}: too small")
    if rows < needed:
        raise UsageError(f"{len(pictures)} pictures do not fit on {columns} x {rows} cells: give more rows or columns")
    size = (columns * (cell + gap) - gap, rows * (strip + cell + gap) - gap)
    canvas = Image.new("RGB", size, EMPTY)
    canvas.info[SHEET] = (columns, rows)
    cells = []
    for number, (picture, mark) in enumerate(zip(pictures, mark_names(len(pictures), marks), strict=True)):
        left, top = number % columns * (cell + gap), number // columns * (strip + cell + gap)
        band = (left, top, left + cell, top + strip)
        canvas.paste(_written(mark, cell, strip), band)
        area = (left, top + strip, left + cell, top + strip + cell)
        canvas.paste(PAD, area)
        cells.append(Cell(mark, band, area, _lay(canvas, picture, area)))
    return Sheet(canvas, tuple(cells))


def _letters(number: int) -> str:
    """As spreadsheets name their columns: 1 is A, 27 is AA."""
    name = ""
    while number:
        number, place = divmod(number - 1, 26)
        name = chr(ord("A") + place) + name
    return name


def _lay(canvas: Image.Image, picture: Image.Image, area: Box) -> Box:
    """Paste the picture into the middle of the area, as large as fits; where it lies now."""
    picture = upright(to_rgb(picture)[0], orientation_of(picture))
    side = area[2] - area[0]
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    if (width, height) != picture.size:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    left, top = area[0] + (side - width) // 2, area[1] + (side - height) // 2
    canvas.paste(picture, (left, top))
    return (left, top, left + width, top + height)


def _written(mark: str, width: int, height: int) -> Image.Image:
    """A strip with the mark in its middle, light on dark, in letters that fit."""
    band = Image.new("RGB", (width, height), STRIP)
    draw = ImageDraw.Draw(band)
    size = 0.8 * height
    font = ImageFont.load_default(size)
    if (wide := draw.textlength(mark, font=font)) > width:
        font = ImageFont.load_default(max(1.0, size * width / wide))
    left, top, right, bottom = draw.textbbox((0, 0), mark, font=font)
    draw.text((round((width - right - left) / 2), round((height - bottom - top) / 2)), mark, fill=INK, font=font)
    return band
