"""One small drawing per ingredient, within the unit disc of its pen."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from mmretrieval.demo.pen import Colour, Pen, Point

Drawing = Callable[[Pen, Random], None]


def ring(number: int, radius: float, turn: float = 0.0) -> list[Point]:
    """Points evenly spaced on a circle."""
    return [(radius * cos(turn + 2 * pi * i / number), radius * sin(turn + 2 * pi * i / number)) for i in range(number)]


def star(points: int, outer: float, inner: float) -> list[Point]:
    """A star's outline, its first tip to the right."""
    tips, dents = ring(points, outer), ring(points, inner, pi / points)
    return [corner for pair in zip(tips, dents, strict=True) for corner in pair]


def tomato(pen: Pen, rng: Random) -> None:
    pen.disc(0, 0, 0.95, (196, 30, 24))
    pen.disc(-0.06, -0.06, 0.82, (226, 52, 36))
    pen.polygon(star(5, 0.58, 0.2), (52, 128, 40))
    pen.disc(0, 0, 0.12, (34, 92, 26))
    pen.oval(-0.5, -0.5, 0.17, 0.11, (255, 190, 170), angle=-0.7)


def cucumber(pen: Pen, rng: Random) -> None:
    pen.disc(0, 0, 0.95, (34, 98, 38))
    pen.disc(0, 0, 0.76, (196, 226, 150))
    pen.disc(0, 0, 0.44, (222, 240, 186))
    for x, y in ring(6, 0.33):
        pen.disc(x, y, 0.09, (150, 186, 96))


def carrot(pen: Pen, rng: Random) -> None:
    for y in (-0.3, 0.0, 0.3):
        pen.line([(-0.5, y * 0.4), (-1.0, y * 1.5)], 0.15, (56, 150, 52))
    pen.polygon([(-0.6, -0.42), (-0.45, -0.48), (1.0, 0.0), (-0.45, 0.48), (-0.6, 0.42)], (240, 124, 22))
    for x, half in ((-0.25, 0.3), (0.1, 0.2), (0.45, 0.12)):
        pen.line([(x, -half), (x + 0.04, half * 0.2)], 0.07, (204, 92, 12))


def broccoli(pen: Pen, rng: Random) -> None:
    pen.polygon([(-0.22, 0.1), (0.22, 0.1), (0.16, 0.98), (-0.16, 0.98)], (158, 200, 106))
    for x, y in ((-0.58, -0.02), (0.58, -0.02), (-0.3, -0.5), (0.3, -0.5), (0.0, -0.08)):
        pen.disc(x, y, 0.42, (28, 104, 40))
    for x, y in ((-0.62, -0.1), (0.52, -0.12), (-0.34, -0.6), (0.26, -0.62), (-0.05, -0.2)):
        pen.disc(x, y, 0.2, (74, 156, 70))


def egg(pen: Pen, rng: Random) -> None:
    outline = [(x * (1 + 0.1 * rng.uniform(-1, 1)), y) for x, y in ring(12, 0.93)]
    pen.polygon(outline, (236, 232, 222))
    pen.disc(0, 0, 0.78, (254, 253, 248))
    pen.disc(0.06, 0.02, 0.43, (250, 172, 20))
    pen.disc(-0.05, -0.1, 0.14, (255, 226, 130))


def shrimp(pen: Pen, rng: Random) -> None:
    for turn in range(9):
        angle = -0.5 + turn * 0.52
        radius = 0.2 + 0.018 * turn
        tint = (250, 150, 118) if turn % 2 else (236, 108, 80)
        pen.disc(0.56 * cos(angle), 0.56 * sin(angle), radius + 0.1, tint)
    tip = -0.5
    pen.polygon([(0.5, -0.3), (0.98, -0.62), (0.86, -0.12)], (214, 72, 50))
    pen.disc(0.3 * cos(tip + 4.4), 0.95 * sin(tip + 4.4), 0.08, (30, 20, 20))


def mushroom(pen: Pen, rng: Random) -> None:
    pen.polygon([(-0.24, 0.0), (0.24, 0.0), (0.32, 0.9), (-0.32, 0.9)], (240, 228, 204))
    cap = [(-0.95, 0.16), *[(0.95 * cos(pi + pi * i / 10), 0.16 + 1.05 * sin(pi + pi * i / 10)) for i in range(11)]]
    pen.polygon([*cap, (0.95, 0.16)], (150, 98, 56))
    pen.oval(-0.25, -0.4, 0.3, 0.16, (196, 146, 98), angle=-0.4)
    pen.oval(0.0, 0.17, 0.93, 0.13, (112, 70, 38))


def olive(pen: Pen, rng: Random) -> None:
    pen.oval(0, 0, 0.95, 0.78, (26, 24, 34))
    pen.oval(-0.2, -0.28, 0.4, 0.16, (104, 100, 124), angle=-0.2)
    pen.disc(0.42, 0.1, 0.26, (206, 48, 40))


