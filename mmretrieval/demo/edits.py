"""One-attribute edits: a scene, the same scene with one thing changed, and the words for the change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from mmretrieval.demo.scenes import FoodPlate, Group, NaturalScene, Scene, Serving
from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    COUNTS,
    CUTLERY,
    HABITATS,
    INGREDIENTS,
    NUMERALS,
    PLACES,
    PLANTS,
    PLATE_COLOURS,
    PLATES,
    POSITIONS,
    SPECIES,
    TABLES,
    WEATHERS,
)
from mmretrieval.demo.wording import article, counted

Edit = tuple[Scene, str]


def _other(values: Iterable[str], current: str, rng: Random) -> str:
    return rng.choice([value for value in values if value != current])


def _name(forms: tuple[tuple[str, str], ...], count: str) -> str:
    """How the part is spoken of in a change: singular for one, plural for more."""
    return forms[0][0 if count == "one" else 1]


def _put(scene: FoodPlate, old: Serving, new: Serving | None) -> FoodPlate:
    kept = [serving for serving in scene.servings if serving != old] + ([new] if new else [])
    return replace(scene, servings=tuple(sorted(kept, key=lambda s: POSITIONS.index(s.position))))


def _swap_ingredient(scene: FoodPlate, rng: Random) -> Edit:
    old = rng.choice(scene.servings)
    kind = rng.choice([k for k in INGREDIENTS if k not in scene.ingredients])
    was, now = _name(INGREDIENTS[old.kind], old.count), counted(INGREDIENTS[kind], old.count, rng)
    words = rng.choice((f"replace the {was} with {now}", f"{now} instead of the {was}", f"swap the {was} for {now}"))
    return _put(scene, old, replace(old, kind=kind)), words


def _recount_ingredient(scene: FoodPlate, rng: Random) -> Edit:
    old = rng.choice(scene.servings)
    count = _other(COUNTS, old.count, rng)
    now = f"{NUMERALS[count][0]} {_name(INGREDIENTS[old.kind], count)}"
    words = rng.choice((f"make it {now}", f"with {now} instead of {old.count}", f"the same, but {now}"))
    return _put(scene, old, replace(old, count=count)), words


def _move_ingredient(scene: FoodPlate, rng: Random) -> Edit:
    free = [p for p in POSITIONS if p not in {s.position for s in scene.servings}]
    if not free:
        return _swap_ingredient(scene, rng)
    old, position = rng.choice(scene.servings), rng.choice(free)
    name = _name(INGREDIENTS[old.kind], old.count)
    words = rng.choice(
        (f"the {name} {rng.choice(PLACES[position])} instead", f"move the {name} so that it is {PLACES[position][0]}")
    )
    return _put(scene, old, replace(old, position=position)), words


def _drop_ingredient(scene: FoodPlate, rng: Random) -> Edit:
    if len(scene.servings) < 3:
        return _add_ingredient(scene, rng)
    old = rng.choice(scene.servings)
    name = _name(INGREDIENTS[old.kind], old.count)
    return _put(scene, old, None), rng.choice((f"without the {name}", f"leave out the {name}", f"no {name}"))


def _add_ingredient(scene: FoodPlate, rng: Random) -> Edit:
    free = [p for p in POSITIONS if p not in {s.position for s in scene.servings}]
    if not free:
        return _drop_ingredient(scene, rng)
    kind = rng.choice([k for k in INGREDIENTS if k not in scene.ingredients])
    new = Serving(kind, rng.choice(COUNTS), rng.choice(free))
    phrase = f"{counted(INGREDIENTS[kind], new.count, rng)} {rng.choice(PLACES[new.position])}"
    words = rng.choice((f"add {phrase}", f"also with {phrase}", f"plus {phrase}"))
    kept = tuple(sorted((*scene.servings, new), key=lambda s: POSITIONS.index(s.position)))
    return replace(scene, servings=kept), words


def _reshape_plate(scene: FoodPlate, rng: Random) -> Edit:
    plate = _other(PLATES, scene.plate, rng)
    phrase = f"{'in' if plate == 'bowl' else 'on'} {article(rng.choice(PLATES[plate]))}"
    return replace(scene, plate=plate), rng.choice((f"the same dish {phrase}", f"{phrase} instead"))


def _recolour_plate(scene: FoodPlate, rng: Random) -> Edit:
    colour = _other(PLATE_COLOURS, scene.plate_colour, rng)
    return replace(scene, plate_colour=colour), rng.choice((f"with {article(colour)} dish", f"make the plate {colour}"))


def _change_table(scene: FoodPlate, rng: Random) -> Edit:
    table = _other(TABLES, scene.table, rng)
    phrase = f"on {article(rng.choice(TABLES[table]))}"
    return replace(scene, table=table), rng.choice((f"the same dish {phrase}", f"{phrase} instead"))


def _change_cutlery(scene: FoodPlate, rng: Random) -> Edit:
    cutlery = _other((*CUTLERY, "none"), scene.cutlery, rng)
    if cutlery == "none":
        return replace(scene, cutlery="none", side=""), rng.choice(("no cutlery", "take the cutlery away"))
    noun = cutlery if cutlery == "chopsticks" else article(cutlery)
    if scene.side:
        return replace(scene, cutlery=cutlery), rng.choice(
            (f"with {noun} instead", f"{noun} instead of the {scene.cutlery}")
        )
    side = rng.choice(("left", "right"))
    return replace(scene, cutlery=cutlery, side=side), f"add {noun} on the {side}"


def _regroup(scene: NaturalScene, old: Group, new: Group) -> NaturalScene:
    return replace(scene, groups=tuple(new if group == old else group for group in scene.groups))


def _swap_species(scene: NaturalScene, rng: Random) -> Edit:
    old = rng.choice(scene.groups)
    species = rng.choice([s for s in SPECIES if s not in {g.species for g in scene.groups}])
    was, now = _name(SPECIES[old.species], old.count), counted(SPECIES[species], old.count, rng)
    words = rng.choice((f"replace the {was} with {now}", f"{now} instead of the {was}"))
    return _regroup(scene, old, replace(old, species=species)), words


def _recolour_animal(scene: NaturalScene, rng: Random) -> Edit:
    old = rng.choice(scene.groups)
    colour = _other(ANIMAL_COLOURS, old.colour, rng)
    name, said = _name(SPECIES[old.species], old.count), rng.choice(ANIMAL_COLOURS[colour])
    words = rng.choice((f"make the {name} {said}", f"the same, but the {name} {said}", f"with {said} {name}"))
    return _regroup(scene, old, replace(old, colour=colour)), words


def _change_behaviour(scene: NaturalScene, rng: Random) -> Edit:
    old = rng.choice(scene.groups)
    behaviour = _other(BEHAVIOURS, old.behaviour, rng)
    name, said = _name(SPECIES[old.species], old.count), rng.choice(BEHAVIOURS[behaviour])
    words = rng.choice((f"the {name} {said}", f"now the {name} {said}", f"with the {name} {said} instead"))
    return _regroup(scene, old, replace(old, behaviour=behaviour)), words


def _recount_animal(scene: NaturalScene, rng: Random) -> Edit:
    old = rng.choice(scene.groups)
    count = _other(COUNTS, old.count, rng)
    now = f"{NUMERALS[count][0]} {_name(SPECIES[old.species], count)}"
    words = rng.choice((f"make it {now}", f"with {now} instead of {old.count}", f"the same, but {now}"))
    return _regroup(scene, old, replace(old, count=count)), words


def _change_plant(scene: NaturalScene, rng: Random) -> Edit:
    plant = _other(PLANTS, scene.plant, rng)
    was, now = _name(PLANTS[scene.plant], scene.plant_count), counted(PLANTS[plant], scene.plant_count, rng)
    return replace(scene, plant=plant), rng.choice((f"{now} instead of the {was}", f"replace the {was} with {now}"))


def _recount_plant(scene: NaturalScene, rng: Random) -> Edit:
    count = _other(COUNTS, scene.plant_count, rng)
    now = f"{NUMERALS[count][0]} {_name(PLANTS[scene.plant], count)}"
    return replace(scene, plant_count=count), rng.choice((f"with {now}", f"the same with {now}"))


def _change_habitat(scene: NaturalScene, rng: Random) -> Edit:
    habitat = _other(HABITATS, scene.habitat, rng)
    said = rng.choice(HABITATS[habitat])
    return replace(scene, habitat=habitat), rng.choice((f"the same, but {said}", f"{said} instead"))


def _change_weather(scene: NaturalScene, rng: Random) -> Edit:
    weather = _other(WEATHERS, scene.weather, rng)
    said = rng.choice(WEATHERS[weather])
    return replace(scene, weather=weather), rng.choice((f"the same, but {said}", f"{said} instead"))


_INGREDIENT_EDITS: tuple[Callable[[FoodPlate, Random], Edit], ...] = (
    _swap_ingredient,
    _swap_ingredient,
    _recount_ingredient,
    _move_ingredient,
    _drop_ingredient,
    _add_ingredient,
)
FOOD_EDITS: tuple[Callable[[FoodPlate, Random], Edit], ...] = (
    *_INGREDIENT_EDITS,
    _reshape_plate,
    _recolour_plate,
    _change_table,
    _change_cutlery,
)
_WILDLIFE_EDITS: tuple[Callable[[NaturalScene, Random], Edit], ...] = (
    _swap_species,
    _swap_species,
    _recount_animal,
    _change_plant,
)
NATURE_EDITS: tuple[Callable[[NaturalScene, Random], Edit], ...] = (
    _swap_species,
    _swap_species,
    _recolour_animal,
    _recolour_animal,
    _change_behaviour,
    _change_behaviour,
    _recount_animal,
    _change_plant,
    _recount_plant,
    _change_habitat,
    _change_weather,
)


def edit(scene: Scene, rng: Random) -> Edit:
    """The scene with one attribute changed, and a modification text that says the change."""
    if isinstance(scene, FoodPlate):
        return rng.choice(FOOD_EDITS)(scene, rng)
    return rng.choice(NATURE_EDITS)(scene, rng)


def edit_thing(scene: Scene, rng: Random) -> Edit:
    """As `edit`, of what a dish is made of, and of which animals and plants there are and how many animals."""
    if isinstance(scene, FoodPlate):
        return rng.choice(_INGREDIENT_EDITS)(scene, rng)
    return rng.choice(_WILDLIFE_EDITS)(scene, rng)
