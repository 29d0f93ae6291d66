"""F4-ITS' measures: the cases of the authors' rule, and where ours differs."""

import pytest

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.food import ingredient_ap, ingredient_map, top_1

TWELVE = [f"item{letter}" for letter in "abcdefghijkl"]


@pytest.mark.parametrize(
    ("predicted", "truth", "published", "ours"),
    [
        (["a", "b", "c"], ["a", "c"], (1 + 2 / 3) / 2, (1 + 2 / 3) / 2),
        (TWELVE[:10], TWELVE, 10 / 12, 1.0),
        (["apple"], ["apples"], 1.0, 1.0),
        (["apples"], ["apple"], 0.0, 1.0),
        (["Tomatoes "], ["tomato"], 0.0, 1.0),
        (["berries"], ["berry"], 0.0, 1.0),
        (["peas", "pea"], ["peas", "rice"], 1.0, 0.5),  # the authors count one ingredient twice
        (["rice"], ["beans"], 0.0, 0.0),
        ([], ["beans"], 0.0, 0.0),
        (["gas"], ["ga"], 0.0, 0.0),
    ],
)
def test_ingredients_are_met_by_both_rules(predicted, truth, published, ours):
    assert ingredient_ap(predicted, truth, rule="published") == pytest.approx(published)
    assert ingredient_ap(predicted, truth) == pytest.approx(ours)


def test_only_the_first_k_count():
    assert ingredient_ap(["x", "x2", "a"], ["a"], k=2) == 0


def test_pictures_without_true_ingredients_are_left_out_and_others_count_even_unpredicted():
    assert ingredient_map({"p1": ["a"]}, {"p1": ["a"], "p2": ["b"], "p3": []}) == 0.5
    with pytest.raises(InvalidData, match="no picture with a true ingredient"):
        ingredient_map({}, {"p": []})
    with pytest.raises(InvalidData, match="leave it out"):
        ingredient_ap(["a"], [])


def test_a_caption_is_right_by_its_words_whatever_their_case():
    assert top_1({"p1": "Fish and Chips", "p2": "soup"}, {"p1": "fish and chips", "p2": "Salad", "p3": "pie"}) == 1 / 3
    with pytest.raises(InvalidData, match="no picture"):
        top_1({}, {})
