"""Numbered samples of the drawn world: each a pure function of (seed, number, domain).

Numbers come in blocks of ten. The first three of a block are siblings: a scene, and the same scene with one
attribute changed in two ways. So a gallery always holds pictures that differ from the right one in a single thing,
and a model that sees only the setting fails. The other seven are scenes of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal

from mmretrieval.demo.edits import edit
from mmretrieval.demo.scenes import FoodPlate, Scene, sample_food, sample_nature
from mmretrieval.demo.wording import describe

if TYPE_CHECKING:
    from PIL.Image import Image

Domain = Literal["food", "nature", "both"]
BLOCK = 10
SIBLINGS = (1, 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture to be: what it shows, how it looks, and, for a sibling, what it was made from and how."""

    id: str
    scene: Scene
    look: str
    reference: str | None = None
    modification: str = ""

    def render(self, size: int) -> Image:
        from mmretrieval.demo.render import render

        return render(self.scene, size, self.look)

    @property
    def caption(self) -> str:
        """A dense caption: every fact, in words that vary with the sample."""
        return describe(self.scene, self.scene.facts, Random(f"caption:{self.look}"))


def scene(seed: str | int, number: int, domain: Domain) -> Scene:
    """The scene with that number; "both" alternates between food and nature from block to block."""
    rng = Random(f"scene:{seed}:{number}")
    if domain == "both":
        domain = "food" if number // BLOCK % 2 == 0 else "nature"
    return sample_food(rng) if domain == "food" else sample_nature(rng)


def sample(seed: str | int, number: int, domain: Domain = "both") -> Sample:
    """The sample with that number; costs microseconds, as nothing is drawn yet."""
    look = f"{seed}:{domain}:{number}"
    place = number % BLOCK
    if place not in SIBLINGS:
        own = scene(seed, number, domain)
        return Sample(_id(own, number), own, look)
    base = scene(seed, number - place, domain)
    changed, words = _sibling(base, seed, number - place, place)
    return Sample(_id(changed, number), changed, look, _id(base, number - place), words)


def _sibling(base: Scene, seed: str | int, number: int, which: int) -> tuple[Scene, str]:
    """The first or second edit of a scene; the two never come out the same."""
    rng = Random(f"edit:{seed}:{number}")
    changed, words = edit(base, rng)
    first = changed
    while which == 2 and changed.facts == first.facts:
        changed, words = edit(base, rng)
    return changed, words


def _id(shown: Scene, number: int) -> str:
    return f"{'food' if isinstance(shown, FoodPlate) else 'nature'}-{number:06d}"
