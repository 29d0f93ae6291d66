"""Yes or no to a query phrase by phrase: at the end of each phrase it is known whether it holds.

A long query is true of a picture only if every phrase is. A single yes or no at its end hardly tells a small model
which phrase decided. So it is told at the end of each, though it says nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from mmretrieval import prompts
from mmretrieval.demo.edits import edit
from mmretrieval.demo.scenes import FoodPlate, NaturalScene, Scene, sample_food, sample_nature
from mmretrieval.demo.vocabulary import HABITATS, WEATHERS
from mmretrieval.demo.wording import (
    cutlery_phrase,
    group_phrase,
    plant_phrase,
    plate_phrase,
    serving_phrase,
    table_phrase,
)
from mmretrieval.training import vlm_words
from mmretrieval.training.vlm_dialogue import Dialogue
from mmretrieval.training.vlm_hints import NOWHERE, Hint
from mmretrieval.training.vlm_things import EVERYWHERE, things

SETTINGS = 0.4  # of the queries are about what surrounds things
MOST_PARTS = 3  # that such a query mentions
CHANGES = (0, 0, 1, 1, 1, 2, 3)  # edits that part the scene of a query from the picture's
ALONE = 0.5  # of the others are about a single fact, with what it is a fact of
NEW = 0.5  # of those, about one that the picture does not show, at least
SETTING_NAMED = 0.5  # of the queries that mention no thing begin with "a dish" or "a landscape"
HOLDS_WEIGHT, FAILS_WEIGHT = 2.0, 4.0  # of what is known at the end of a phrase


_SURROUNDINGS = ("plate", "table", "cutlery", "plant", "habitat", "weather")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words for some facts; `kind` is the thing they are about, empty for what surrounds the things."""

    text: str
    facts: frozenset[str]
    kind: str = ""


def ask_phrases(dialogue: Dialogue, scene: Scene, rng: Random, weight: float) -> None:
    """A query for something like the picture's scene, and the answer, whose first word counts `weight` times."""
    other, facts = _set_elsewhere(scene, rng) if rng.random() < SETTINGS else _changed(scene, rng)
    parts = phrases(other, facts, rng)
    words, ends = joined(parts)
    text = prompts.FITS.format(words)
    before = text.index(words)
    spoken = dialogue.words_about(text, scene)
    failed = []
    for part, end in zip(parts, ends, strict=True):
        at, holds = spoken.last(before + end), part.facts <= scene.facts
        dialogue.expect(at, prompts.YES_NO[0 if holds else 1], HOLDS_WEIGHT if holds else FAILS_WEIGHT)
        shown = things(scene)[part.kind].where if holds and part.kind else EVERYWHERE
        dialogue.look(at, shown if holds else (), ["check"] if part.kind else ["look", "find"])
        failed += [] if holds else [at]
    dialogue.hints.append(Hint("gather", len(dialogue.ids), tuple(failed) or NOWHERE))
    dialogue.answer(prompts.YES_NO[1 if failed else 0], weight)


def _changed(scene: Scene, rng: Random) -> tuple[Scene, frozenset[str]]:
    """A scene some edits away, and facts of it to ask for."""
    other = scene
    for _ in range(rng.choice(CHANGES)):
        other, _ = edit(other, rng)
    if rng.random() >= ALONE:
        return other, vlm_words.said(other, rng)
    new = sorted(other.facts - scene.facts)
    fact = rng.choice(new if new and rng.random() < NEW else sorted(other.facts))
    return other, vlm_words.with_subjects(other, [fact])


def _set_elsewhere(scene: Scene, rng: Random) -> tuple[Scene, frozenset[str]]:
    """The same things, each part of what surrounds them drawn anew or not, and a few of those parts.

    Edits change what surrounds things seldom, so that "yes" would nearly always be right.
    """
    other: Scene
    if isinstance(scene, FoodPlate):
        drawn = sample_food(rng)
        cutlery = rng.choice((scene, drawn))
        other = replace(
            scene,
            plate=rng.choice((scene, drawn)).plate,
            plate_colour=rng.choice((scene, drawn)).plate_colour,
            table=rng.choice((scene, drawn)).table,
            cutlery=cutlery.cutlery,
            side=cutlery.side,
        )
    else:
        around = sample_nature(rng)
        other = replace(
            scene,
            plant=rng.choice((scene, around)).plant,
            plant_count=rng.choice((scene, around)).plant_count,
            habitat=rng.choice((scene, around)).habitat,
            weather=rng.choice((scene, around)).weather,
        )
    around_things = sorted(fact for fact in other.facts if fact.startswith(_SURROUNDINGS))
    return other, vlm_words.with_subjects(other, rng.sample(around_things, rng.randint(1, MOST_PARTS)))


def phrases(scene: Scene, facts: frozenset[str], rng: Random) -> list[Phrase]:
    """What a query for these facts says, things first."""
    first, rest = _dish(scene, facts, rng) if isinstance(scene, FoodPlate) else _landscape(scene, facts, rng)
    rest = [phrase for phrase in rest if phrase.text]
    rng.shuffle(first)
    rng.shuffle(rest)
    if not first and (not rest or rng.random() < SETTING_NAMED):
        first = [Phrase("a dish" if isinstance(scene, FoodPlate) else "a landscape", frozenset())]
    return [*first, *rest]


def joined(parts: Sequence[Phrase]) -> tuple[str, list[int]]:
    """One text, and where each phrase ends in it."""
    named = sum(1 for part in parts if part.kind)
    text, ends = "", []
    for number, part in enumerate(parts):
        text += "" if not number else " and " if number == named - 1 else ", "
        text += part.text
        ends.append(len(text))
    return text, ends


def _about(kind: str, fact: str, facts: frozenset[str]) -> frozenset[str]:
    return frozenset(one for one in facts if one == fact or one.startswith(f"{kind}."))


def _of(part: str, facts: frozenset[str]) -> frozenset[str]:
    return frozenset(one for one in facts if one.startswith((f"{part}=", f"{part}.")))


def _dish(scene: FoodPlate, facts: frozenset[str], rng: Random) -> tuple[list[Phrase], list[Phrase]]:
    servings = [
        Phrase(serving_phrase(one, facts, rng), _about(one.kind, f"ingredient={one.kind}", facts), one.kind)
        for one in scene.servings
        if f"ingredient={one.kind}" in facts
    ]
    return servings, [
        Phrase(plate_phrase(scene, facts, rng), _of("plate", facts)),
        Phrase(table_phrase(scene, facts, rng), _of("table", facts)),
        Phrase(cutlery_phrase(scene, facts, rng), _of("cutlery", facts)),
    ]


def _landscape(scene: NaturalScene, facts: frozenset[str], rng: Random) -> tuple[list[Phrase], list[Phrase]]:
    groups = [
        Phrase(group_phrase(one, facts, rng), _about(one.species, f"animal={one.species}", facts), one.species)
        for one in scene.groups
        if f"animal={one.species}" in facts
    ]
    return groups, [
        Phrase(rng.choice(HABITATS[scene.habitat]) if _of("habitat", facts) else "", _of("habitat", facts)),
        Phrase(rng.choice(WEATHERS[scene.weather]) if _of("weather", facts) else "", _of("weather", facts)),
        Phrase(plant_phrase(scene, facts, rng), _of("plant", facts)),
    ]
