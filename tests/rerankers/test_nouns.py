"""Names of things, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.rerankers._nouns import means, phrases, singular


def named(text):
    return [" ".join(noun) for noun in phrases(text)]


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("two slices of tomatoes on the left, a fried egg and a mound of rice", ["tomato", "fried egg", "rice"]),
        ("a cheese wedge, pea pods, red onion slices", ["cheese", "pea", "red onion"]),
        ("two grey foxes sleeping on the left side", ["grey fox"]),
        ("- Rice\n- 2 eggs\n3. peas", ["rice", "egg", "pea"]),
        ("rice, salmon, egg", ["rice", "salmon", "egg"]),
        ("a deep bowl of soup", ["soup"]),
        ("in a deep bowl", ["deep bowl"]),
        ("a spring onion and a pudding, being eaten", ["spring onion", "pudding", "eaten"]),
        ("Crème brûlée; the chef’s knives", ["crème brûlée", "chef knife"]),
        ("鮭, ご飯", ["鮭", "ご飯"]),
        ("eggs, egg, an egg", ["egg"]),
        ("on the left, with", []),
        ("", []),
    ],
)
def test_the_things_a_text_names_are_found(text, things):
    assert named(text) == things


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("tomatoes", "tomato"), ("berries", "berry"), ("leaves", "leaf"), ("boxes", "box"), ("dishes", "dish"),
        ("glasses", "glass"), ("olives", "olive"), ("mice", "mouse"), ("cacti", "cactus"), ("asparagus", "asparagus"),
        ("grass", "grass"), ("octopus", "octopus"), ("iris", "iris"), ("deer", "deer"), ("peas", "pea"), ("gas", "gas"),
    ],
)  # fmt: skip
def test_plurals_become_singulars(many, one):
    assert singular(many) == one
    assert singular(one) == one


@given(st.text("abcdefghijklmnopqrstuvwxyz", max_size=9) | st.text(max_size=9))
def test_a_singular_is_its_own_singular(word):
    assert singular(singular(word)) == singular(word)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("egg", "fried egg"), ("prawn", "shrimp"), ("pasta", "noodles"), ("hare", "rabbit"), ("fir tree", "pine"),
        ("green pepper", "pepper"), ("toast", "slice of bread"), ("courgette", "grilled zucchini"), ("egg", "eggs"),
    ],
)  # fmt: skip
def test_names_of_one_thing_mean_the_same_in_both_directions(one, other):
    [first], [second] = phrases(one), phrases(other)
    assert means(first, second)
    assert means(second, first)


@pytest.mark.parametrize(
    ("one", "other"),
    [("carrot cake", "carrot"), ("egg", "eggplant"), ("fried egg", "boiled egg"), ("rice", "ice"), ("fork", "pork")],
)
def test_names_of_different_things_do_not(one, other):
    [first], [second] = phrases(one), phrases(other)
    assert not means(first, second)


@given(st.text(max_size=200))
def test_any_text_gives_names_without_blanks_each_once(text):
    found = phrases(text)
    assert len(set(found)) == len(found)
    assert all(noun and all(word.strip() == word and word for word in noun) for noun in found)