def lemon(pen: Pen, rng: Random) -> None:
    pen.disc(0, 0, 0.95, (240, 196, 8))
    pen.disc(0, 0, 0.82, (255, 250, 212))
    for i in range(8):
        a, b = 2 * pi * i / 8 + 0.07, 2 * pi * (i + 1) / 8 - 0.07
        reach = ((0.08, (a + b) / 2), (0.74, a), (0.76, (a + b) / 2), (0.74, b))
        pen.polygon([(r * cos(t), r * sin(t)) for r, t in reach], (252, 224, 56))


def fish(pen: Pen, rng: Random) -> None:
    pen.polygon([(0.45, 0.0), (1.0, -0.52), (0.86, 0.0), (1.0, 0.52)], (92, 122, 150))
    pen.oval(-0.15, 0, 0.84, 0.5, (138, 168, 194))
    pen.oval(-0.12, 0.14, 0.7, 0.26, (206, 222, 232))
    pen.polygon([(-0.3, -0.4), (0.2, -0.42), (0.05, -0.76)], (92, 122, 150))
    pen.arc(-0.38, 0, 0.36, -1.0, 1.0, 0.07, (84, 112, 138))
    pen.disc(-0.68, -0.12, 0.12, (20, 24, 30))


def steak(pen: Pen, rng: Random) -> None:
    shape = [
        (-0.95, 0.1),
        (-0.7, -0.62),
        (-0.05, -0.6),
        (0.5, -0.86),
        (0.96, -0.2),
        (0.66, 0.5),
        (0.0, 0.62),
        (-0.6, 0.78),
    ]
    pen.polygon(shape, (242, 216, 188))
    pen.polygon([(x * 0.84, y * 0.82) for x, y in shape], (120, 54, 38))
    for x in (-0.42, 0.0, 0.42):
        pen.line([(x - 0.12, -0.38), (x + 0.16, 0.4)], 0.13, (62, 26, 20))


def rice(pen: Pen, rng: Random) -> None:
    pen.disc(0, 0, 0.92, (222, 218, 206))
    pen.disc(-0.04, -0.05, 0.84, (248, 246, 238))
    for _ in range(14):
        x, y, angle = rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6), rng.uniform(0, pi)
        pen.oval(x, y, 0.19, 0.08, (206, 200, 182), angle)


def noodles(pen: Pen, rng: Random) -> None:
    pen.disc(0, 0, 0.94, (196, 144, 52))
    for radius, start in ((0.82, 0.4), (0.6, 2.2), (0.38, 4.1), (0.16, 1.0)):
        pen.arc(0, 0, radius, start, start + 5.6, 0.16, (244, 208, 112))


def cheese(pen: Pen, rng: Random) -> None:
    pen.polygon([(-0.92, 0.0), (0.92, -0.66), (0.92, 0.1), (-0.92, 0.62)], (226, 158, 26))
    pen.polygon([(-0.95, 0.0), (0.9, -0.72), (0.4, -0.9)], (255, 222, 110))
    pen.polygon([(-0.95, 0.0), (0.94, -0.34), (0.94, 0.6), (-0.95, 0.66)], (250, 196, 52))
    for x, y, r in ((-0.5, 0.36, 0.15), (0.1, 0.14, 0.19), (0.6, 0.36, 0.14), (0.66, -0.14, 0.1)):
        pen.disc(x, y, r, (206, 140, 20))


def corn(pen: Pen, rng: Random) -> None:
    pen.polygon([(-0.2, -0.52), (0.98, -0.36), (0.2, 0.06), (0.98, 0.4), (-0.2, 0.52)], (110, 170, 66))
    pen.oval(-0.25, 0, 0.74, 0.4, (224, 164, 14))
    for row in range(3):
        for column in range(6):
            pen.disc(-0.8 + column * 0.2, -0.22 + row * 0.22, 0.095, (255, 222, 74))


def onion(pen: Pen, rng: Random) -> None:
    for radius, tint in ((0.95, (120, 32, 104)), (0.8, (240, 218, 236)), (0.62, (156, 62, 138)), (0.5, (246, 230, 242)),
                         (0.32, (156, 62, 138)), (0.2, (248, 236, 246))):  # fmt: skip
        pen.disc(0, 0, radius, tint)


def pepper(pen: Pen, rng: Random) -> None:
    for x in (-0.42, 0.42, 0.0):
        pen.oval(x, 0.14, 0.46, 0.78, (36, 138, 44) if x else (64, 172, 60))
    pen.oval(-0.12, -0.16, 0.1, 0.34, (156, 220, 136))
    pen.line([(0.0, -0.5), (0.08, -0.98)], 0.2, (96, 112, 34))


