"""Rank correlation against a slow twin that compares pairs of pairs by hand, and against worked cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.correlation import crossed, spearman, spearman_interval

few = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12)


def slow_ranks(values):
    """1 plus those below plus half of the other equal ones."""
    return [1 + sum(v < w for v in values) + (sum(v == w for v in values) - 1) / 2 for w in values]


@given(few)
def test_spearman_is_pearson_of_the_mean_ranks(pairs):
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(one)) == 1 or len(set(other)) == 1:
        with pytest.raises(InvalidData, match="all equal"):
            spearman(one, other)
        return
    expected = np.corrcoef(slow_ranks(one), slow_ranks(other))[0, 1]
    assert spearman(one, other) == pytest.approx(expected, abs=1e-12)


@given(few)
def test_spearman_depends_on_the_order_alone(pairs):
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    if len(set(one)) > 1 and len(set(other)) > 1:
        assert spearman([a**3 - 7 for a in one], other) == spearman(one, other)
        assert spearman([-a for a in one], other) == pytest.approx(-spearman(one, other), abs=1e-12)


def test_worked_cases():
    assert spearman([1, 2, 3], [10, 20, 30]) == 1.0
    assert spearman([1, 2, 3], [3, 2, 1]) == -1.0
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))


@pytest.mark.parametrize("wrong", [([1.0], [1.0]), ([1, 2], [1]), ([1, float("nan")], [1, 2])])
def test_what_has_no_correlation_is_refused(wrong):
    with pytest.raises(InvalidData):
        spearman(*wrong)


def test_each_left_side_gives_one_pair_to_a_draw():
    """One side has a hundred pairs that all run against the rest; drawn one at a time, they cannot outvote it."""
    left = [f"q{n}" for n in range(60)] + ["many"] * 100
    marks = [*range(60), *range(100)]
    scores = [*range(60), *range(1000, 900, -1)]
    assert crossed(left, marks, scores, draws=50).mean > 0.8
    assert spearman(marks, scores) < 0.5


def test_the_draws_are_the_same_on_every_run_and_spread_about_the_mean():
    random = np.random.default_rng(3)
    left = [f"q{n % 40}" for n in range(120)]
    marks = random.random(120).tolist()
    scores = (np.asarray(marks) + random.normal(0, 0.4, 120)).tolist()
    once, again = crossed(left, marks, scores, draws=80), crossed(left, marks, scores, draws=80)
    assert once == again
    assert abs(once.mean - spearman(marks, scores)) < 0.15
    assert 0 < once.deviation < 0.4


def test_the_interval_is_that_of_correlations_over_pairs_drawn_again():
    random = np.random.default_rng(5)
    marks, scores = random.random(30), random.random(30)
    scores[:15] += marks[:15]
    again = np.random.default_rng(0)
    drawn = [again.integers(0, 30, 30) for _ in range(200)]
    values = [spearman(marks[each].tolist(), scores[each].tolist()) for each in drawn]
    found = spearman_interval(marks.tolist(), scores.tolist(), resamples=200)
    assert found == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert found[0] < spearman(marks.tolist(), scores.tolist()) < found[1]


def test_draws_without_order_are_left_out_and_without_any_other_it_is_said():
    low, high = spearman_interval([1, 2], [3, 4])
    assert low == pytest.approx(1)
    assert high == pytest.approx(1)
    with pytest.raises(InvalidData, match="no draw from these 3 pairs"):
        crossed(["a", "b", "c"], [1, 1, 1], [1, 2, 3])
