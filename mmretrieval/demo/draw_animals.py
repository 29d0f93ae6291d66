"""One small drawing per species, facing left, standing on y = 0.9 of its pen's unit disc."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

from mmretrieval.demo.pen import Colour, Pen, mix, shade


@dataclass(frozen=True, slots=True)
class Coat:
    """The colours of one animal: body, its darker and lighter parts, and what is never the body's colour."""

    body: Colour
    dark: Colour
    light: Colour
    accent: Colour
    eye: Colour
    asleep: bool = False

    @staticmethod
    def of(tint: Colour, asleep: bool) -> Coat:
        return Coat(tint, shade(tint, 0.72), mix(tint, (255, 255, 255), 0.35), (238, 150, 44), (16, 16, 20), asleep)

    @staticmethod
    def outline(tint: Colour) -> Coat:
        """One colour throughout, for the rim that sets an animal off from its ground."""
        return Coat(tint, tint, tint, tint, tint)


Drawing = Callable[[Pen, Coat], None]


def eye(pen: Pen, coat: Coat, x: float, y: float, r: float = 0.085) -> None:
    """Open, or a closed lid when asleep."""
    if coat.asleep:
        pen.line([(x - r * 1.3, y), (x, y + r), (x + r * 1.3, y)], 0.06, coat.eye)
        return
    pen.disc(x, y, r * 1.35, (250, 250, 250) if coat.eye != coat.body else coat.eye)
    pen.disc(x - 0.02, y, r * 0.85, coat.eye)


def legs(pen: Pen, coat: Coat, xs: tuple[float, ...], top: float, width: float) -> None:
    for i, x in enumerate(xs):
        pen.box(x - width / 2, top, x + width / 2, 0.9, coat.dark if i % 2 else coat.body)


def elephant(pen: Pen, coat: Coat) -> None:
    legs(pen, coat, (-0.2, 0.1, 0.46, 0.72), 0.3, 0.24)
    pen.oval(0.3, 0.0, 0.66, 0.54, coat.body)
    pen.disc(-0.46, -0.22, 0.42, coat.body)
    pen.line([(-0.76, -0.12), (-0.9, 0.3), (-0.86, 0.72), (-0.7, 0.84)], 0.2, coat.body)
    pen.oval(-0.16, -0.22, 0.3, 0.42, coat.dark)
    pen.polygon([(-0.66, 0.06), (-0.54, 0.1), (-0.74, 0.42)], (250, 248, 236) if coat.dark != coat.body else coat.body)
    eye(pen, coat, -0.62, -0.3)


def giraffe(pen: Pen, coat: Coat) -> None:
    legs(pen, coat, (-0.08, 0.12, 0.46, 0.64), 0.3, 0.13)
    pen.oval(0.3, 0.22, 0.46, 0.26, coat.body)
    pen.polygon([(-0.1, 0.3), (0.2, 0.1), (-0.32, -0.8), (-0.54, -0.7)], coat.body)
    pen.oval(-0.56, -0.78, 0.3, 0.17, coat.body, angle=-0.25)
    for x in (-0.46, -0.34):
        pen.line([(x, -0.86), (x + 0.02, -1.02)], 0.06, coat.dark)
    for x, y in ((0.1, 0.2), (0.36, 0.12), (0.56, 0.26), (0.28, 0.36), (-0.02, 0.02), (-0.16, -0.26), (-0.3, -0.52)):
        pen.disc(x, y, 0.08, coat.dark)
    eye(pen, coat, -0.56, -0.84, 0.06)


def rabbit(pen: Pen, coat: Coat) -> None:
    for x, tilt in ((-0.4, -0.25), (-0.12, 0.2)):
        pen.oval(x, -0.62, 0.13, 0.42, coat.body, angle=tilt)
        pen.oval(
            x,
            -0.6,
            0.06,
            0.3,
            mix(coat.light, (240, 150, 160), 0.5) if coat.dark != coat.body else coat.body,
            angle=tilt,
        )
    pen.oval(0.26, 0.42, 0.58, 0.48, coat.body)
    pen.disc(-0.3, -0.02, 0.4, coat.body)
    pen.disc(0.82, 0.36, 0.2, coat.light)
    pen.oval(0.36, 0.76, 0.36, 0.14, coat.dark)
    pen.oval(-0.22, 0.8, 0.22, 0.11, coat.dark)
    eye(pen, coat, -0.42, -0.08)
    pen.disc(-0.68, 0.04, 0.06, (230, 120, 130) if coat.dark != coat.body else coat.body)


