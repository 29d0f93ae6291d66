"""Texts say exactly the facts they were given."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import FoodPlate, NaturalScene
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
from mmretrieval.demo.wording import choose_facts, describe, parent

seeds = st.integers(0, 10**9)
domains = st.sampled_from(("food", "nature"))


def wordings(forms: tuple[tuple[str, str], ...], *more: str) -> set[str]:
    return {word for pair in forms for word in pair} | set(more)


def says(text: str, words: set[str] | tuple[str, ...]) -> bool:
    padded = f" {text.replace(',', ' ,')} "
    return any(f" {word} " in padded or f" {word}," in text for word in words)


def facts_said(scene_: FoodPlate | NaturalScene, text: str) -> set[str]:
    """A slow reading of kinds and settings back out of a text; details of parts are left to the other tests."""
    if isinstance(scene_, FoodPlate):
        said = {f"ingredient={k}" for k, forms in INGREDIENTS.items() if says(text, wordings(forms, k))}
        said |= {f"table={t}" for t, words in TABLES.items() if says(text, words)}
        said |= {f"plate={p}" for p, words in PLATES.items() if says(text, words)}
        said |= {f"cutlery={c}" for c, words in CUTLERY.items() if says(text, words)}
        return said | ({"cutlery=none"} if says(text, NO_CUTLERY) else set())
    said = {f"animal={s}" for s, forms in SPECIES.items() if says(text, wordings(forms))}
    said |= {f"plant={p}" for p, forms in PLANTS.items() if says(text, wordings(forms))}
    said |= {f"habitat={h}" for h, words in HABITATS.items() if says(text, words)}
    return said | {f"weather={w}" for w, words in WEATHERS.items() if says(text, words)}


def test_every_dense_caption_names_every_kind_and_setting_and_no_other() -> None:
    for number in range(400):
        shown = scene("wording", number, "both")
        text = describe(shown, shown.facts, Random(number))
        kinds = ("ingredient", "animal", "plant", "table", "plate", "habitat", "weather", "cutlery")
        expected = {f for f in shown.facts if f.partition("=")[0] in kinds}
        assert facts_said(shown, text) == expected, text


@given(seeds, domains, st.floats(0.0, 1.0))
def test_chosen_facts_are_true_and_bring_the_part_that_they_are_about(seed: int, domain: str, share: float) -> None:
    shown = scene(seed, 0, domain)  # type: ignore[arg-type]
    chosen = choose_facts(shown, share, Random(seed))
    assert chosen <= shown.facts
    assert any(fact.startswith(("ingredient=", "animal=")) for fact in chosen)
    for fact in chosen:
        part = parent(fact)
        if part == "plate":
            continue  # a colour alone is said of "a dish"
        if part in ("plant", "cutlery"):
            assert any(other.startswith(f"{part}=") for other in chosen)
        elif part is not None:
            assert f"ingredient={part}" in chosen or f"animal={part}" in chosen


@given(seeds, domains)
def test_a_count_that_is_not_among_the_facts_leaves_no_trace(seed: int, domain: str) -> None:
    shown = scene(seed, 0, domain)  # type: ignore[arg-type]
    uncounted = frozenset(fact for fact in shown.facts if ".count=" not in fact)
    text = describe(shown, uncounted, Random(seed))
    words = text.replace(",", " ").split()
    assert not {"one", "two", "three", "1", "2", "3", "single"} & set(words), text
    assert "pair of" not in text.replace("pair of chopsticks", ""), text


@given(seeds, domains)
def test_a_place_or_a_colour_that_is_not_among_the_facts_leaves_no_trace(seed: int, domain: str) -> None:
    shown = scene(seed, 0, domain)  # type: ignore[arg-type]
    bare = frozenset(f for f in shown.facts if not f.partition("=")[0].endswith((".position", ".side", ".colour")))
    text = describe(shown, bare, Random(seed))
    for place, words in PLACES.items():
        assert not any(word in text for word in words), (place, text)
    rest = text
    for noun in ("black olive", "red onion", "red flower", "green pepper", "red and white", "green meadow",
                 "grey clouds", "grey marble", "brown planks", "orange"):  # fmt: skip
        rest = rest.replace(noun, "")
    colours = {word for words in (*ANIMAL_COLOURS.values(), *PLATE_COLOURS.values()) for word in words}
    assert not colours & set(rest.replace(",", " ").split()), text


@pytest.mark.parametrize("table", [PLATES, TABLES, CUTLERY, HABITATS, WEATHERS, BEHAVIOURS, ANIMAL_COLOURS, NUMERALS])
def test_no_wording_stands_for_two_values(table: dict[str, tuple[str, ...]]) -> None:
    said = [word for words in table.values() for word in words]
    assert len(said) == len(set(said))


def test_the_same_arguments_give_the_same_words() -> None:
    shown = scene(1, 2, "food")
    assert describe(shown, shown.facts, Random(3)) == describe(shown, shown.facts, Random(3))
