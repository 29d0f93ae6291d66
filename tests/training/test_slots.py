"""Slots and fact vectors against the scenes they come from."""

from __future__ import annotations

import numpy as np

from mmretrieval.demo.sample import sample, scene
from mmretrieval.demo.scenes import FoodPlate, Serving
from mmretrieval.training.slots import ABSENT, FACTS, SLOTS, contains, fact_rows, targets, values


def test_slots_read_a_plate_by_value() -> None:
    plate = FoodPlate((Serving("rice", "two", "left"),), "bowl", "red", "slate", "none", "")
    found = values(plate)
    assert found["ingredient@left"] == "rice"
    assert found["count@left"] == "two"
    assert found["ingredient@right"] == "nothing"
    assert "count@right" not in found
    assert "cutlery_side" not in found
    assert "habitat" not in found


def test_targets_are_class_numbers_and_absent_where_a_scene_has_no_such_slot() -> None:
    shown = [scene("slots", number, "both") for number in range(40)]
    rows = targets(shown)
    for row, each in zip(rows, shown, strict=True):
        found = values(each)
        for column, (slot, names) in enumerate(SLOTS.items()):
            assert (names[row[column]] if row[column] != ABSENT else None) == found.get(slot)


def test_every_fact_of_a_world_has_a_column_of_its_own() -> None:
    assert len(set(FACTS)) == len(FACTS)
    for number in range(300):
        facts = sample("facts", number).scene.facts
        row = fact_rows([facts])[0]
        assert {FACTS[i] for i in np.flatnonzero(row)} == facts


def test_contains_equals_the_subset_relation_of_sets() -> None:
    scenes = [sample("sets", number).scene.facts for number in range(60)]
    mentioned = [frozenset(sorted(facts)[::3]) for facts in scenes] + [frozenset()]
    expected = [[said <= facts for facts in scenes] for said in mentioned]
    assert contains(fact_rows(scenes), fact_rows(mentioned)).tolist() == expected