def deer(pen: Pen, coat: Coat) -> None:
    legs(pen, coat, (-0.16, 0.06, 0.46, 0.66), 0.3, 0.12)
    pen.oval(0.24, 0.2, 0.54, 0.3, coat.body)
    pen.polygon([(-0.3, 0.2), (0.02, 0.06), (-0.28, -0.46), (-0.52, -0.36)], coat.body)
    pen.oval(-0.5, -0.4, 0.3, 0.17, coat.body, angle=-0.3)
    horn = (150, 112, 70) if coat.dark != coat.body else coat.body
    for side in (-1.0, 1.0):
        x = -0.36 + 0.1 * side
        pen.line([(x, -0.52), (x + 0.16 * side, -0.8), (x + 0.1 * side, -1.02)], 0.08, horn)
        pen.line([(x + 0.14 * side, -0.76), (x + 0.4 * side, -0.94)], 0.08, horn)
    pen.disc(0.8, 0.1, 0.12, coat.light)
    eye(pen, coat, -0.5, -0.46, 0.065)


def fox(pen: Pen, coat: Coat) -> None:
    pen.oval(0.74, 0.28, 0.36, 0.2, coat.body, angle=-0.7)
    pen.oval(0.94, 0.04, 0.15, 0.12, coat.light, angle=-0.7)
    legs(pen, coat, (-0.18, 0.02, 0.36, 0.54), 0.4, 0.13)
    pen.oval(0.18, 0.32, 0.5, 0.26, coat.body)
    for x in (-0.66, -0.26):
        pen.polygon([(x - 0.13, -0.2), (x + 0.15, -0.2), (x + 0.01, -0.66)], coat.dark)
    pen.polygon([(-0.84, -0.22), (-0.12, -0.22), (-0.26, 0.16), (-0.6, 0.46), (-0.72, 0.14)], coat.body)
    pen.polygon([(-0.74, 0.1), (-0.32, 0.14), (-0.6, 0.46)], coat.light)
    pen.disc(-0.6, 0.42, 0.08, coat.eye)
    eye(pen, coat, -0.62, -0.04, 0.06)
    eye(pen, coat, -0.34, -0.04, 0.06)


def owl(pen: Pen, coat: Coat) -> None:
    pen.oval(0.0, 0.16, 0.6, 0.74, coat.body)
    for x in (-0.36, 0.36):
        pen.polygon([(x - 0.2, -0.5), (x + 0.2, -0.5), (x * 1.4, -0.98)], coat.body)
    pen.oval(0.0, 0.36, 0.36, 0.46, coat.light)
    for x in (-0.52, 0.52):
        pen.oval(x, 0.24, 0.17, 0.46, coat.dark, angle=0.16 if x < 0 else -0.16)
    white: Colour = (250, 246, 224) if coat.dark != coat.body else coat.body
    for x in (-0.26, 0.26):
        pen.disc(x, -0.28, 0.25, white)
        if coat.asleep:
            pen.line([(x - 0.15, -0.28), (x, -0.2), (x + 0.15, -0.28)], 0.08, coat.eye)
        else:
            pen.disc(x, -0.28, 0.13, coat.eye)
    pen.polygon([(-0.1, -0.16), (0.1, -0.16), (0.0, 0.08)], coat.accent)
    for x in (-0.2, 0.2):
        pen.oval(x, 0.9, 0.15, 0.07, coat.accent)


def duck(pen: Pen, coat: Coat) -> None:
    pen.polygon([(0.5, 0.1), (1.0, -0.16), (0.8, 0.48)], coat.body)
    pen.oval(0.14, 0.36, 0.72, 0.42, coat.body)
    pen.polygon([(-0.56, 0.3), (-0.16, 0.1), (-0.2, -0.4), (-0.6, -0.4)], coat.body)
    pen.disc(-0.4, -0.44, 0.31, coat.body)
    pen.polygon([(-0.64, -0.5), (-0.62, -0.28), (-1.0, -0.32), (-0.98, -0.42)], coat.accent)
    pen.oval(0.26, 0.3, 0.4, 0.23, coat.dark, angle=-0.2)
    for x in (0.0, 0.3):
        pen.line([(x, 0.72), (x, 0.88), (x - 0.16, 0.9)], 0.08, coat.accent)
    eye(pen, coat, -0.46, -0.52, 0.07)


