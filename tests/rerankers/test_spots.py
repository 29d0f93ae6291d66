"""Several sheets, one order: what no sheet moves stays, and who wins the last sheet stands first."""

import random

from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.ordering import best_first
from mmretrieval.rerankers._spots import dealt_out, on_own_spots
from mmretrieval.windows import aligned, grouped

SIZES = st.tuples(st.integers(2, 60), st.integers(3, 16))


@given(SIZES)
def test_sheets_that_leave_their_candidates_leave_the_list(size):
    count, cells = size
    places = list(range(count))
    told = [on_own_spots({place: -float(place) for place in group}, places) for group in grouped(count, cells)]
    values = aligned(told)
    assert best_first([values[place] for place in places]) == places


@given(SIZES, st.randoms(use_true_random=False))
def test_a_sheet_deals_its_own_spots_in_its_own_order(size, rng: random.Random):
    count, cells = size
    places = rng.sample(range(count), count)
    group = rng.sample(places, min(cells, count))
    values = dict(zip(group, rng.sample(range(1000), len(group)), strict=True))
    told = on_own_spots(values, places)
    assert sorted(told.values()) == sorted(-float(places.index(place)) for place in group)
    assert sorted(group, key=lambda place: -told[place]) == sorted(group, key=lambda place: -values[place])


@given(st.dictionaries(st.integers(0, 30), st.floats(-50, 50), min_size=1), st.data())
def test_the_winner_stands_first_and_the_others_share_the_values_they_had(values, data):
    order = data.draw(st.permutations(data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, unique=True))))
    after = values | dealt_out(order, values)
    assert all(after[order[0]] >= value for value in after.values())
    assert all(after[order[0]] > after[place] for place in after if place not in order)
    assert [after[place] for place in order] == sorted((after[place] for place in order), reverse=True)
    assert sorted(after[place] for place in order[1:]) == sorted(values[place] for place in order)[:-1]
