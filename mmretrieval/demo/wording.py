"""Facts to English: captions, queries and the phrases that modification texts are made of.

A text says exactly the facts it was given, no more: a count, a place or a colour that is not among them leaves no
trace in the words. So "everything that contains the mentioned facts is relevant" is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from mmretrieval.demo.scenes import FoodPlate, Group, NaturalScene, Scene, Serving
from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    CUTLERY,
    HABITATS,
    INGREDIENTS,
    NO_CUTLERY,
    NUMERALS,
    PLACES,
    PLANTS,
    PLATE_COLOURS,
    PLATES,
    SPECIES,
    TABLES,
    WEATHERS,
)

_OPENINGS = ("", "", "", "", "a picture of ", "a photo of ", "a drawing of ", "show me ")


def article(noun: str) -> str:
    """The noun with "a" or "an" before it."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def counted(forms: Sequence[tuple[str, str]], count: str | None, rng: Random, plain: str = "") -> str:
    """Nouns with a numeral, or, when the count is not to be said, the bare word. `plain` is one more bare word."""
    singular, plural = rng.choice(forms)
    if count is None:
        return rng.choice((singular, plural, plain or singular))
    return f"{rng.choice(NUMERALS[count])} {singular if count == 'one' else plural}"


def serving_phrase(serving: Serving, facts: frozenset[str], rng: Random) -> str:
    """Such as "two tomatoes on the left"."""
    kind = serving.kind
    count = serving.count if f"{kind}.count={serving.count}" in facts else None
    words = [counted(INGREDIENTS[kind], count, rng, plain=kind)]
    if f"{kind}.position={serving.position}" in facts:
        words.append(rng.choice(PLACES[serving.position]))
    return " ".join(words)


def group_phrase(group: Group, facts: frozenset[str], rng: Random) -> str:
    """Such as "two red foxes sleeping on the left"."""
    species = group.species
    forms = SPECIES[species]
    if f"{species}.colour={group.colour}" in facts:
        colour = rng.choice(ANIMAL_COLOURS[group.colour])
        forms = tuple((f"{colour} {singular}", f"{colour} {plural}") for singular, plural in forms)
    count = group.count if f"{species}.count={group.count}" in facts else None
    words = [counted(forms, count, rng)]
    if f"{species}.behaviour={group.behaviour}" in facts:
        words.append(rng.choice(BEHAVIOURS[group.behaviour]))
    if f"{species}.side={group.side}" in facts:
        words.append(rng.choice(PLACES[group.side]))
    return " ".join(words)


def plate_phrase(scene: FoodPlate, facts: frozenset[str], rng: Random) -> str:
    """Such as "on a blue round plate"; empty when neither shape nor colour is to be said."""
    shape = rng.choice(PLATES[scene.plate]) if f"plate={scene.plate}" in facts else ""
    colour = rng.choice(PLATE_COLOURS[scene.plate_colour]) if f"plate.colour={scene.plate_colour}" in facts else ""
    if not shape and not colour:
        return ""
    noun = f"{colour} {shape or 'dish'}".strip()
    return f"{'in' if 'bowl' in shape else 'on'} {article(noun)}"


def table_phrase(scene: FoodPlate, facts: frozenset[str], rng: Random) -> str:
    """Such as "on a wooden table"; empty when it is not to be said."""
    return f"on {article(rng.choice(TABLES[scene.table]))}" if f"table={scene.table}" in facts else ""


def plant_phrase(scene: NaturalScene, facts: frozenset[str], rng: Random) -> str:
    """Such as "near two pine trees"; empty when they are not to be said."""
    if f"plant={scene.plant}" not in facts:
        return ""
    count = scene.plant_count if f"plant.count={scene.plant_count}" in facts else None
    return f"{rng.choice(('with', 'near', 'next to'))} {counted(PLANTS[scene.plant], count, rng)}"


