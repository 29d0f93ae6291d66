"""What a drawn picture shows, and the atomic facts that are true of it.

A fact is a short string. Facts about a part carry its kind, as in "tomato.count=two"; kinds never repeat within a
scene, so a set of facts says exactly what a picture must show.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    COUNTS,
    CUTLERY,
    HABITATS,
    INGREDIENTS,
    PLANTS,
    PLATE_COLOURS,
    PLATES,
    POSITIONS,
    SIDES,
    SPECIES,
    TABLES,
    WEATHERS,
)


@dataclass(frozen=True, slots=True)
class Serving:
    """Some pieces of one ingredient at one place of the plate."""

    kind: str
    count: str
    position: str


@dataclass(frozen=True, slots=True)
class FoodPlate:
    """A dish seen from above. `cutlery` is "none" when there is none, and `side` then is empty."""

    servings: tuple[Serving, ...]
    plate: str
    plate_colour: str
    table: str
    cutlery: str
    side: str

    domain = "food"

    @property
    def ingredients(self) -> list[str]:
        return sorted(serving.kind for serving in self.servings)

    @property
    def facts(self) -> frozenset[str]:
        facts = {f"plate={self.plate}", f"plate.colour={self.plate_colour}", f"table={self.table}"}
        facts.add(f"cutlery={self.cutlery}")
        if self.side:
            facts.add(f"cutlery.side={self.side}")
        for serving in self.servings:
            facts.add(f"ingredient={serving.kind}")
            facts.add(f"{serving.kind}.count={serving.count}")
            facts.add(f"{serving.kind}.position={serving.position}")
        return frozenset(facts)


@dataclass(frozen=True, slots=True)
class Group:
    """One to three animals of one species doing the same thing on one side."""

    species: str
    colour: str
    behaviour: str
    count: str
    side: str


@dataclass(frozen=True, slots=True)
class NaturalScene:
    """A landscape with one or two groups of animals and one kind of plant."""

    groups: tuple[Group, ...]
    plant: str
    plant_count: str
    habitat: str
    weather: str

    domain = "nature"

    @property
    def facts(self) -> frozenset[str]:
        facts = {f"habitat={self.habitat}", f"weather={self.weather}"}
        facts |= {f"plant={self.plant}", f"plant.count={self.plant_count}"}
        for group in self.groups:
            facts.add(f"animal={group.species}")
            facts.add(f"{group.species}.colour={group.colour}")
            facts.add(f"{group.species}.behaviour={group.behaviour}")
            facts.add(f"{group.species}.count={group.count}")
            facts.add(f"{group.species}.side={group.side}")
        return frozenset(facts)


Scene = FoodPlate | NaturalScene


def sample_food(rng: Random) -> FoodPlate:
    """Two to five ingredients, each at its own place."""
    number = rng.choice((2, 3, 3, 4, 4, 5))
    kinds = rng.sample(tuple(INGREDIENTS), number)
    positions = sorted(rng.sample(POSITIONS, number), key=POSITIONS.index)
    cutlery = rng.choice((*CUTLERY, "none"))
    return FoodPlate(
        servings=tuple(Serving(k, rng.choice(COUNTS), p) for k, p in zip(kinds, positions, strict=True)),
        plate=rng.choice(tuple(PLATES)),
        plate_colour=rng.choice(tuple(PLATE_COLOURS)),
        table=rng.choice(tuple(TABLES)),
        cutlery=cutlery,
        side="" if cutlery == "none" else rng.choice(SIDES),
    )


def sample_nature(rng: Random) -> NaturalScene:
    """One group on either side, or one on each."""
    sides = rng.choice((("left",), ("right",), SIDES, SIDES))
    species = rng.sample(tuple(SPECIES), len(sides))
    return NaturalScene(
        groups=tuple(
            Group(s, rng.choice(tuple(ANIMAL_COLOURS)), rng.choice(tuple(BEHAVIOURS)), rng.choice(COUNTS), side)
            for s, side in zip(species, sides, strict=True)
        ),
        plant=rng.choice(tuple(PLANTS)),
        plant_count=rng.choice(COUNTS),
        habitat=rng.choice(tuple(HABITATS)),
        weather=rng.choice(tuple(WEATHERS)),
    )
