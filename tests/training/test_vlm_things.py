"""Things by name: where a text names them, where the picture shows them, and what is asked of them."""

from __future__ import annotations

import re
from random import Random

from mmretrieval import prompts
from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import FoodPlate, Group, NaturalScene, Scene, Serving
from mmretrieval.demo.vocabulary import ANIMAL_COLOURS, BEHAVIOURS, INGREDIENTS, NUMERALS, PLACES, SPECIES
from mmretrieval.training import vlm_things, vlm_words

PLATE = FoodPlate(
    servings=(Serving("egg", "two", "middle"), Serving("rice", "one", "left")),
    plate="round",
    plate_colour="white",
    table="wood",
    cutlery="fork",
    side="left",
)
SHORE = NaturalScene(
    groups=(Group("fox", "three", "red", "sleeping", "right"),),
    habitat="forest",
    weather="sunny",
    plant="fern",
    plant_count="one",
)


def test_a_name_ends_where_it_ends_and_lies_where_it_lies() -> None:
    egg, rice = (INGREDIENTS[kind][0][1] for kind in ("egg", "rice"))
    text = f"replace the {egg} with {rice}, no {INGREDIENTS['fish'][0][0]}"
    found = vlm_things.named(text, PLATE)
    assert [text[one.start : one.end] for one in found[:2]] == [egg, rice]
    assert [one.where for one in found] == [(4,), (3,), ()]
    assert [one.kind for one in vlm_things.named("rice on the left, cheese and 2 eggs", PLATE)] == [
        "rice",
        "cheese",
        "egg",
    ]
    (counted,) = vlm_things.named(f"with a pair of {egg}", PLATE)
    assert counted.count == (5, 14)
    fox = SPECIES["fox"][0][0]
    assert [one.where for one in vlm_things.named(f"the {fox} sleeps", SHORE)] == [(2, 5, 8)]


def test_an_inventory_names_all_that_is_there_and_as_much_that_is_not() -> None:
    """The slow way: what is said of a name, looked up in the sentence of the scene."""
    rng = Random(1)
    for number in range(300):
        shown = scene("inventory", number, "both")
        entries = vlm_things.inventory(shown, rng)
        there = [said for _, said in entries if said != "none"]
        assert len(there) == len(vlm_things.things(shown))
        assert len(entries) - len(there) == max(vlm_things.LEAST_MISSING, len(there))
        plain = vlm_words.sentence(shown)
        for said in there:
            count, *_, last = said.split()
            assert re.search(rf"\b{count}\b.*\b{last}\b", plain), (said, plain)
        for name, said in entries:
            mention, *_ = vlm_things.named(name, shown)
            assert bool(mention.where) is (said != "none")


def holds(words: str, shown: Scene) -> bool:
    """The slow way: every attribute whose words stand in the question is the named thing's own."""
    (mention,) = vlm_things.named(words, shown)
    thing = vlm_things.things(shown).get(mention.kind)
    if thing is None:
        return False
    about = f" {words[: mention.start]} {words[mention.end :]} ".replace("?", " ").removeprefix(" does it show ")
    families = {"count": NUMERALS, "place": PLACES, "colour": ANIMAL_COLOURS, "behaviour": BEHAVIOURS}
    for family, values in families.items():
        for value, forms in values.items():
            if any(f" {form} " in f" {about} " for form in forms) and family in thing.said:
                return thing.said[family] == value
    return True


def test_single_questions_are_answered_by_the_scene() -> None:
    rng = Random(2)
    said_yes, present = 0, 0
    for number in range(600):
        shown = scene("single", number, "both")
        words, answer = vlm_things.single(shown, rng)
        where = vlm_things.named(words, shown)[0].where
        assert words.startswith(prompts.FITS.partition("{")[0])
        assert (answer == "yes") is holds(words, shown), words
        present += bool(where)
        said_yes += answer == "yes"
    assert present > 350
    assert 150 < said_yes < 450
