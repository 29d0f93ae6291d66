"""Several pictures on one: where each lies, what stands above it, and that equal pictures give equal bytes."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmretrieval.errors import UsageError
from mmretrieval.sheet import EMPTY, INK, PAD, mark_names, sheet

SIDES = st.integers(1, 60)
COLOURS = [(37 * number % 251, 91 * number % 241, 151 * number % 239) for number in range(1, 26)]


def plain(colour, size=(40, 40)):
    return Image.new("RGB", size, colour)


def pixels(image, box=None):
    return np.asarray(image.crop(box) if box else image).reshape(-1, 3)


def inside(inner, outer):
    return outer[0] <= inner[0] < inner[2] <= outer[2] and outer[1] <= inner[1] < inner[3] <= outer[3]


@pytest.mark.parametrize("columns", [1, 3, 4, 5])
@pytest.mark.parametrize("count", [1, 2, 9, 15, 16, 17, 25])
def test_so_many_pictures_need_so_many_rows(count, columns):
    made = sheet([plain(colour) for colour in COLOURS[:count]], columns=columns, cell=20, strip=8, gap=2)
    rows = int(np.ceil(count / columns))
    assert made.image.size == (columns * 20 + (columns - 1) * 2, rows * 28 + (rows - 1) * 2)
    assert [cell.mark for cell in made.cells] == [str(number + 1) for number in range(count)]


@pytest.mark.parametrize("count", [1, 2, 9, 15, 16, 17, 25])
def test_each_picture_area_holds_the_colour_of_its_own_picture(count):
    made = sheet([plain(colour) for colour in COLOURS[:count]], cell=32, strip=12)
    for colour, cell in zip(COLOURS, made.cells, strict=False):
        assert (pixels(made.image, cell.picture) == colour).all()


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=9), columns=st.integers(1, 4), gap=st.integers(0, 5)
)
def test_pictures_keep_their_proportions_and_everything_has_its_own_place(sizes, columns, gap):
    made = sheet([plain((200, 10, 10), size) for size in sizes], columns=columns, cell=48, strip=16, gap=gap)
    taken = np.zeros((made.image.height, made.image.width), int)
    for (width, height), cell in zip(sizes, made.cells, strict=True):
        assert inside(cell.picture, cell.area)
        shown = (cell.picture[2] - cell.picture[0], cell.picture[3] - cell.picture[1])
        assert max(shown) == 48
        assert shown == tuple(max(1, round(side * 48 / max(width, height))) for side in (width, height))
        margins = (cell.picture[0] - cell.area[0], cell.area[2] - cell.picture[2])
        assert abs(margins[0] - margins[1]) <= 1
        for left, top, right, bottom in (cell.strip, cell.area):
            taken[top:bottom, left:right] += 1
    assert taken.max() == 1


def test_around_a_picture_that_is_not_square_there_is_plain_padding():
    made = sheet([plain((0, 0, 200), (40, 10))], columns=1, cell=40, strip=10)
    seen = {tuple(colour) for colour in pixels(made.image, made.cells[0].area).tolist()}
    assert seen == {(0, 0, 200), PAD}


@pytest.mark.parametrize("marks", ["number", "letter"])
@pytest.mark.parametrize(("cell", "strip"), [(96, 32), (288, 40), (16, 32), (7, 3)])
def test_marks_stay_in_their_strips(marks, cell, strip):
    made = sheet([plain((200, 10, 10))] * 12, cell=cell, strip=strip, marks=marks)
    for one in made.cells:
        assert (pixels(made.image, one.area) == (200, 10, 10)).all()
        greys = pixels(made.image, one.strip)
        assert (greys == greys[:, :1]).all()
    gaps = np.asarray(made.image).copy()
    for left, top, right, bottom in (box for one in made.cells for box in (one.strip, one.area)):
        gaps[top:bottom, left:right] = EMPTY
    assert (gaps == EMPTY).all()


@pytest.mark.parametrize("marks", ["number", "letter"])
@pytest.mark.parametrize(("cell", "strip"), [(96, 32), (288, 40)])
def test_no_two_marks_look_alike(marks, cell, strip):
    made = sheet([plain((9, 9, 9))] * 25, columns=5, cell=cell, strip=strip, marks=marks)
    looks = {made.image.crop(one.strip).tobytes() for one in made.cells}
    assert len(looks) == 25
    assert all((np.asarray(made.image.crop(one.strip)) == INK).any() for one in made.cells)


def test_cells_without_a_picture_are_plain_grey():
    made = sheet([plain((9, 9, 9))] * 3, columns=2, rows=3, cell=20, strip=10, gap=0)
    assert made.image.size == (40, 90)
    assert (pixels(made.image, (20, 30, 40, 60)) == EMPTY).all()
    assert (pixels(made.image, (0, 60, 40, 90)) == EMPTY).all()


def test_the_small_form_has_cells_of_whole_features():
    """Cells of 96 pixels below strips of 32, side by side: what a tower that halves five times sees undivided."""
    made = sheet([plain(colour, (96, 96)) for colour in COLOURS[:6]], columns=3, cell=96, strip=32, gap=0)
    assert made.image.size == (288, 256)
    assert [cell.picture for cell in made.cells] == [(x, y, x + 96, y + 96) for y in (32, 160) for x in (0, 96, 192)]
    own = Image.effect_noise((96, 96), 80).convert("RGB")
    laid = sheet([own], columns=1, cell=96, strip=32, gap=0)
    assert laid.image.crop(laid.cells[0].picture).tobytes() == own.tobytes()


def test_marks_are_numbers_or_letters():
    assert mark_names(3) == ["1", "2", "3"]
    letters = mark_names(703, "letter")
    assert [letters[at] for at in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert len(set(letters)) == 703
    assert mark_names(0) == []


def test_pictures_of_every_mode_and_shape_are_laid_upright_on_white():
    turned = Image.new("RGB", (20, 10), (250, 0, 0))
    turned.paste((0, 0, 250), (10, 0, 20, 10))
    held = io.BytesIO()
    exif = turned.getexif()
    exif[0x0112] = 6  # turn by a quarter, clockwise
    turned.save(held, "PNG", exif=exif)
    pictures = [
        Image.open(held),
        plain((1, 2, 3)).convert("P"),
        Image.new("RGBA", (30, 30), (0, 0, 0, 0)),
        Image.new("LA", (30, 30), (0, 0)),
        Image.new("L", (1, 1), 7),
        Image.new("1", (9, 3), 1),
        Image.new("CMYK", (3, 9)),
        Image.new("I;16", (5, 5), 65535),
        Image.new("F", (5, 5), 0.5),
        plain((5, 5, 5), (400, 2)),
        plain((5, 5, 5), (2, 400)),
    ]
    made = sheet(pictures, columns=4, cell=40, strip=10)
    first = made.cells[0].picture
    assert (first[2] - first[0], first[3] - first[1]) == (20, 40)
    assert made.image.getpixel((first[0] + 10, first[1] + 5)) == (250, 0, 0)
    assert made.image.getpixel((first[0] + 10, first[3] - 5)) == (0, 0, 250)
    for place in (2, 3, 5, 6, 7):
        assert (pixels(made.image, made.cells[place].picture) == 255).all()
    assert (pixels(made.image, made.cells[4].picture) == 7).all()


def test_equal_pictures_give_equal_bytes_in_another_process_too():
    code = (
        "import hashlib; from PIL import Image; from mmretrieval.sheet import sheet\n"
        "shown = [Image.linear_gradient('L').resize((50 + n, 90)) for n in range(11)]\n"
        "print(hashlib.sha256(sheet(shown).image.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    shown = [Image.linear_gradient("L").resize((50 + number, 90)) for number in range(11)]
    digests = {hashlib.sha256(sheet(shown).image.tobytes()).hexdigest() for _ in range(2)}
    assert digests == {said.stdout.strip()}, said.stderr


def test_the_pictures_it_was_given_are_unchanged():
    picture = Image.linear_gradient("L")
    before = picture.tobytes()
    sheet([picture] * 2)
    assert (picture.mode, picture.tobytes()) == ("L", before)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"columns": 0}, "too small"),
        ({"cell": 0}, "too small"),
        ({"strip": 0}, "too small"),
        ({"gap": -1}, "too small"),
        ({"columns": 2, "rows": 1}, "3 pictures do not fit on 2 x 1 cells"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        sheet([plain((1, 1, 1))] * 3, **wrong)


def test_a_sheet_of_nothing_is_an_empty_row():
    made = sheet([], columns=2, cell=10, strip=5, gap=0)
    assert made.cells == ()
    assert (pixels(made.image) == EMPTY).all()
