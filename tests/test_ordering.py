"""Orders joined and compared, against slow twins and what is known of them."""

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.ordering import (
    agreement,
    best_first,
    borda,
    bradley_terry,
    flips,
    inversions,
    kemeny,
    kendall_tau,
    reciprocal_ranks,
    z_scores,
)

ORDER = st.integers(0, 9).flatmap(lambda n: st.permutations(range(n)))
ORDERS = st.integers(0, 7).flatmap(lambda n: st.lists(st.permutations(range(n)), min_size=1, max_size=5))


def disagreements(one, other):
    """Pairs that two orders see otherwise, counted one by one."""
    pairs = itertools.combinations(range(len(one)), 2)
    return sum((one.index(a) < one.index(b)) != (other.index(a) < other.index(b)) for a, b in pairs)


@given(ORDER)
def test_inversions_are_the_pairs_that_stand_the_other_way_round(order):
    assert inversions(order) == sum(a > b for a, b in itertools.combinations(order, 2))


def test_tau_goes_from_the_same_order_to_the_reverse():
    assert kendall_tau(range(20)) == 1
    assert kendall_tau(range(19, -1, -1)) == -1
    assert kendall_tau([0, 1, 3, 2]) == pytest.approx(2 / 3)
    assert kendall_tau([]) == kendall_tau([0]) == 1


@given(ORDERS)
def test_agreement_and_flips_count_the_same_pairs(orders):
    one, other = orders[0], orders[-1]
    pairs = len(one) * (len(one) - 1) / 2
    apart = disagreements(one, other) / pairs if pairs else 0
    assert agreement(one, other) == pytest.approx(1 - 2 * apart)
    assert agreement(one, other) == pytest.approx(agreement(other, one))
    assert flips([one, other]) == pytest.approx(apart)
    assert flips([one]) is None


@given(st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), max_size=12))
def test_z_scores_have_mean_zero_and_deviation_one_or_are_all_zero(values):
    scores = z_scores(values)
    assert len(scores) == len(values)
    if any(scores):
        assert statistics.fmean(scores) == pytest.approx(0, abs=1e-6)
        assert statistics.pstdev(scores) == pytest.approx(1, rel=1e-6)
        assert best_first(scores) == best_first(values)
    else:
        assert not values or max(values) - min(values) <= 1e-6


def test_equal_numbers_have_no_z_scores_however_large_they_are():
    assert z_scores([0.1 + 0.2, 0.3, 0.3]) == [0, 0, 0]
    assert z_scores([1e9, 1e9 + 1e-4]) == [0, 0]
    assert z_scores([]) == []


@given(ORDERS, st.sampled_from([borda, reciprocal_ranks, kemeny]))
def test_orders_are_joined_to_an_order_and_one_alone_stays(orders, join):
    assert sorted(join(orders)) == list(range(len(orders[0])))
    assert join(orders[:1]) == orders[0]
    assert join([orders[0]] * 3) == orders[0]


@given(ORDERS)
def test_borda_sorts_by_the_mean_rank(orders):
    means = {place: statistics.fmean([order.index(place) for order in orders]) for place in orders[0]}
    assert borda(orders) == sorted(means, key=lambda place: (round(means[place], 9), place))


@given(ORDERS)
def test_no_swap_of_neighbours_makes_kemenys_order_better_and_none_starts_worse_than_borda(orders):
    def cost(order):
        return sum(disagreements(order, each) for each in orders)

    found = kemeny(orders)
    assert cost(found) <= cost(borda(orders))
    for at in range(len(found) - 1):
        swapped = [*found[:at], found[at + 1], found[at], *found[at + 2 :]]
        assert cost(swapped) >= cost(found)


def test_reciprocal_ranks_lift_what_one_order_has_on_top():
    orders = [[0, 1, 2, 3, 4], [1, 2, 3, 4, 0], [1, 2, 3, 4, 0]]
    assert reciprocal_ranks(orders, k=1)[0] == 1
    scores = {0: 1 / 2 + 2 / 6, 1: 1 / 3 + 2 / 2, 2: 1 / 4 + 2 / 3, 3: 1 / 5 + 2 / 4, 4: 1 / 6 + 2 / 5}
    assert reciprocal_ranks(orders, k=1) == sorted(scores, key=lambda place: -scores[place])


def test_orders_of_different_things_are_not_joined():
    with pytest.raises(ValueError, match="the same places once"):
        borda([[0, 1], [0, 1, 2]])
    with pytest.raises(ValueError, match="the same places once"):
        kemeny([[0, 1, 1]])
    assert borda([]) == kemeny([]) == []


def test_bradley_terry_finds_the_strengths_that_made_the_wins():
    strengths = [1.2, 0.5, 0.0, -0.6, -1.1]
    rng, wins = random.Random(5), {}
    for one, other in itertools.combinations(range(5), 2):
        for _ in range(4000):
            first = rng.random() < 1 / (1 + math.exp(strengths[other] - strengths[one]))
            pair = (one, other) if first else (other, one)
            wins[pair] = wins.get(pair, 0) + 1
    assert bradley_terry(5, wins) == pytest.approx(strengths, abs=0.1)


def test_bradley_terry_does_not_reward_being_compared_more_often():
    wins = {(0, 1): 2, (1, 2): 2, (1, 3): 2, (2, 3): 2, (1, 4): 2}  # 1 won most, and lost to 0 alone
    strengths = bradley_terry(5, wins)
    assert best_first(strengths)[0] == 0
    assert sum(strengths) == pytest.approx(0, abs=1e-9)
    assert all(math.isfinite(each) for each in strengths)


def test_bradley_terry_without_comparisons_knows_nothing():
    assert bradley_terry(3, {}) == [0, 0, 0]
    assert bradley_terry(0, {}) == []
    assert bradley_terry(3, {(0, 1): 1})[2] == 0
