"""A pen that draws in a local frame: -1..1 around its centre, moved, scaled, turned and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

_CIRCLE = tuple((cos(2 * pi * i / 28), sin(2 * pi * i / 28)) for i in range(28))


def shade(colour: Colour, factor: float) -> Colour:
    """Darker below 1, lighter above; alpha stays."""
    r, g, b = (max(0, min(255, round(channel * factor))) for channel in colour[:3])
    return (r, g, b, colour[3]) if len(colour) == 4 else (r, g, b)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour, the rest of the first; opaque."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(first[:3], second[:3], strict=True))
    return (r, g, b)


@dataclass(frozen=True, slots=True)
class Pen:
    """x to the right, y downwards; (a, b, c, d) is the linear part of the frame, (x, y) its centre in pixels."""

    draw: ImageDraw
    x: float
    y: float
    a: float
    b: float
    c: float
    d: float

    def at(self, x: float, y: float, scale: float = 1.0, angle: float = 0.0, mirror: bool = False) -> Pen:
        """A frame centred at local (x, y), `scale` times as large, turned by `angle` radians."""
        px, py = self.point(x, y)
        cs, sn = cos(angle) * scale, sin(angle) * scale
        m = -1.0 if mirror else 1.0
        return replace(
            self,
            x=px,
            y=py,
            a=(self.a * cs + self.b * sn) * m,
            b=-self.a * sn + self.b * cs,
            c=(self.c * cs + self.d * sn) * m,
            d=-self.c * sn + self.d * cs,
        )

    def point(self, x: float, y: float) -> Point:
        return (self.x + self.a * x + self.b * y, self.y + self.c * x + self.d * y)

    @property
    def unit(self) -> float:
        """Pixels per local unit."""
        return float(abs(self.a * self.d - self.b * self.c) ** 0.5)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self.draw.polygon([self.point(x, y) for x, y in points], fill=fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour, angle: float = 0.0) -> None:
        cs, sn = cos(angle), sin(angle)
        self.polygon(
            [(x + rx * u * cs - ry * v * sn, y + rx * u * sn + ry * v * cs) for u, v in _CIRCLE],
            fill,
        )

    def disc(self, x: float, y: float, r: float, fill: Colour) -> None:
        self.oval(x, y, r, r, fill)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """A stroke `width` local units wide with round joints."""
        pixels = max(1, round(width * self.unit))
        placed = [self.point(x, y) for x, y in points]
        self.draw.line(placed, fill=fill, width=pixels, joint="curve")

    def arc(self, x: float, y: float, r: float, start: float, end: float, width: float, fill: Colour) -> None:
        """A circular stroke from angle `start` to `end`, in radians."""
        steps = max(4, int(abs(end - start) * 5))
        turns = [start + (end - start) * i / steps for i in range(steps + 1)]
        self.line([(x + r * cos(t), y + r * sin(t)) for t in turns], width, fill)
