"""A food plate from above: table, cutlery, plate, servings."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from mmretrieval.demo.draw_ingredients import draw_ingredient
from mmretrieval.demo.pen import Colour, Pen, mix, shade
from mmretrieval.demo.scenes import FoodPlate, Serving

PLATE_TINTS: dict[str, Colour] = {
    "white": (244, 244, 240),
    "blue": (58, 104, 184),
    "green": (58, 138, 84),
    "black": (40, 42, 46),
    "red": (186, 44, 44),
    "yellow": (242, 204, 72),
}
PLACES = {"middle": (0.0, 0.0), "left": (-0.58, 0.0), "right": (0.58, 0.0), "top": (0.0, -0.54), "bottom": (0.0, 0.54)}
# pieces of a serving: offsets and sizes within the serving's own disc
PIECES = {
    "one": (((0.0, 0.0), 0.92),),
    "two": (((-0.5, 0.12), 0.62), ((0.5, -0.12), 0.62)),
    "three": (((-0.52, 0.4), 0.56), ((0.52, 0.4), 0.56), ((0.0, -0.5), 0.56)),
}
METAL: Colour = (198, 202, 208)
METAL_EDGE: Colour = (128, 132, 140)


def draw_food(pen: Pen, scene: FoodPlate, rng: Random) -> None:
    """`pen` spans -1..1 over the picture; everything reaches beyond it so that the camera may turn."""
    draw_table(pen, scene.table, rng)
    shift = 0.0 if not scene.side else (0.09 if scene.side == "left" else -0.09)
    if scene.side:
        draw_cutlery(
            pen.at(-0.86 if scene.side == "left" else 0.86, 0.0, 0.82, rng.uniform(-0.06, 0.06)), scene.cutlery
        )
    plate = pen.at(shift, 0.0, 0.8)
    draw_plate(plate, scene.plate, PLATE_TINTS[scene.plate_colour])
    for serving in scene.servings:
        draw_serving(plate, serving, rng)


def draw_serving(plate: Pen, serving: Serving, rng: Random) -> None:
    x, y = PLACES[serving.position]
    place = plate.at(x + rng.uniform(-0.02, 0.02), y + rng.uniform(-0.02, 0.02), 0.335, rng.uniform(-0.25, 0.25))
    for (dx, dy), size in PIECES[serving.count]:
        draw_ingredient(place.at(dx, dy, size * rng.uniform(0.94, 1.06)), serving.kind, rng)


def _outline(shape: str) -> list[tuple[float, float]]:
    """Rounded outlines of the plates, within the unit square."""
    power = {"round": 2.0, "square": 7.0, "oval": 2.3, "bowl": 2.0}[shape]
    flat = 0.8 if shape == "oval" else 1.0
    corners = []
    for i in range(48):
        c, s = cos(2 * pi * i / 48), sin(2 * pi * i / 48)
        radius = (abs(c) ** power + abs(s) ** power) ** (-1 / power)
        corners.append(
            (radius * c * (0.9 if shape == "square" else 1.0), radius * s * flat * (0.9 if shape == "square" else 1.0))
        )
    return corners


def draw_plate(pen: Pen, shape: str, tint: Colour) -> None:
    outline = _outline(shape)
    pen.at(0.03, 0.06).polygon([(x * 1.02, y * 1.02) for x, y in outline], (0, 0, 0, 90))
    pen.polygon(outline, shade(tint, 0.78))
    pen.polygon([(x * 0.97, y * 0.97) for x, y in outline], tint)
    if shape == "bowl":  # a thick rim and a dark wall make it deep
        pen.polygon([(x * 0.9, y * 0.9) for x, y in outline], shade(tint, 0.5))
        pen.polygon([(x * 0.82, y * 0.82 + 0.03) for x, y in outline], shade(tint, 0.7))
        pen.polygon([(x * 0.74, y * 0.74 + 0.05) for x, y in outline], shade(tint, 0.84))
    else:
        pen.polygon([(x * 0.84, y * 0.84) for x, y in outline], shade(tint, 0.86))
        pen.polygon([(x * 0.82, y * 0.82) for x, y in outline], mix(tint, (255, 255, 255), 0.1))


def draw_table(pen: Pen, table: str, rng: Random) -> None:
    """The whole ground; each kind has a base colour and a pattern of its own."""
    pen.box(-1.6, -1.6, 1.6, 1.6, TABLES[table][0])
    TABLES[table][1](pen, TABLES[table][0], rng)


def _wood(pen: Pen, base: Colour, rng: Random) -> None:
    for i in range(8):
        top = -1.6 + i * 0.4
        pen.box(-1.6, top, 1.6, top + 0.385, shade(base, rng.uniform(0.86, 1.1)))
        for _ in range(3):
            x, y = rng.uniform(-1.4, 1.0), top + rng.uniform(0.06, 0.34)
            end = (x + rng.uniform(0.3, 0.8), y + rng.uniform(-0.02, 0.02))
            pen.line([(x, y), end], 0.016, shade(base, 0.74))


def _marble(pen: Pen, base: Colour, rng: Random) -> None:
    for _ in range(9):
        x, y = rng.uniform(-1.5, 1.2), rng.uniform(-1.5, 1.5)
        vein = [(x + i * 0.2, y + i * 0.12 + rng.uniform(-0.09, 0.09)) for i in range(6)]
        pen.line(vein, rng.uniform(0.015, 0.05), shade(base, rng.uniform(0.78, 0.92)))


def _checked(pen: Pen, base: Colour, rng: Random) -> None:
    for i in range(9):
        edge = -1.6 + i * 0.38
        pen.box(edge, -1.6, edge + 0.19, 1.6, (204, 44, 50, 130))
        pen.box(-1.6, edge, 1.6, edge + 0.19, (204, 44, 50, 130))


def _slate(pen: Pen, base: Colour, rng: Random) -> None:
    for _ in range(26):
        x, y, length = rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(0.05, 0.22)
        pen.oval(x, y, length, 0.02, shade(base, rng.uniform(0.8, 1.3)), rng.uniform(-0.3, 0.3))


def _linen(pen: Pen, base: Colour, rng: Random) -> None:
    for i in range(27):
        at = -1.6 + i * 0.12
        pen.line([(at, -1.6), (at, 1.6)], 0.02, shade(base, 0.93))
        pen.line([(-1.6, at), (1.6, at)], 0.02, shade(base, 0.95))


TABLES: dict[str, tuple[Colour, Callable[[Pen, Colour, Random], None]]] = {
    "wood": ((166, 112, 66), _wood),
    "marble": ((206, 208, 212), _marble),
    "checked": ((246, 240, 236), _checked),
    "slate": ((62, 68, 76), _slate),
    "linen": ((226, 208, 176), _linen),
}


def draw_cutlery(pen: Pen, kind: str) -> None:
    """Upright, about two units long."""
    shadow = pen.at(0.04, 0.05)
    if kind == "chopsticks":
        for x in (-0.1, 0.12):
            shadow.line([(x, -0.95), (x * 1.5, 0.95)], 0.09, (0, 0, 0, 70))
            pen.line([(x, -0.95), (x * 1.5, 0.95)], 0.09, (128, 40, 30))
            pen.line([(x * 1.5 - x * 0.12, 0.5), (x * 1.5, 0.95)], 0.1, (226, 176, 60))
        return
    shadow.line([(0.0, -0.8), (0.0, 0.95)], 0.12, (0, 0, 0, 70))
    pen.line([(0.0, -0.1), (0.0, 0.95)], 0.1, METAL_EDGE)
    pen.line([(0.0, -0.1), (0.0, 0.93)], 0.06, METAL)
    if kind == "fork":
        pen.polygon([(-0.17, -0.5), (0.17, -0.5), (0.08, -0.12), (-0.08, -0.12)], METAL)
        for x in (-0.14, 0.0, 0.14):
            pen.line([(x, -0.95), (x, -0.45)], 0.07, METAL)
    elif kind == "spoon":
        pen.oval(0.0, -0.58, 0.2, 0.36, METAL_EDGE)
        pen.oval(0.0, -0.58, 0.15, 0.3, (222, 226, 232))
    else:
        pen.polygon([(-0.07, -0.05), (-0.07, -0.98), (0.12, -0.7), (0.13, -0.05)], (222, 226, 232))
        pen.line([(0.0, 0.1), (0.0, 0.95)], 0.13, (44, 36, 32))
