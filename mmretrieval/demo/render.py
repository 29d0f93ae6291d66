"""Scenes to pictures."""

from __future__ import annotations

from math import radians
from random import Random
from typing import TYPE_CHECKING

from mmretrieval.demo.pen import Pen
from mmretrieval.demo.scenes import FoodPlate, Scene

if TYPE_CHECKING:
    from PIL.Image import Image


def render(scene: Scene, size: int, look: str) -> Image:
    """An RGB picture of `size` by `size` pixels.

    `look` seeds everything that is no fact: camera, light, grain and small displacements. The same scene, size and
    look give the same bytes. Drawn at twice the size and averaged down.
    """
    from PIL import Image, ImageDraw, ImageEnhance

    from mmretrieval.demo.draw_food import draw_food
    from mmretrieval.demo.draw_nature import draw_nature

    rng = Random(look)
    side = 2 * size
    canvas = Image.new("RGB", (side, side))
    half = side / 2
    camera = Pen(ImageDraw.Draw(canvas, "RGBA"), half, half, half, 0.0, 0.0, half).at(
        rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), rng.uniform(0.95, 1.03), radians(rng.uniform(-5, 5))
    )
    if isinstance(scene, FoodPlate):
        draw_food(camera, scene, rng)
    else:
        draw_nature(camera, scene, rng)
    picture = canvas.reduce(2)
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.08))
    return ImageEnhance.Color(picture).enhance(rng.uniform(0.88, 1.1))
