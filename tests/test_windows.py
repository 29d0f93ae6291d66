"""Schedules with an oracle: the best comes to the top for every size, in as many looks as the table says."""

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.windows import aligned, grouped, sliding, top_by_heap


def slide(values, window, stride):
    """One pass with an oracle over things of these values."""
    order = list(range(len(values)))
    spans = sliding(len(values), window, stride)
    for start, end in spans:
        order[start:end] = sorted(order[start:end], key=lambda place: -values[place])
    return order, len(spans)


def pick(values, top, children):
    schedule, looks, choice = top_by_heap(len(values), top, children), [], None
    while True:
        try:
            looks.append(schedule.send(choice))
        except StopIteration as end:
            return end.value, looks
        choice = max(looks[-1], key=lambda place: values[place])


def shuffled(count, seed=0):
    values = list(range(count))
    random.Random(seed).shuffle(values)
    return values


def calls(count, window, stride):
    return 0 if count < 2 else 1 + max(0, math.ceil((count - window) / stride))


@pytest.mark.parametrize(("window", "stride"), [(2, 1), (4, 2), (20, 10), (9, 8), (9, 1)])
def test_one_pass_gets_as_many_right_as_windows_overlap_in_the_looks_of_the_table(window, stride):
    for count in range(121):
        values = shuffled(count, count)
        order, looks = slide(values, window, stride)
        top = min(count, window - stride)
        assert order[:top] == sorted(range(count), key=lambda place: -values[place])[:top]
        assert sorted(order) == list(range(count))
        assert looks == calls(count, window, stride)


def test_a_hundred_candidates_take_nine_windows_of_twenty():
    assert len(sliding(100, 20, 10)) == 9
    assert sliding(25, 20, 10) == [(5, 25), (0, 20)]
    assert sliding(7, 20, 10) == [(0, 7)]
    assert sliding(1, 20, 10) == sliding(0, 20, 10) == []


@pytest.mark.parametrize(("window", "stride"), [(4, 0), (4, 4), (4, 5), (1, 1), (4, -1)])
def test_windows_that_carry_nothing_upward_are_refused(window, stride):
    with pytest.raises(UsageError, match="a stride goes from 1 to the window less one"):
        sliding(10, window, stride)


@pytest.mark.parametrize("children", [1, 2, 3, 8, 19])
def test_the_heap_finds_the_best_for_every_size_and_keeps_the_others_in_order(children):
    for count in range(0, 121, 1 if children == 19 else 7):
        values = shuffled(count, count)
        for top in (1, 3, 10):
            order, looks = pick(values, top, children)
            best = sorted(range(count), key=lambda place: -values[place])[:top]
            assert order == [*best, *(place for place in range(count) if place not in best)]
            assert all(2 <= len(look) <= children + 1 and len(set(look)) == len(look) for look in looks)


@pytest.mark.parametrize(
    ("count", "top", "children", "mean"),
    [(20, 10, 19, 10.0), (20, 1, 19, 1.0), (50, 10, 19, 18.4), (50, 1, 19, 3.6), (100, 10, 19, 23.4), (100, 1, 19, 6.8),
     (20, 10, 9, 17.0), (50, 10, 9, 23.7), (100, 10, 9, 31.4)],
)  # fmt: skip
def test_the_heap_looks_as_often_as_was_measured(count, top, children, mean):
    looks = [len(pick(shuffled(count, seed), top, children)[1]) for seed in range(300)]
    assert sum(looks) / len(looks) == pytest.approx(mean, abs=0.35)


def test_a_heap_that_is_told_nonsense_leaves_all_as_it_was():
    def told_nonsense():
        schedule, answer = top_by_heap(30, 5, 4), None
        try:
            while True:
                schedule.send(answer)
                answer = 999
        except StopIteration as end:
            return end.value

    assert told_nonsense() == list(range(30))


def test_a_set_of_one_is_refused():
    with pytest.raises(UsageError, match="a set of 1"):
        next(top_by_heap(5, 2, 0))


@given(st.integers(0, 120), st.integers(3, 20), st.integers(0, 2), st.integers(0, 5))
def test_groups_cover_all_places_and_share_their_anchors_alone(count, size, anchors, seed):
    groups = grouped(count, size, anchors, seed)
    assert set(itertools.chain(*groups)) == set(range(count))
    assert all(group == sorted(set(group)) and len(group) <= size for group in groups)
    if count > size:
        assert len(groups) == math.ceil((count - anchors) / (size - anchors))
        assert sum(len(group) for group in groups) == count + anchors * (len(groups) - 1)
        shared = set.intersection(*map(set, groups)) if len(groups) > 1 else set()
        assert shared == {0, count // 2} - ({count // 2} if anchors < 2 else set()) - ({0} if not anchors else set())
    else:
        assert len(groups) == bool(count)
    assert groups == grouped(count, size, anchors, seed)


def test_a_hundred_candidates_take_thirteen_groups_of_ten_with_two_anchors():
    assert len(grouped(100, 10, 2)) == 13


def test_groups_without_room_beside_their_anchors_are_refused():
    with pytest.raises(UsageError, match="more room than that"):
        grouped(10, 2, 2)
    with pytest.raises(UsageError, match="more room than that"):
        grouped(10, 5, 3)


def test_groups_that_were_graded_on_other_scales_are_brought_together():
    truth = {place: float(place % 7 + place / 10) for place in range(40)}
    scales = [(1.0, 0.0), (0.8, 2.0), (1.3, -1.0), (1.1, 0.5), (0.9, 1.0)]
    groups = grouped(40, 10, 2, seed=3)
    graded = [
        {place: scale * truth[place] + shift for place in group}
        for group, (scale, shift) in zip(groups, scales, strict=True)
    ]
    found = aligned(graded)
    assert sorted(found, key=found.get) == sorted(truth, key=truth.get)
    raw = {place: grade for group in graded for place, grade in group.items()}
    assert sorted(raw, key=raw.get) != sorted(truth, key=truth.get)


def test_a_group_whose_anchors_are_alike_is_only_shifted():
    found = aligned([{0: 4.0, 1: 4.0, 2: 9.0}, {0: 6.0, 1: 6.0, 3: 7.0}])
    assert found == {0: 5.0, 1: 5.0, 2: 10.0, 3: 6.0}


def test_no_group_is_stretched_more_than_twice_or_turned_round():
    turned = aligned([{0: 1.0, 1: 9.0, 2: 5.0}, {0: 9.0, 1: 8.0, 3: 5.0, 4: 3.0}])
    assert turned[3] - turned[4] == pytest.approx(1.0)  # half of what it was, not less and not the other way


def test_groups_without_shared_places_stay_as_they_are_and_what_nobody_graded_is_missing():
    assert aligned([{0: 1.0}, {1: 5.0}, {}]) == {0: 1.0, 1: 5.0}
    assert aligned([]) == {}
