"""Intervals and p-values: against scipy, against all flips, and where the answer is known."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.significance import interval, p_value


def drawn(n, shift, seed=3):
    return list(np.random.default_rng(seed).normal(shift, 1, n))


@pytest.mark.parametrize(("n", "shift"), [(40, 0.0), (40, 0.4), (200, 0.1)])
def test_the_interval_is_that_of_scipy_up_to_chance(n, shift):
    values = drawn(n, shift)
    ours = interval(values)
    theirs = stats.bootstrap((np.array(values),), np.mean, method="percentile", random_state=9).confidence_interval
    assert ours.mean == pytest.approx(np.mean(values))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.08 / n**0.5)


@pytest.mark.parametrize(("n", "shift"), [(30, 0.0), (30, 0.3), (150, 0.15)])
def test_the_p_value_is_that_of_scipy_up_to_chance(n, shift):
    values = np.array(drawn(n, shift))
    theirs = stats.permutation_test(
        (values, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples", random_state=9
    ).pvalue
    assert p_value(list(values)) == pytest.approx(theirs, abs=0.02)


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=9))
def test_with_few_queries_the_p_value_is_the_share_of_all_flips(differences):
    observed = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
            for signs in product((1, -1), repeat=len(differences))]  # fmt: skip
    assert p_value(differences) == pytest.approx(sum(value >= observed for value in sums) / len(sums))


def test_equal_systems_differ_by_nothing_and_one_that_always_wins_is_told():
    assert p_value([0.0] * 50) == 1
    assert p_value([0.1] * 10) == 2 / 2**10
    assert p_value([0.1] * 60) == pytest.approx(1 / 10_001)
    flat = interval([0.1] * 60)
    assert (flat.low, flat.mean, flat.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_same_values_give_the_same_answer_and_the_sides_can_be_swapped():
    values = drawn(80, 0.2)
    assert interval(values) == interval(values)
    assert p_value(values) == p_value(values)
    assert p_value([-value for value in values]) == pytest.approx(p_value(values), abs=0.02)


def test_about_one_in_twenty_of_equal_systems_looks_different():
    random = np.random.default_rng(5)
    small = sum(p_value(list(random.normal(0, 1, 30)), resamples=400) <= 0.05 for _ in range(400))
    assert 8 <= small <= 34


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says():
    random = np.random.default_rng(6)
    intervals = [interval(list(random.normal(1, 1, 40)), resamples=400) for _ in range(300)]
    assert 270 <= sum(each.low <= 1 <= each.high for each in intervals) <= 297


def test_more_draws_than_fit_at_once_are_taken_in_parts():
    values = drawn(5000, 0.1)
    whole = interval(values, resamples=900)
    assert whole.low < whole.mean < whole.high
    assert p_value(values, resamples=900) == pytest.approx(1 / 901)


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), 1.0]], ids=str)
def test_what_cannot_be_compared_is_refused(values):
    for test in (interval, p_value):
        with pytest.raises(InvalidData):
            test(values)