def cutlery_phrase(scene: FoodPlate, facts: frozenset[str], rng: Random) -> str:
    """Such as "a fork beside it on the left"; empty when it is not to be said."""
    if f"cutlery={scene.cutlery}" not in facts:
        return ""
    if scene.cutlery == "none":
        return rng.choice(NO_CUTLERY)
    noun = rng.choice(CUTLERY[scene.cutlery])
    noun = noun if noun == "chopsticks" else article(noun)
    if f"cutlery.side={scene.side}" not in facts:
        return f"with {noun}"
    return (
        f"{noun} lying to the {scene.side} of the plate"
        if rng.random() < 0.5
        else f"{noun} beside it on the {scene.side}"
    )


def _food_text(scene: FoodPlate, facts: frozenset[str], rng: Random) -> str:
    servings = [s for s in scene.servings if f"ingredient={s.kind}" in facts]
    rng.shuffle(servings)
    food = enumerate_phrases([serving_phrase(s, facts, rng) for s in servings])
    plate = plate_phrase(scene, facts, rng)
    table = table_phrase(scene, facts, rng)
    cutlery = cutlery_phrase(scene, facts, rng)
    if plate and rng.random() < 0.4 and food:
        head = f"{plate.partition(' ')[2]} with {food}"
        tail = [table, cutlery]
    else:
        head = food or "a dish"
        tail = [plate, table, cutlery]
    return ", ".join([head, *tail_pieces(tail, rng)])


def _nature_text(scene: NaturalScene, facts: frozenset[str], rng: Random) -> str:
    groups = [group_phrase(g, facts, rng) for g in scene.groups if f"animal={g.species}" in facts]
    rng.shuffle(groups)
    head = " and ".join(groups) or "a landscape"
    habitat = rng.choice(HABITATS[scene.habitat]) if f"habitat={scene.habitat}" in facts else ""
    weather = rng.choice(WEATHERS[scene.weather]) if f"weather={scene.weather}" in facts else ""
    plant = plant_phrase(scene, facts, rng)
    return ", ".join([head, *tail_pieces([habitat, weather, plant], rng)])


def tail_pieces(pieces: Sequence[str], rng: Random) -> list[str]:
    """The pieces that say something, in an order of their own."""
    spoken = [piece for piece in pieces if piece]
    rng.shuffle(spoken)
    return spoken


def enumerate_phrases(phrases: Sequence[str]) -> str:
    """Joined as in: a, b and c."""
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def describe(scene: Scene, facts: frozenset[str], rng: Random) -> str:
    """Words for exactly `facts`, which must be a subset of the scene's and hold the kind of every part they detail."""
    text = _food_text(scene, facts, rng) if isinstance(scene, FoodPlate) else _nature_text(scene, facts, rng)
    return rng.choice(_OPENINGS) + text


def parent(fact: str) -> str | None:
    """The kind of fact that must be said along: "tomato.count=two" needs "ingredient=tomato" or "animal=tomato"."""
    subject, dot, _ = fact.partition("=")[0].partition(".")
    return subject if dot else None


def choose_facts(scene: Scene, share: float, rng: Random) -> frozenset[str]:
    """A random subset: every statable fact with probability `share`, details only together with their part."""
    facts = sorted(scene.facts)
    kept = {fact for fact in facts if parent(fact) in (None, "plate") and rng.random() < share}
    spoken = {fact.partition("=")[2] for fact in kept if fact.startswith(("ingredient=", "animal="))}
    spoken |= {fact.partition("=")[0] for fact in kept if fact.startswith(("plant=", "cutlery="))}
    kept |= {fact for fact in facts if fact not in kept and parent(fact) in spoken and rng.random() < share}
    if not any(fact.startswith(("ingredient=", "animal=")) for fact in kept):
        kept.add(rng.choice([fact for fact in facts if fact.startswith(("ingredient=", "animal="))]))
    return frozenset(kept)


def kinds(scene: Scene) -> frozenset[str]:
    """What people ask for first: the ingredients of a dish, or the animals of a landscape and where they are."""
    wanted = ("ingredient=",) if isinstance(scene, FoodPlate) else ("animal=", "habitat=")
    return frozenset(fact for fact in scene.facts if fact.startswith(wanted))
