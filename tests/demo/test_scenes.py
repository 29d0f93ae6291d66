"""Scenes, their edits and their numbering."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.demo.edits import FOOD_EDITS, NATURE_EDITS, edit, edit_thing
from mmretrieval.demo.render import render
from mmretrieval.demo.sample import SIBLINGS, sample, scene
from mmretrieval.demo.scenes import FoodPlate, NaturalScene, Scene
from mmretrieval.training.slots import FACTS, values

seeds = st.integers(0, 10**9)
domains = st.sampled_from(("food", "nature"))


def changed_slots(before: Scene, after: Scene) -> set[str]:
    first, second = values(before), values(after)
    return {slot for slot in first.keys() | second.keys() if first.get(slot) != second.get(slot)}


@given(seeds, domains)
def test_an_edit_changes_one_attribute_and_says_something(seed: int, domain: str) -> None:
    before = scene(seed, 0, domain)  # type: ignore[arg-type]
    after, words = edit(before, Random(seed))
    assert after.facts != before.facts
    assert words.strip()
    families = {slot.partition("@")[0] for slot in changed_slots(before, after)}
    # a serving that comes, goes or moves takes its count along, and cutlery its side
    assert families in (
        *({name} for name in ("ingredient", "count", "plate", "plate_colour", "table", "cutlery", "species", "colour")),
        *({name} for name in ("behaviour", "animal_count", "plant", "plant_count", "habitat", "weather")),
        {"ingredient", "count"},
        {"cutlery", "cutlery_side"},
    )


@given(seeds, domains)
def test_an_edit_of_things_leaves_what_surrounds_them(seed: int, domain: str) -> None:
    before = scene(seed, 0, domain)  # type: ignore[arg-type]
    after, words = edit_thing(before, Random(seed))
    families = {slot.partition("@")[0] for slot in changed_slots(before, after)}
    assert words.strip()
    assert families
    assert families <= {"ingredient", "count", "species", "animal_count", "plant"}


def test_every_kind_of_edit_gives_valid_scenes_with_known_facts() -> None:
    for number in range(300):
        for domain, edits in (("food", FOOD_EDITS), ("nature", NATURE_EDITS)):
            before = scene("edits", number, domain)  # type: ignore[arg-type]
            for each in edits:
                after, _ = each(before, Random(number))  # type: ignore[arg-type]
                assert after.facts <= set(FACTS)
                if isinstance(after, FoodPlate):
                    assert 2 <= len(after.servings) <= 5
                    assert len({s.position for s in after.servings}) == len(after.servings)
                    assert len(set(after.ingredients)) == len(after.servings)
                    assert (after.cutlery == "none") == (after.side == "")
                else:
                    assert len({g.species for g in after.groups}) == len(after.groups)


def test_a_modification_names_the_new_value() -> None:
    """Spot checks by value: what is asked for is what the edited scene shows."""
    for number in range(200):
        before = scene("words", number, "nature")
        after, words = edit(before, Random(number))
        assert isinstance(before, NaturalScene)
        assert isinstance(after, NaturalScene)
        if before.habitat != after.habitat:
            from mmretrieval.demo.vocabulary import HABITATS

            assert any(word in words for word in HABITATS[after.habitat])
        if before.weather != after.weather:
            from mmretrieval.demo.vocabulary import WEATHERS

            assert any(word in words for word in WEATHERS[after.weather])


def test_a_sample_is_a_function_of_seed_and_number_alone() -> None:
    first = [sample(9, number) for number in range(40)]
    again = [sample(9, number) for number in reversed(range(40))][::-1]
    assert first == again
    assert [s.scene for s in first] != [sample(10, number).scene for number in range(40)]
    assert len({s.id for s in first}) == 40


@given(seeds, st.sampled_from(("food", "nature", "both")))
def test_siblings_differ_from_their_reference_and_from_each_other(seed: int, domain: str) -> None:
    base, one, two = (sample(seed, number, domain) for number in (0, *SIBLINGS))  # type: ignore[arg-type]
    assert one.reference == two.reference == base.id
    assert base.reference is None
    assert len({base.scene.facts, one.scene.facts, two.scene.facts}) == 3


def test_the_same_sample_draws_the_same_pixels_and_another_look_other_ones() -> None:
    shown = sample(4, 3)
    pixels = np.asarray(shown.render(64))
    assert pixels.shape == (64, 64, 3)
    assert np.array_equal(pixels, np.asarray(sample(4, 3).render(64)))
    other = np.asarray(render(shown.scene, 64, "another look"))
    assert 0 < np.abs(pixels.astype(int) - other.astype(int)).mean() < 60


def test_every_value_of_every_attribute_can_be_seen() -> None:
    """Changing one attribute changes pixels well beyond noise, with everything else held still."""
    for number in range(60):
        before = scene("visible", number, "both" if number % 2 else "nature")
        after, words = edit(before, Random(number))
        difference = np.abs(
            np.asarray(render(before, 96, "look")).astype(int) - np.asarray(render(after, 96, "look")).astype(int)
        ).max(axis=2)
        assert (difference > 24).sum() > 20, words
