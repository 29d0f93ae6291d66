"""Scenes as fixed slots and as fact vectors: the exact supervision that the drawn world gives for free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.demo.scenes import FoodPlate, Scene
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSENT = -1  # a slot that the scene does not have; its loss and its accuracy leave it out
NOTHING = "nothing"  # an empty place is something to see, unlike an absent slot

SLOTS: dict[str, tuple[str, ...]] = {
    **{f"ingredient@{p}": (*INGREDIENTS, NOTHING) for p in POSITIONS},
    **{f"count@{p}": COUNTS for p in POSITIONS},
    "plate": tuple(PLATES),
    "plate_colour": tuple(PLATE_COLOURS),
    "table": tuple(TABLES),
    "cutlery": (*CUTLERY, "none"),
    "cutlery_side": SIDES,
    **{f"species@{s}": (*SPECIES, NOTHING) for s in SIDES},
    **{f"colour@{s}": tuple(ANIMAL_COLOURS) for s in SIDES},
    **{f"behaviour@{s}": tuple(BEHAVIOURS) for s in SIDES},
    **{f"animal_count@{s}": COUNTS for s in SIDES},
    "plant": tuple(PLANTS),
    "plant_count": COUNTS,
    "habitat": tuple(HABITATS),
    "weather": tuple(WEATHERS),
}
_INDEX = {slot: {value: i for i, value in enumerate(values)} for slot, values in SLOTS.items()}


def values(scene: Scene) -> dict[str, str]:
    """The slots that the scene has, as words."""
    if isinstance(scene, FoodPlate):
        found = {f"ingredient@{p}": NOTHING for p in POSITIONS}
        for serving in scene.servings:
            found[f"ingredient@{serving.position}"] = serving.kind
            found[f"count@{serving.position}"] = serving.count
        found |= {"plate": scene.plate, "plate_colour": scene.plate_colour, "table": scene.table}
        found["cutlery"] = scene.cutlery
        if scene.side:
            found["cutlery_side"] = scene.side
        return found
    found = {f"species@{s}": NOTHING for s in SIDES}
    for group in scene.groups:
        found[f"species@{group.side}"] = group.species
        found[f"colour@{group.side}"] = group.colour
        found[f"behaviour@{group.side}"] = group.behaviour
        found[f"animal_count@{group.side}"] = group.count
    found |= {"plant": scene.plant, "plant_count": scene.plant_count}
    return found | {"habitat": scene.habitat, "weather": scene.weather}


def targets(scenes: Iterable[Scene]) -> NDArray[np.int64]:
    """(n, number of slots) class numbers in the order of `SLOTS`, ABSENT where a scene has no such slot."""
    rows = []
    for scene in scenes:
        found = values(scene)
        rows.append([_INDEX[slot][found[slot]] if slot in found else ABSENT for slot in SLOTS])
    return np.array(rows, dtype=np.int64).reshape(-1, len(SLOTS))


def _all_facts() -> list[str]:
    facts = [f"ingredient={kind}" for kind in INGREDIENTS] + [f"animal={species}" for species in SPECIES]
    facts += [f"{k}.count={c}" for k in (*INGREDIENTS, *SPECIES, "plant") for c in COUNTS]
    facts += [f"{k}.position={p}" for k in INGREDIENTS for p in POSITIONS]
    facts += [f"{s}.colour={c}" for s in SPECIES for c in ANIMAL_COLOURS]
    facts += [f"{s}.behaviour={b}" for s in SPECIES for b in BEHAVIOURS]
    facts += [f"{s}.side={x}" for s in (*SPECIES, "cutlery") for x in SIDES]
    facts += [f"plate={p}" for p in PLATES] + [f"plate.colour={c}" for c in PLATE_COLOURS]
    facts += [f"table={t}" for t in TABLES] + [f"cutlery={c}" for c in (*CUTLERY, "none")]
    facts += [f"plant={p}" for p in PLANTS] + [f"habitat={h}" for h in HABITATS] + [f"weather={w}" for w in WEATHERS]
    return facts


FACTS: tuple[str, ...] = tuple(_all_facts())
_FACT_INDEX = {fact: i for i, fact in enumerate(FACTS)}


def fact_rows(sets: Iterable[Iterable[str]]) -> NDArray[np.float32]:
    """(n, number of facts) of ones and zeros in the order of `FACTS`."""
    collected = [list(facts) for facts in sets]
    rows = np.zeros((len(collected), len(FACTS)), dtype=np.float32)
    for row, facts in zip(rows, collected, strict=True):
        row[[_FACT_INDEX[fact] for fact in facts]] = 1.0
    return rows


def contains(scenes: NDArray[np.float32], mentioned: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(texts, scenes): whether every fact that a text mentions is true of a scene."""
    missing: NDArray[np.float32] = mentioned @ (1.0 - scenes).T
    return missing < 0.5
