"""INQUIRE's measures: the published cases, the three tie rules, and slow twins over all orders."""

import math
from itertools import permutations
from statistics import fmean

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.inquire import BY_POLICY, expected, ours, published
from mmretrieval.evaluation.measures import parse_measure

DISTINCT = (5.0, 4.0, 3.0, 2.0, 1.0)


def marks(text):
    return [letter == "1" for letter in text]


def numbers(values):
    return (values.precision, values.recall, values.ap, values.ndcg, values.rr)


@pytest.mark.parametrize(
    ("text", "scores", "total", "values"),
    [
        ("10101", DISTINCT, 3, (0.6, 1, 0.755556, 0.885460, 1)),
        ("10101", DISTINCT, 10, (0.6, 0.3, 0.453333, 0.639945, 1)),
        ("00000", DISTINCT, 10, (0, 0, 0, 0, 0)),
        ("10101", (1.0,) * 5, 3, (0.6, 1, 0.6, 0.830189, 1)),
        ("001", (1.0,) * 3, 1, (1 / 3, 1, 1 / 3, 0.710310, 1)),
        ("100", (1.0,) * 3, 1, (1 / 3, 1, 1 / 3, 0.710310, 1 / 3)),
        ("01", (2.0, 1.0), 1, (0.5, 1, 0.5, 0.630930, 0.5)),
    ],
)
def test_the_values_of_the_reference_evaluator_come_out(text, scores, total, values):
    assert numbers(published(marks(text), scores, total)) == pytest.approx(values, abs=1e-6)


LISTS = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.integers(0, 3).map(float), min_size=n, max_size=n),
        st.integers(0, 4),
    )
)


@given(LISTS)
def test_expected_is_the_mean_over_every_order_of_ties(drawn):
    relevant, scores, unseen = drawn
    total = sum(relevant) + unseen
    assume(total > 0)
    orders = [sorted(order, key=lambda place: -scores[place]) for order in permutations(range(len(scores)))]
    falling = [float(-rank) for rank in range(len(scores))]
    plain = [numbers(slow(([relevant[place] for place in order]), total)) for order in orders]
    means = [fmean(column) for column in zip(*plain, strict=True)]
    assert numbers(expected(relevant, scores, total)) == pytest.approx(means)
    assert numbers(expected([relevant[p] for p in orders[0]], falling, total)) == pytest.approx(plain[0])


def slow(relevant, total):
    """The formulas word for word, for a list without ties."""
    from mmretrieval.evaluation.inquire import Values

    k = len(relevant)
    precisions = [sum(relevant[:rank]) / rank for rank in range(1, k + 1) if relevant[rank - 1]]
    gain = sum(1 / math.log2(rank + 1) for rank in range(1, k + 1) if relevant[rank - 1])
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(total, k) + 1))
    first = relevant.index(True) + 1 if any(relevant) else math.inf
    return Values(sum(relevant) / k, sum(relevant) / total, sum(precisions) / min(total, k), gain / ideal, 1 / first)


@given(LISTS)
def test_ours_keeps_the_order_of_the_list_among_equal_scores(drawn):
    relevant, scores, unseen = drawn
    total = sum(relevant) + unseen
    assume(total > 0)
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert numbers(ours(relevant, scores, total)) == pytest.approx(numbers(slow([relevant[p] for p in order], total)))


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 9))
def test_without_ties_the_three_rules_agree_with_each_other_and_with_our_measures(relevant, unseen):
    total, k = sum(relevant) + unseen, len(relevant)
    assume(total > 0)
    scores = [float(-rank) for rank in range(k)]
    values = [numbers(rule(relevant, scores, total)) for rule in BY_POLICY.values()]
    assert values[1] == pytest.approx(values[0])
    assert values[2] == pytest.approx(values[0])
    ranked = [f"i{rank}" for rank in range(k)]
    grades = {each: 1 for each, mark in zip(ranked, relevant, strict=True) if mark} | {
        f"x{n}": 1 for n in range(unseen)
    }
    for measure, value in zip(("P", "Recall", "APmin", "nDCG", "RR"), values[0], strict=True):
        assert parse_measure(f"{measure}@{k}")(ranked, grades) == pytest.approx(value)


@pytest.mark.parametrize("text", ["10000", "00100", "00001", "11100", "10101"])
def test_a_constant_scorer_stands_at_chance_whatever_the_order_of_the_list(text):
    found = text.count("1")
    values = expected(marks(text), [0.5] * 5, found)
    chance = (found - 1) / 4 + sum(1 / n for n in range(1, 6)) / 5 * (5 - found) / 4
    assert values.ap == pytest.approx(chance)
    assert values == expected(sorted(marks(text)), [0.5] * 5, found)
    assert published(marks(text), [0.5] * 5, found).ap == pytest.approx(found / 5)


def test_a_random_order_of_a_hundred_with_23_relevant_is_worth_what_the_formula_says():
    assert expected([True] * 23 + [False] * 77, [0.0] * 100, 23).ap == pytest.approx(0.2626, abs=5e-5)


@pytest.mark.parametrize("rule", BY_POLICY.values(), ids=BY_POLICY)
def test_what_has_no_value_is_refused(rule):
    with pytest.raises(InvalidData, match="leave it out, and count it"):
        rule([False], [1.0], 0)
    with pytest.raises(InvalidData, match="a score is not a number"):
        rule([True], [math.nan], 1)
    with pytest.raises(InvalidData, match="has no measure"):
        rule([], [], 1)
    assert numbers(rule([True], [1.0], 1)) == (1, 1, 1, 1, 1)