def turtle(pen: Pen, coat: Coat) -> None:
    pen.disc(-0.76, 0.3, 0.24, coat.light)
    pen.polygon([(0.7, 0.56), (1.0, 0.66), (0.72, 0.74)], coat.light)
    for x in (-0.36, 0.44):
        pen.oval(x, 0.76, 0.2, 0.17, coat.light)
    dome = [(0.06 + 0.78 * cos(pi + pi * i / 12), 0.62 + 0.88 * sin(pi + pi * i / 12)) for i in range(13)]
    pen.polygon(dome, coat.body)
    pen.box(-0.74, 0.56, 0.86, 0.7, coat.dark)
    for x, y, r in ((0.06, 0.06, 0.2), (-0.36, 0.32, 0.15), (0.48, 0.32, 0.15)):
        pen.polygon([(x + r * cos(pi * i / 3), y + r * sin(pi * i / 3)) for i in range(6)], coat.dark)
    eye(pen, coat, -0.84, 0.24, 0.06)


def snake(pen: Pen, coat: Coat) -> None:
    wave = [(0.95 - i * 0.1, 0.62 - 0.24 * sin(i * 0.78) * (0.4 + i / 18)) for i in range(17)]
    pen.line([*wave, (-0.66, 0.1), (-0.62, -0.2)], 0.27, coat.body)
    for x, y in wave[1::3]:
        pen.disc(x, y, 0.1, coat.dark)
    pen.oval(-0.7, -0.3, 0.28, 0.2, coat.body)
    tongue: Colour = (220, 30, 50) if coat.dark != coat.body else coat.body
    pen.line([(-0.94, -0.26), (-1.1, -0.22)], 0.05, tongue)
    eye(pen, coat, -0.76, -0.38, 0.07)


def butterfly(pen: Pen, coat: Coat) -> None:
    for side in (-1.0, 1.0):
        pen.oval(0.46 * side, -0.28, 0.46, 0.4, coat.body, angle=0.5 * side)
        pen.oval(0.38 * side, 0.38, 0.34, 0.32, coat.dark, angle=-0.5 * side)
        pen.disc(0.52 * side, -0.3, 0.17, coat.light)
        pen.disc(0.4 * side, 0.4, 0.12, coat.light)
        pen.line([(0.03 * side, -0.42), (0.24 * side, -0.9)], 0.05, coat.eye)
    pen.oval(0.0, 0.02, 0.1, 0.58, coat.eye)


def snail(pen: Pen, coat: Coat) -> None:
    foot = mix(coat.light, (240, 210, 160), 0.5) if coat.dark != coat.body else coat.body
    pen.polygon([(-0.9, 0.9), (1.0, 0.9), (0.4, 0.62), (-0.5, 0.6), (-0.56, -0.02), (-0.86, -0.02)], foot)
    for x in (-0.82, -0.58):
        pen.line([(x, 0.0), (x - 0.06, -0.36)], 0.07, foot)
        pen.disc(x - 0.06, -0.38, 0.09, coat.eye)
    pen.disc(0.16, 0.18, 0.6, coat.body)
    for radius, start in ((0.42, 0.0), (0.2, 2.0)):
        pen.arc(0.16, 0.18, radius, start, start + 5.4, 0.11, coat.dark)


def crab(pen: Pen, coat: Coat) -> None:
    for side in (-1.0, 1.0):
        for y, reach in ((0.42, 0.95), (0.6, 0.9), (0.76, 0.72)):
            pen.line(
                [(0.4 * side, y - 0.1), (reach * side, y - 0.02), ((reach + 0.03) * side, y + 0.16)], 0.09, coat.dark
            )
        pen.line([(0.42 * side, 0.2), (0.72 * side, -0.12)], 0.15, coat.body)
        pen.disc(0.74 * side, -0.36, 0.28, coat.body)
        pen.polygon([(0.74 * side, -0.34), (0.56 * side, -0.76), (0.9 * side, -0.76)], coat.dark)
        pen.line([(0.16 * side, 0.1), (0.18 * side, -0.14)], 0.06, coat.body)
        pen.disc(0.18 * side, -0.18, 0.11, coat.eye)
    pen.oval(0.0, 0.42, 0.6, 0.38, coat.body)
    pen.oval(0.0, 0.28, 0.36, 0.12, coat.light)


DRAWINGS: dict[str, Drawing] = {
    drawing.__name__: drawing
    for drawing in (elephant, giraffe, rabbit, deer, fox, owl, duck, turtle, snake, butterfly, snail, crab)
}


def draw_animal(pen: Pen, species: str, tint: Colour, asleep: bool) -> None:
    """With a shadow on the ground and a thin rim, so that it shows on a ground of its own colour."""
    pen.oval(0.0, 0.9, 0.8, 0.13, (0, 0, 0, 80))
    luminance = 0.3 * tint[0] + 0.6 * tint[1] + 0.1 * tint[2]
    rim: Colour = (70, 70, 78) if luminance > 90 else (226, 226, 220)
    DRAWINGS[species](pen.at(0.0, 0.02, 1.09), Coat.outline(rim))
    DRAWINGS[species](pen, Coat.of(tint, asleep))
