"""Candidates shown in several orders: who is asked what, in which rounds, and what comes of the answers."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.asks import Generate, Text
from mmretrieval.errors import UsageError
from mmretrieval.rerankers._orders import Note, Pass, checked_orders, in_orders, shown_orders, together


def run(flow, answer):
    """Drive a flow by hand: its value, and the words of the asks, round by round."""
    rounds, replies = [], None
    try:
        while True:
            asks = next(flow) if replies is None else flow.send(replies)
            rounds.append([ask.parts[0] for ask in asks])
            replies = [Text(answer(ask.parts[0])) for ask in asks]
    except StopIteration as end:
        return end.value, rounds


def counting(name, rounds):
    """Asks once a round, and returns what it heard."""
    heard = []
    for number in range(rounds):
        replies = yield [Generate((f"{name}{number}{which}",)) for which in range(number + 1)]
        heard += [reply.text for reply in replies]
    return heard


@given(st.lists(st.integers(0, 4), max_size=6))
def test_flows_together_hear_what_each_would_hear_alone_in_as_many_rounds_as_the_longest(lengths):
    flows = [counting(chr(97 + at), length) for at, length in enumerate(lengths)]
    heard, rounds = run(together(flows), str.upper)
    alone = [run(counting(chr(97 + at), length), str.upper)[0] for at, length in enumerate(lengths)]
    assert heard == alone
    assert len(rounds) == max(lengths, default=0)


def test_an_error_in_one_of_the_flows_is_not_hidden():
    def failing():
        yield [Generate(("x",))]
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run(together([counting("a", 3), failing()]), str)


@given(st.integers(0, 30), st.integers(1, 6))
def test_every_showing_holds_every_candidate_once_and_is_always_the_same(count, orders):
    shown = shown_orders(count, orders)
    assert shown == shown_orders(count, orders)
    assert [sorted(each) for each in shown] == [list(range(count))] * orders
    assert shown[0] == list(range(count))
    assert orders < 2 or shown[1] == list(range(count))[::-1]


def test_further_showings_are_not_the_first_two_again():
    shown = shown_orders(12, 5)
    assert len({tuple(each) for each in shown}) == 5


def saying(values_of, notes_of=lambda shown: {}):
    def look(shown):
        yield [Generate((str(shown[0]),))]
        return Pass(values_of(shown), {"ok": 1}, notes_of(shown))

    return look


VALUES = st.lists(st.integers(-9, 9) | st.none(), min_size=1, max_size=6)


@given(st.lists(VALUES, min_size=1, max_size=4).filter(lambda rows: len({len(row) for row in rows}) == 1))
def test_values_are_the_mean_of_what_the_passes_say(rows):
    count, told = len(rows[0]), iter(rows)
    joined, rounds = run(in_orders(count, len(rows), saying(lambda shown: next(told))), str)
    for place in range(count):
        known = [row[place] for row in rows if row[place] is not None]
        assert joined.values[place] == (pytest.approx(sum(known) / len(known)) if known else None)
    assert joined.parsed == Counter(ok=len(rows))
    assert len(rounds) == 1


def test_one_order_alone_says_nothing_of_flips():
    joined, _ = run(in_orders(3, 1, saying(lambda shown: [3.0, 2.0, 1.0])), str)
    assert joined.flips is None


@given(st.lists(st.permutations(range(5)), min_size=3, max_size=3))
def test_flips_are_the_share_of_pairs_that_two_passes_see_otherwise(values):
    told = iter([[float(each) for each in row] for row in values])
    joined, _ = run(in_orders(5, 3, saying(lambda shown: next(told))), str)
    pairs = list(combinations(range(5), 2))
    otherwise = [
        sum((one[a] < one[b]) != (other[a] < other[b]) for a, b in pairs) / len(pairs)
        for one, other in combinations(values, 2)
    ]
    assert joined.flips == pytest.approx(sum(otherwise) / 3)


def test_flips_are_counted_over_what_all_who_spoke_spoke_of():
    told = iter([[1.0, 2.0, 3.0, None], [None] * 4, [3.0, 2.0, None, 1.0]])
    joined, _ = run(in_orders(4, 3, saying(lambda shown: next(told))), str)
    assert joined.flips == 1.0  # of the places 0 and 1
    told = iter([[1.0, None], [None, 2.0]])
    joined, _ = run(in_orders(2, 2, saying(lambda shown: next(told))), str)
    assert joined.flips is None


def test_a_liking_for_what_is_shown_first_cancels_out_and_shows_as_flips():
    def first_is_best(shown):
        values = [0.0] * len(shown)
        for rank, place in enumerate(shown):
            values[place] = float(len(shown) - rank)
        return values

    joined, _ = run(in_orders(4, 2, saying(first_is_best)), str)
    assert len(set(joined.values)) == 1
    assert joined.flips == 1.0


def test_of_notes_on_a_place_the_first_showing_counts():
    notes = iter([{0: Note("early")}, {0: Note("late"), 1: Note("only")}])
    joined, _ = run(in_orders(2, 2, saying(lambda shown: [1.0, 2.0], lambda shown: next(notes))), str)
    assert {place: note.why for place, note in joined.notes.items()} == {0: "early", 1: "only"}


@pytest.mark.parametrize("orders", [0, -1, 21])
def test_a_senseless_number_of_orders_is_refused(orders):
    with pytest.raises(UsageError, match="'grid' shows"):
        checked_orders("grid", orders)
