"""A landscape: sky, habitat, plants, animals and what they do, weather over it."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from random import Random

from mmretrieval.demo.draw_animals import draw_animal
from mmretrieval.demo.pen import Colour, Pen, mix, shade
from mmretrieval.demo.scenes import Group, NaturalScene

COAT_TINTS: dict[str, Colour] = {
    "white": (246, 246, 242),
    "black": (34, 34, 40),
    "grey": (140, 144, 150),
    "brown": (122, 76, 42),
    "golden": (240, 190, 52),
    "red": (206, 52, 42),
}
SKIES: dict[str, tuple[Colour, Colour]] = {  # top, horizon
    "sunny": ((84, 164, 236), (190, 224, 246)),
    "cloudy": ((142, 156, 172), (206, 212, 218)),
    "rainy": ((88, 100, 120), (146, 156, 168)),
    "foggy": ((196, 200, 204), (226, 228, 228)),
    "night": ((16, 20, 56), (54, 60, 110)),
    "sunset": ((150, 72, 124), (252, 168, 84)),
}
GROUNDS: dict[str, tuple[Colour, Colour]] = {  # far, near
    "forest": ((48, 92, 48), (72, 112, 56)),
    "desert": ((232, 196, 128), (214, 166, 96)),
    "snow": ((234, 240, 246), (208, 220, 232)),
    "meadow": ((140, 196, 84), (98, 168, 62)),
    "lake": ((226, 210, 166), (200, 180, 132)),
    "mountain": ((146, 140, 130), (120, 112, 104)),
}
HORIZON = -0.12
GROUP_PLACES = {"left": -0.48, "right": 0.48}
MEMBERS = {
    "one": (((0.0, 0.0), 0.42),),
    "two": (((-0.22, -0.1), 0.29), ((0.2, 0.16), 0.29)),
    "three": (((-0.24, 0.02), 0.24), ((0.23, -0.06), 0.24), ((0.0, 0.3), 0.24)),
}
PLANT_PLACES = {"one": (0.0,), "two": (-0.34, 0.34), "three": (-0.64, 0.0, 0.64)}


def draw_nature(pen: Pen, scene: NaturalScene, rng: Random) -> None:
    """`pen` spans -1..1 over the picture; everything reaches beyond it so that the camera may turn."""
    draw_sky(pen, scene.weather, rng)
    draw_habitat(pen, scene.habitat, rng)
    for x in PLANT_PLACES[scene.plant_count]:
        place = pen.at(
            x + rng.uniform(-0.04, 0.04), HORIZON - 0.16 + rng.uniform(-0.02, 0.02), 0.3 * rng.uniform(0.95, 1.08)
        )
        draw_plant(place, scene.plant)
    if scene.weather == "night":
        pen.box(-1.6, -1.6, 1.6, 1.6, (8, 12, 60, 76))
    for group in scene.groups:
        draw_group(pen, group, rng)
    draw_weather(pen, scene.weather, rng)


def _bands(pen: Pen, top: float, bottom: float, colours: tuple[Colour, Colour], steps: int) -> None:
    """A vertical gradient in steps."""
    for i in range(steps):
        y = top + (bottom - top) * i / steps
        pen.box(-1.6, y, 1.6, bottom, mix(*colours, i / max(1, steps - 1)))


def draw_sky(pen: Pen, weather: str, rng: Random) -> None:
    pen.box(-1.6, -1.6, 1.6, 1.6, SKIES[weather][0])
    _bands(pen, -1.1, HORIZON + 0.05, SKIES[weather], 14)
    if weather == "sunny":
        for i in range(12):
            a = 2 * pi * i / 12
            pen.line(
                [(0.7 + 0.26 * cos(a), -0.74 + 0.26 * sin(a)), (0.7 + 0.36 * cos(a), -0.74 + 0.36 * sin(a))],
                0.035,
                (255, 226, 90),
            )
        pen.disc(0.7, -0.74, 0.2, (255, 220, 60))
    elif weather == "night":
        for _ in range(26):
            pen.disc(
                rng.uniform(-1.1, 1.1), rng.uniform(-1.0, HORIZON - 0.15), rng.uniform(0.008, 0.02), (250, 250, 220)
            )
        outer = [(-0.66 + 0.2 * cos(a / 8), -0.72 + 0.2 * sin(a / 8)) for a in range(4, 34)]
        inner = [(-0.6 + 0.15 * cos(a / 8), -0.78 + 0.15 * sin(a / 8)) for a in range(33, 4, -1)]
        pen.polygon([*outer, *inner], (246, 242, 206))
    elif weather == "sunset":
        pen.disc(0.0, HORIZON - 0.1, 0.36, (255, 214, 110))
        pen.disc(0.0, HORIZON - 0.1, 0.29, (255, 236, 160))
    elif weather in ("cloudy", "rainy"):
        tint: Colour = (236, 238, 240) if weather == "cloudy" else (74, 82, 98)
        for x, y in ((-0.62, -0.8), (0.05, -0.68), (0.68, -0.84)):
            cloud = pen.at(x + rng.uniform(-0.1, 0.1), y, 0.26)
            for dx, dy, r in ((-0.8, 0.1, 0.55), (0.0, -0.2, 0.8), (0.8, 0.1, 0.6)):
                cloud.disc(dx, dy + 0.1, r, shade(tint, 0.86))
                cloud.disc(dx, dy, r, tint)


def draw_habitat(pen: Pen, habitat: str, rng: Random) -> None:
    """What stands on the horizon, the ground before it, and what grows or lies there."""
    if habitat in HORIZONS:
        HORIZONS[habitat](pen, rng)
    _bands(pen, HORIZON, 1.6, GROUNDS[habitat], 10)
    if habitat == "lake":
        pen.box(-1.6, HORIZON, 1.6, 0.24, (52, 124, 178))
        for _ in range(12):
            x, y = rng.uniform(-1.2, 1.0), rng.uniform(HORIZON + 0.03, 0.2)
            pen.line([(x, y), (x + rng.uniform(0.1, 0.3), y)], 0.018, (170, 212, 236))
    for _ in range(16):
        _strew(pen.at(rng.uniform(-1.2, 1.2), rng.uniform(0.3, 1.1)), habitat, rng)


def _strew(pen: Pen, habitat: str, rng: Random) -> None:
    """A tuft, a stone, or a ripple of the ground."""
    near = GROUNDS[habitat][1]
    if habitat in ("meadow", "forest"):
        for lean in (-0.03, 0.0, 0.03):
            pen.line([(0.0, 0.0), (lean, -0.09)], 0.016, shade(near, 0.76))
    elif habitat == "mountain":
        pen.oval(0.0, 0.0, rng.uniform(0.04, 0.1), 0.045, shade(near, rng.uniform(0.72, 1.25)))
    else:
        pen.line([(-0.1, 0.0), (0.0, -0.02), (0.1, 0.0)], 0.016, shade(near, 0.9))


def _peaks(pen: Pen, rng: Random) -> None:
    tints: tuple[Colour, ...] = ((124, 130, 144), (112, 118, 134), (136, 142, 154))
    for x, height, tint in zip((-0.7, 0.62, 0.0), (0.62, 0.7, 0.5), tints, strict=True):
        top = HORIZON - height
        pen.polygon([(x - 0.66, HORIZON + 0.1), (x, top), (x + 0.66, HORIZON + 0.1)], tint)
        snow = top + height * 0.3
        cap = [(x - 0.2, snow), (x, top), (x + 0.2, snow), (x + 0.06, top + height * 0.22), (x - 0.07, snow)]
        pen.polygon(cap, (244, 246, 250))


def _trees(pen: Pen, rng: Random) -> None:
    for i in range(13):
        x = -1.25 + i * 0.21 + rng.uniform(-0.04, 0.04)
        height = rng.uniform(0.3, 0.5)
        pen.box(x - 0.03, HORIZON - 0.1, x + 0.03, HORIZON + 0.1, (66, 48, 32))
        pen.oval(x, HORIZON - height * 0.6, 0.17, height * 0.6, shade((32, 78, 44), rng.uniform(0.85, 1.2)))


def _hills(pen: Pen, rng: Random) -> None:
    pen.oval(-0.6, HORIZON + 0.2, 0.9, 0.34, (120, 184, 84))
    pen.oval(0.8, HORIZON + 0.22, 0.8, 0.3, (112, 176, 78))


def _dunes(pen: Pen, rng: Random) -> None:
    pen.oval(-0.5, HORIZON + 0.24, 0.9, 0.36, (240, 208, 146))
    pen.oval(0.7, HORIZON + 0.22, 0.9, 0.3, (224, 184, 118))


HORIZONS: dict[str, Callable[[Pen, Random], None]] = {
    "mountain": _peaks,
    "forest": _trees,
    "meadow": _hills,
    "desert": _dunes,
}


def draw_plant(pen: Pen, plant: str) -> None:
    """Standing on y = 1 of its pen."""
    DRAWN_PLANTS[plant](pen)


def _pine(pen: Pen) -> None:
    pen.box(-0.1, 0.5, 0.1, 1.0, (96, 62, 36))
    for top, half in ((-1.1, 0.42), (-0.6, 0.6), (-0.1, 0.78)):
        pen.polygon([(0.0, top), (half, top + 0.78), (-half, top + 0.78)], (22, 92, 66))
        pen.polygon([(0.0, top), (0.0, top + 0.78), (-half, top + 0.78)], (34, 116, 80))


def _palm(pen: Pen) -> None:
    pen.line([(0.1, 1.0), (0.0, 0.2), (-0.1, -0.5)], 0.2, (150, 106, 62))
    for angle in (-2.9, -2.3, -1.57, -0.8, -0.2):
        tip = (-0.1 + 0.95 * cos(angle), -0.5 + 0.6 * sin(angle) + 0.25)
        middle = (-0.1 + 0.5 * cos(angle), -0.66 + 0.45 * sin(angle))
        pen.polygon([(-0.1, -0.5), middle, tip, ((middle[0] + tip[0]) / 2, middle[1] + 0.34)], (66, 168, 58))
    pen.disc(-0.1, -0.44, 0.13, (120, 72, 34))


def _cactus(pen: Pen) -> None:
    pen.line([(0.0, 1.0), (0.0, -0.8)], 0.42, (56, 140, 74))
    for side, y in ((-1.0, 0.2), (1.0, -0.06)):
        pen.line([(0.0, y), (0.56 * side, y), (0.56 * side, y - 0.6)], 0.26, (56, 140, 74))
        pen.disc(0.56 * side, y - 0.6, 0.13, (56, 140, 74))
    pen.disc(0.0, -0.8, 0.21, (56, 140, 74))
    pen.line([(0.0, 0.9), (0.0, -0.8)], 0.06, (120, 190, 120))


def _flower(pen: Pen) -> None:
    pen.line([(0.0, 1.0), (0.0, -0.3)], 0.13, (60, 146, 54))
    pen.oval(0.34, 0.5, 0.34, 0.13, (74, 166, 66), angle=-0.5)
    pen.oval(-0.34, 0.6, 0.34, 0.13, (74, 166, 66), angle=0.5)
    for i in range(6):
        pen.disc(0.4 * cos(pi * i / 3), -0.4 + 0.4 * sin(pi * i / 3), 0.3, (226, 48, 92))
    pen.disc(0.0, -0.4, 0.27, (252, 214, 62))


def _bush(pen: Pen) -> None:
    for x, y, r in ((-0.5, 0.6, 0.46), (0.5, 0.6, 0.46), (0.0, 0.3, 0.58)):
        pen.disc(x, y, r, (88, 148, 34))
        pen.disc(x - 0.1, y - 0.14, r * 0.5, (128, 186, 62))
    for x, y in ((-0.5, 0.5), (0.1, 0.1), (0.5, 0.6), (0.0, 0.7)):
        pen.disc(x, y, 0.09, (250, 240, 120))


DRAWN_PLANTS: dict[str, Callable[[Pen], None]] = {
    "pine": _pine,
    "palm": _palm,
    "cactus": _cactus,
    "flower": _flower,
    "bush": _bush,
}


def draw_group(pen: Pen, group: Group, rng: Random) -> None:
    """The animals, back to front, and one large sign of what they are doing."""
    place = pen.at(
        GROUP_PLACES[group.side] + rng.uniform(-0.03, 0.03), 0.36 + rng.uniform(-0.03, 0.03), mirror=rng.random() < 0.5
    )
    running = group.behaviour == "running"
    for (x, y), size in MEMBERS[group.count]:
        animal = place.at(x, y, size * rng.uniform(0.95, 1.05), 0.14 if running else 0.0)
        draw_animal(animal, group.species, COAT_TINTS[group.colour], group.behaviour == "sleeping")
    if group.behaviour == "sleeping":
        for x, y, size in ((-0.3, -0.44, 0.075), (-0.17, -0.57, 0.095), (-0.01, -0.72, 0.12)):
            letter = [(x - size, y - size), (x + size, y - size), (x - size, y + size), (x + size, y + size)]
            pen_z = place if place.a > 0 else place.at(0, 0, mirror=True)
            pen_z.line(letter, 0.075, (40, 44, 90))
            pen_z.line(letter, 0.04, (250, 250, 255))
    elif group.behaviour == "eating":
        for x, y in ((-0.34, 0.5), (-0.18, 0.54)):
            place.disc(x, y, 0.1, (120, 16, 20))
            place.disc(x, y, 0.085, (222, 36, 40))
            place.line([(x, y - 0.08), (x + 0.03, y - 0.15)], 0.03, (70, 50, 20))
            place.oval(x + 0.07, y - 0.14, 0.05, 0.025, (80, 180, 60))
    elif running:
        for y in (-0.16, 0.04, 0.24):
            place.line([(0.22, y), (0.48, y)], 0.085, (60, 64, 70))
            place.line([(0.23, y), (0.47, y)], 0.05, (250, 250, 250))
    elif group.behaviour == "playing":
        place.disc(-0.3, 0.48, 0.155, (20, 40, 110))
        for i in range(6):
            a, b = pi * i / 3, pi * (i + 1) / 3
            wedge = [
                (-0.3, 0.48),
                *[(-0.3 + 0.135 * cos(a + (b - a) * j / 3), 0.48 + 0.135 * sin(a + (b - a) * j / 3)) for j in range(4)],
            ]
            place.polygon(wedge, (54, 120, 230) if i % 2 else (250, 250, 250))


def draw_weather(pen: Pen, weather: str, rng: Random) -> None:
    if weather == "rainy":
        for _ in range(46):
            x, y = rng.uniform(-1.2, 1.2), rng.uniform(-0.7, 1.1)
            pen.line([(x, y), (x - 0.04, y + 0.14)], 0.014, (206, 224, 244))
    elif weather == "foggy":
        pen.box(-1.6, -1.6, 1.6, 1.6, (232, 234, 236, 70))
        for y in (-0.42, -0.16, 0.1):
            pen.oval(rng.uniform(-0.5, 0.5), y, 1.7, 0.1, (240, 242, 244, 110))