def basil(pen: Pen, rng: Random) -> None:
    half = [(-0.95, 0.0), (-0.5, -0.46), (0.1, -0.56), (0.6, -0.34), (0.98, 0.0)]
    pen.polygon([*half, *[(x, -y) for x, y in reversed(half)]], (44, 148, 54))
    pen.polygon([*half, (-0.95, 0.0)], (84, 184, 78))
    pen.line([(-1.0, 0.0), (0.9, 0.0)], 0.08, (24, 96, 32))
    for x in (-0.4, 0.0, 0.4):
        pen.line([(x, 0.0), (x + 0.24, -0.28)], 0.06, (24, 96, 32))
        pen.line([(x, 0.0), (x + 0.24, 0.28)], 0.06, (24, 96, 32))


def avocado(pen: Pen, rng: Random) -> None:
    for scale, tint in ((1.0, (42, 74, 32)), (0.86, (146, 186, 70)), (0.7, (226, 230, 142))):
        pen.oval(0.0, 0.24, 0.72 * scale, 0.74 * scale, tint)
        pen.oval(0.0, -0.4, 0.44 * scale, 0.58 * scale, tint)
    pen.disc(0.0, 0.3, 0.36, (112, 66, 34))
    pen.disc(-0.1, 0.2, 0.12, (170, 116, 72))


def strawberry(pen: Pen, rng: Random) -> None:
    half = [(0.4, -0.62), (0.76, -0.42), (0.6, 0.2), (0.0, 0.98)]
    pen.polygon([*half, *[(-x, y) for x, y in reversed(half)]], (218, 24, 62))
    for x, y in ((-0.4, -0.2), (0.0, -0.26), (0.4, -0.2), (-0.22, 0.16), (0.22, 0.16), (0.0, 0.52)):
        pen.oval(x, y, 0.06, 0.09, (255, 216, 120))
    pen.polygon([(0.0, -0.4), (-0.7, -0.72), (-0.24, -0.66), (0.0, -0.98), (0.24, -0.66), (0.7, -0.72)], (60, 150, 50))


def potato(pen: Pen, rng: Random) -> None:
    pen.oval(0.03, 0.04, 0.96, 0.7, (150, 110, 60), angle=0.25)
    pen.oval(-0.03, -0.03, 0.88, 0.62, (204, 164, 102), angle=0.25)
    for x, y in ((-0.4, -0.1), (0.1, 0.2), (0.4, -0.12), (-0.05, -0.3)):
        pen.disc(x, y, 0.08, (138, 98, 52))


def peas(pen: Pen, rng: Random) -> None:
    pen.polygon([(-1.0, -0.1), (-0.6, -0.4), (0.6, -0.4), (1.0, -0.1), (0.6, 0.46), (-0.6, 0.46)], (52, 126, 40))
    for x in (-0.56, 0.0, 0.56):
        pen.disc(x, 0.0, 0.33, (140, 206, 72))
        pen.disc(x - 0.09, -0.1, 0.1, (206, 240, 158))


def bread(pen: Pen, rng: Random) -> None:
    for scale, tint in ((1.0, (156, 92, 40)), (0.8, (240, 208, 152))):
        pen.box(-0.74 * scale, -0.3 * scale, 0.74 * scale, 0.9 * scale, tint)
        pen.oval(-0.4 * scale, -0.42 * scale, 0.5 * scale, 0.42 * scale, tint)
        pen.oval(0.4 * scale, -0.42 * scale, 0.5 * scale, 0.42 * scale, tint)
    for x, y in ((-0.3, 0.0), (0.25, -0.2), (0.1, 0.4)):
        pen.disc(x, y, 0.07, (208, 166, 106))


def blueberry(pen: Pen, rng: Random) -> None:
    for x, y in ((-0.44, 0.3), (0.44, 0.3), (0.0, -0.42)):
        pen.disc(x, y, 0.5, (44, 58, 128))
        pen.disc(x - 0.06, y - 0.08, 0.36, (78, 98, 180))
        pen.polygon([(x + u, y + v) for u, v in star(5, 0.2, 0.09)], (26, 34, 84))


DRAWINGS: dict[str, Drawing] = {
    drawing.__name__: drawing
    for drawing in (
        tomato, cucumber, carrot, broccoli, egg, shrimp, mushroom, olive, lemon, fish, steak, rice, noodles, cheese,
        corn, onion, pepper, basil, avocado, strawberry, potato, peas, bread, blueberry,
    )
}  # fmt: skip

# how far a drawing may be turned, in radians either way: things with an up and down turn little
TURN: dict[str, float] = {
    "broccoli": 0.5,
    "mushroom": 0.5,
    "pepper": 0.5,
    "avocado": 0.6,
    "strawberry": 0.5,
    "bread": 0.5,
}
SHADOW: Colour = (0, 0, 0, 70)


def draw_ingredient(pen: Pen, kind: str, rng: Random) -> None:
    """One piece with its shadow, filling the pen's unit disc."""
    limit = TURN.get(kind, 0.9)
    pen.oval(0.06, 0.16, 0.82, 0.76, SHADOW)
    DRAWINGS[kind](pen.at(0, 0, 1.0, rng.uniform(-limit, limit), mirror=rng.random() < 0.5), rng)
