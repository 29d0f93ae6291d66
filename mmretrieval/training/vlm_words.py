"""What the demo VLM learns to say of a scene, and a reader that turns it back into slots.

One scene has one sentence: the plain names, in a fixed order. So a wrong word is a wrong slot, and can be counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from random import Random

from mmretrieval.demo.scenes import FoodPlate, NaturalScene, Scene
from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    COUNTS,
    CUTLERY,
    HABITATS,
    INGREDIENTS,
    PLACES,
    PLANTS,
    PLATE_COLOURS,
    PLATES,
    SIDES,
    SPECIES,
    TABLES,
    WEATHERS,
)
from mmretrieval.demo.wording import article, choose_facts, describe, enumerate_phrases, kinds
from mmretrieval.training import slots

SHARES = (0.05, 0.05, 0.1, 0.2, 0.4, 0.75, 1.0)  # of the facts that a question mentions; short ones teach most
KINDS_ALONE = 0.1  # of the questions mention nothing but kinds
PRESENT = 0.6  # of the details are asked of a thing that is there, at least
THINGS_ASKED = 0.75  # of the details are about things, the others about what they are set in
NONE = "none"
_OPENINGS = ("a picture of ", "a photo of ", "a drawing of ", "show me ")
_Details = list[tuple[str, str]]  # questions with their answers
_Forms = dict[str, tuple[tuple[str, str], ...]]


def sentence(scene: Scene) -> str:
    """Every slot of the scene, in plain names and always the same order."""
    return _dish(scene) if isinstance(scene, FoodPlate) else _landscape(scene)


def items(scene: Scene) -> list[str]:
    """The kinds of things in the scene: ingredients, or animals and the plant."""
    if isinstance(scene, FoodPlate):
        return [serving.kind for serving in scene.servings]
    return [*(group.species for group in sorted(scene.groups, key=lambda group: group.side)), scene.plant]


def read(text: str) -> dict[str, str]:
    """The slots that a sentence names, as `slots.values` gives them; what it does not say is missing."""
    found: dict[str, str] = {}
    for count, noun, place in _SERVING.findall(text):
        kind = _INGREDIENT_OF[noun]
        found |= {f"ingredient@{_PLACE_OF[place]}": kind, f"count@{_PLACE_OF[place]}": count}
    for count, colour, noun, behaviour, place in _GROUP.findall(text):
        side = _PLACE_OF[place]
        found |= {f"species@{side}": _SPECIES_OF[noun], f"colour@{side}": colour}
        found |= {f"behaviour@{side}": _BEHAVIOUR_OF[behaviour], f"animal_count@{side}": count}
    for count, noun in _PLANT.findall(text):
        found |= {"plant": _PLANT_OF[noun], "plant_count": count}
    for colour, plate in _PLATE.findall(text):
        found |= {"plate": _PLATE_OF[plate], "plate_colour": colour}
    for cutlery, side in _CUTLERY.findall(text):
        found |= {"cutlery": cutlery, "cutlery_side": side}
    if "no cutlery" in text:
        found["cutlery"] = "none"
    for slot, values in (("table", TABLES), ("habitat", HABITATS), ("weather", WEATHERS)):
        for value, names in values.items():
            if names[0] in text:
                found[slot] = value
    return found


def said(scene: Scene, rng: Random) -> frozenset[str]:
    """Some of its facts, as a user would mention them."""
    return kinds(scene) if rng.random() < KINDS_ALONE else choose_facts(scene, rng.choice(SHARES), rng)


def words_for(scene: Scene, facts: frozenset[str], rng: Random) -> str:
    """A query for these facts, without an opening such as "a picture of"."""
    text = describe(scene, facts, rng)
    for opening in _OPENINGS:
        text = text.removeprefix(opening)
    return text


def question(one: Scene, other: Scene, rng: Random) -> tuple[str, frozenset[str]]:
    """Words that exactly one of the two fits, and the facts they mention; the two differ in a single thing.

    Asked of both pictures, such words teach nothing but the difference: no answer can be guessed from them.
    """
    if rng.random() < 0.5:
        one, other = other, one
    if one.facts <= other.facts:  # it only lost something, and nothing can be said of it alone
        one, other = other, one
    facts = said(one, rng)
    if facts <= other.facts:
        facts = with_subjects(one, facts | (one.facts - other.facts))
    return words_for(one, facts, rng), facts


def with_subjects(scene: Scene, facts: Iterable[str]) -> frozenset[str]:
    """The facts, and for every detail ("egg.count=two") the fact that names its subject ("ingredient=egg")."""
    kept = set(facts)
    for fact in tuple(kept):
        subject, dot, _ = fact.partition("=")[0].partition(".")
        if dot:
            kept |= {
                other
                for other in scene.facts
                if other in (f"ingredient={subject}", f"animal={subject}") or other.startswith(f"{subject}=")
            }
    return frozenset(kept)


def detail(scene: Scene, rng: Random) -> tuple[str, str]:
    """A question about one thing, and its answer in a word or two; often about a thing that is not there.

    No user asks these. They bind the words for a thing to where it lies, which yes and no alone teach slowly.
    """
    things, setting = _plate_details(scene, rng) if isinstance(scene, FoodPlate) else _landscape_details(scene, rng)
    return rng.choice(things if rng.random() < THINGS_ASKED else setting)


def values_of(scene: Scene) -> dict[str, str]:
    """The slots worth counting: empty places are left out, since nothing has to be read there."""
    return {slot: value for slot, value in slots.values(scene).items() if value != slots.NOTHING}


def _name(forms: Sequence[tuple[str, str]], count: str) -> str:
    return forms[0][0 if count == "one" else 1]


def _asked_for(there: Iterable[str], all_kinds: Iterable[str], rng: Random) -> str:
    return rng.choice(tuple(there)) if rng.random() < PRESENT else rng.choice(tuple(all_kinds))


def _plate_details(scene: FoodPlate, rng: Random) -> tuple[_Details, _Details]:
    """Questions about an ingredient, and about what it lies on."""
    there = {serving.kind: serving for serving in scene.servings}
    kind = _asked_for(there, INGREDIENTS, rng)
    singular, plural = rng.choice(INGREDIENTS[kind])
    found = there.get(kind)
    things = [
        (f"how many {plural}?", found.count if found else NONE),
        (f"where is the {singular}?", PLACES[found.position][0] if found else NONE),
    ]
    setting = [
        ("which plate?", PLATES[scene.plate][0]),
        ("which plate colour?", scene.plate_colour),
        ("which table?", TABLES[scene.table][0]),
        ("which cutlery?", scene.cutlery),
    ]
    return things, setting


def _landscape_details(scene: NaturalScene, rng: Random) -> tuple[_Details, _Details]:
    """Questions about an animal, and about what surrounds it."""
    there = {group.species: group for group in scene.groups}
    species = _asked_for(there, SPECIES, rng)
    singular, plural = rng.choice(SPECIES[species])
    group = there.get(species)
    plant = rng.choice((scene.plant, rng.choice(tuple(PLANTS))))
    things = [
        (f"how many {plural}?", group.count if group else NONE),
        (f"where is the {singular}?", PLACES[group.side][0] if group else NONE),
        (f"which colour has the {singular}?", group.colour if group else NONE),
        (f"what does the {singular} do?", BEHAVIOURS[group.behaviour][0] if group else NONE),
    ]
    setting = [
        ("which place?", HABITATS[scene.habitat][0]),
        ("which weather?", WEATHERS[scene.weather][0]),
        (f"how many {rng.choice(PLANTS[plant])[1]}?", scene.plant_count if plant == scene.plant else NONE),
    ]
    return things, setting


def _dish(scene: FoodPlate) -> str:
    servings = [f"{s.count} {_name(INGREDIENTS[s.kind], s.count)} {PLACES[s.position][0]}" for s in scene.servings]
    plate = f"{'in' if scene.plate == 'bowl' else 'on'} {article(f'{scene.plate_colour} {PLATES[scene.plate][0]}')}"
    noun = scene.cutlery if scene.cutlery == "chopsticks" else article(scene.cutlery)
    beside = "no cutlery" if scene.cutlery == "none" else f"{noun} beside it on the {scene.side}"
    return ", ".join([enumerate_phrases(servings), plate, f"on {article(TABLES[scene.table][0])}", beside])


def _landscape(scene: NaturalScene) -> str:
    groups = [
        f"{g.count} {g.colour} {_name(SPECIES[g.species], g.count)} {BEHAVIOURS[g.behaviour][0]} {PLACES[g.side][0]}"
        for g in sorted(scene.groups, key=lambda group: group.side)
    ]
    plants = f"with {scene.plant_count} {_name(PLANTS[scene.plant], scene.plant_count)}"
    return ", ".join([" and ".join(groups), HABITATS[scene.habitat][0], WEATHERS[scene.weather][0], plants])


def _nouns(forms: _Forms) -> dict[str, str]:
    return {noun: kind for kind, named in forms.items() for noun in named[0]}


def _any(words: Iterable[str]) -> str:
    """A group that takes the longest of the words that fits."""
    return "(" + "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) + ")"


_INGREDIENT_OF, _SPECIES_OF, _PLANT_OF = _nouns(INGREDIENTS), _nouns(SPECIES), _nouns(PLANTS)
_PLACE_OF = {words[0]: place for place, words in PLACES.items()}
_SIDE_WORDS = [PLACES[side][0] for side in SIDES]
_BEHAVIOUR_OF = {words[0]: behaviour for behaviour, words in BEHAVIOURS.items()}
_PLATE_OF = {words[0]: plate for plate, words in PLATES.items()}
_SERVING = re.compile(rf"\b{_any(COUNTS)} {_any(_INGREDIENT_OF)} {_any(_PLACE_OF)}")
_GROUP = re.compile(
    rf"\b{_any(COUNTS)} {_any(ANIMAL_COLOURS)} {_any(_SPECIES_OF)} {_any(_BEHAVIOUR_OF)} {_any(_SIDE_WORDS)}"
)
_PLANT = re.compile(rf"\bwith {_any(COUNTS)} {_any(_PLANT_OF)}")
_PLATE = re.compile(rf"\b{_any(PLATE_COLOURS)} {_any(_PLATE_OF)}")
_CUTLERY = re.compile(rf"\b{_any(CUTLERY)} beside it on the {_any(SIDES)}")
