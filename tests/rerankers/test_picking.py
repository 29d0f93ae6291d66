"""first_token, setwise and groupwise: models with favourites, by label or by place, and what takes them out."""

import json
import math
import random

import pytest
from example_stages import Scripted
from hypothesis import given
from hypothesis import strategies as st
from looking_models import ordering, seen
from ranked_runs import run, shuffled

from mmretrieval import registry
from mmretrieval.asks import ChoiceScores, Failed, Generate, ScoreChoices, Text, fitted
from mmretrieval.errors import UsageError
from mmretrieval.prompts import NOTHING_SAID
from mmretrieval.rerankers._picking import log_probs
from mmretrieval.rerankers._sureness import sure_share_of_looks
from mmretrieval.rerankers.setwise import most_looks
from mmretrieval.types import Query
from mmretrieval.windows import sliding, top_by_heap


def reranker(name, **settings):
    return registry.load("rerankers", name)(**{"depth": 200, "alpha": 1.0, **settings})


def asked(mllm):
    return [ask for asks in mllm.calls for ask in asks]


def is_null(ask):
    return any(isinstance(part, str) and f'"{NOTHING_SAID}"' in part for part in ask.parts)


def favouring(*, labels, weight=1.0):
    """Adds to every label a number of its own, whatever stands behind it and whatever is asked."""

    def reply(ask):
        numbers = seen(ask)
        worth = [0.0 if is_null(ask) else weight * number for number in numbers]
        return ChoiceScores(tuple(w + labels[at] for at, w in enumerate(worth)))

    return Scripted(reply)


FAVOURITES = [9.0, -3.0, 4.0, 0.5, -8.0, 2.5, 7.0, -1.0, 3.0, -6.0, 1.0, 5.0]


# first_token


@pytest.mark.parametrize("correct", ["null", "rotate", "none"])
@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 20, 47, 120])
def test_first_token_finds_the_best_of_any_number_in_as_many_calls_as_it_says(count, correct):
    stage = reranker("first_token", correct=correct)
    mllm = favouring(labels=[0.0] * 10)
    ranking, numbers = run(stage, mllm, count, order=shuffled(count))
    assert numbers[0] == count - 1
    assert ranking.steps[-1].calls == stage.calls(count)
    spans = sliding(count, 10, 5)
    assert ranking.steps[-1].calls == sum({"null": 2, "none": 1}.get(correct, min(3, b - a)) for a, b in spans)
    if count <= 10:
        assert numbers == sorted(range(count), reverse=True)


def test_a_favourite_label_wins_unless_it_is_corrected():
    order = shuffled(10)
    biased = favouring(labels=FAVOURITES)
    assert run(reranker("first_token", correct="none"), biased, 10, order=order)[1] != sorted(order, reverse=True)
    assert run(reranker("first_token", correct="null"), biased, 10, order=order)[1] == sorted(order, reverse=True)
    turned = reranker("first_token", correct="rotate", rotations=10)
    assert run(turned, biased, 10, order=order)[1] == sorted(order, reverse=True)


def test_the_corrected_log_probability_is_the_difference_to_that_of_a_query_without_content():
    biased = favouring(labels=FAVOURITES, weight=0.25)
    ranking, _ = run(reranker("first_token"), biased, 5)
    assert [hit.score for hit in ranking.hits] == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])
    assert ranking.hits[0].details["log_prob"] == 1.0


def test_large_models_choose_among_letters_behind_a_bracket_and_small_ones_among_numbers():
    large, small = ordering(float), ordering(float)
    small.compact = True
    run(reranker("first_token", window=12), large, 12)
    run(reranker("first_token", window=12, correct="none"), small, 12)
    assert {(ask.choices, ask.prefill) for ask in asked(large)} == {(tuple("ABCDEFGHIJKL"), "[")}
    assert [ask.choices for ask in asked(small)] == [tuple("123456789")] * 2
    assert {ask.prefill for ask in asked(small)} == {""}
    assert asked(small)[0].parts[-1].startswith("which picture shows ")


def test_a_short_form_is_asked_without_the_prefill_of_the_full_one():
    small = ordering(float)
    small.compact = True
    ask = ScoreChoices(("long",), ("1", "2"), prefill="[", compact=("short",))
    assert fitted(ask, small) == ScoreChoices(("short",), ("1", "2"))
    small.compact = False
    assert fitted(ask, small) == ScoreChoices(("long",), ("1", "2"), prefill="[")


def test_a_small_model_that_goes_by_labels_alone_moves_nothing():
    """It prefers the last label: one look would turn the list round, rotations show that it sees nothing."""
    blind = Scripted(lambda ask: ChoiceScores(tuple(float(at) for at in range(len(ask.choices)))), compact=True)
    ranking, numbers = run(reranker("first_token", alpha=0.5), blind, 6, order=shuffled(6))
    step = ranking.steps[-1]
    assert numbers == shuffled(6)
    assert step.calls == 3
    assert step.flips > 0.5
    assert "turned the answer round" in step.note
    believed, _ = run(reranker("first_token", alpha=0.7, correct="none"), blind, 6, order=shuffled(6))
    assert believed.steps[-1].calls == 1
    assert believed.steps[-1].tau < 0


def test_a_window_without_an_answer_keeps_its_order():
    ranking, numbers = run(reranker("first_token"), Scripted(lambda ask: Failed("gone")), 6, order=shuffled(6))
    assert numbers == shuffled(6)
    assert ranking.steps[-1].status == "fallback"


@pytest.mark.parametrize(
    ("logs", "read"),
    [
        ((-1.0, -math.inf, -2.0), [-1.0, -3.0, -2.0]),
        ((math.nan, 0.0), None),
        ((math.inf, 0.0), None),
        ((-math.inf, -math.inf), None),
    ],
)
def test_an_impossible_label_stands_last_and_senseless_numbers_say_nothing(logs, read):
    assert log_probs(ChoiceScores(logs)) == read


# setwise


@pytest.mark.parametrize("settings", [{}, {"size": 2, "top": 1}, {"size": 9, "top": 10}, {"top": 120}])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 33, 120])
def test_setwise_brings_the_best_to_the_top_and_leaves_the_others(count, settings):
    stage = reranker("setwise", **settings)
    order = shuffled(count)
    ranking, numbers = run(stage, ordering(float), count, order=order)
    top = min(stage.top, count)
    assert numbers[:top] == sorted(order, reverse=True)[:top]
    assert numbers[top:] == [number for number in order if number < count - top]
    assert ranking.steps[-1].calls <= stage.calls(count)


@given(st.integers(0, 60), st.integers(1, 12), st.integers(1, 8), st.integers(0, 10**6))
def test_no_pick_whatsoever_looks_at_more_sets_than_foretold(count, top, children, seed):
    rng = random.Random(seed)
    heap = top_by_heap(count, top, children)
    looks, picked = 0, None
    while True:
        try:
            places = next(heap) if picked is None else heap.send(picked)
        except StopIteration:
            break
        looks, picked = looks + 1, rng.choice(places)
    assert looks <= most_looks(count, top, children)


def test_a_model_that_prefers_the_first_moves_nothing_and_both_ways_it_is_heard():
    def first_of(ask):
        numbers = seen(ask)
        return ChoiceScores(tuple(100.0 * (at == 0) + number for at, number in enumerate(numbers)))

    order = shuffled(4)
    assert run(reranker("setwise", top=1), Scripted(first_of), 4, order=order)[1] == order
    both = run(reranker("setwise", top=1, both_ways=True, size=2), Scripted(first_of), 2, order=[0, 1])
    assert both[1] == [1, 0]


def test_setwise_keeps_the_order_where_the_model_says_nothing():
    ranking, numbers = run(reranker("setwise"), Scripted(lambda ask: Failed("gone")), 9, order=shuffled(9))
    assert numbers == shuffled(9)
    assert ranking.steps[-1].status == "fallback"


# groupwise


def grading(worth, *, leaves_out=(), harsh=False):
    """Grades all it sees, but those it leaves out the first time; a harsh one gives each group a scale of its own."""
    told = set()

    def reply(ask):
        numbers = seen(ask)
        if isinstance(ask, ScoreChoices):
            top = max(worth(number) for number in numbers)
            return ChoiceScores(tuple(worth(number) - top for number in numbers))
        scale, shift = (0.7, sum(numbers) % 3) if harsh and sum(numbers) % 2 else (1.0, 0.0)
        missing = {number for number in numbers if number in leaves_out and number not in told}
        told.update(missing)
        grades = {
            str(at): scale * worth(number) + shift
            for at, number in enumerate(numbers, start=1)
            if number not in missing
        }
        return Text(json.dumps({"grades": grades}))

    return Scripted(reply)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 20, 61, 120])
def test_groupwise_orders_by_grade_with_one_ask_a_group(count):
    stage = reranker("groupwise")
    ranking, numbers = run(stage, grading(lambda number: number / 12), count, order=shuffled(count))
    assert numbers == sorted(range(count), reverse=True)
    assert ranking.steps[-1].calls == (1 if count <= 8 else math.ceil((count - 2) / 6)) == stage.calls(count) // 2
    assert ranking.steps[-1].parsed == {"ok": ranking.steps[-1].calls}
    assert ranking.hits[0].details["grade"] == pytest.approx((count - 1) / 12, abs=1e-3)


def test_groups_that_are_graded_on_scales_of_their_own_are_brought_to_one():
    mllm = grading(lambda number: number / 4, harsh=True)
    _, numbers = run(reranker("groupwise"), mllm, 30, order=shuffled(30))
    assert numbers == sorted(range(30), reverse=True)


def test_what_an_answer_leaves_out_is_asked_for_once_more():
    mllm = grading(lambda number: number / 4, leaves_out={3, 5})
    ranking, numbers = run(reranker("groupwise"), mllm, 8)
    assert numbers == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [len(asks) for asks in mllm.calls] == [1, 1]
    assert sorted(seen(mllm.calls[1][0])) == [0, 1, 3, 5]
    assert ranking.steps[-1].parsed == {"partial": 1, "ok": 1}


@pytest.mark.parametrize("text", ["I cannot help with that.", "", "Error 429: too many requests, retry in 30 s", "[]"])
def test_an_answer_without_grades_keeps_the_order_and_is_not_asked_for_again(text):
    mllm = Scripted(lambda ask: Text(text))
    ranking, numbers = run(reranker("groupwise"), mllm, 7, order=shuffled(7))
    assert numbers == shuffled(7)
    assert (ranking.steps[-1].parsed, ranking.steps[-1].status) == ({"failed": 1}, "fallback")
    assert len(asked(mllm)) == 1


def test_a_small_model_names_the_best_of_each_group_and_the_anchors_join_them():
    mllm = grading(lambda number: 0.5 * number)
    mllm.compact = True
    _, numbers = run(reranker("groupwise"), mllm, 26, order=shuffled(26))
    assert numbers == sorted(range(26), reverse=True)
    assert {type(ask) for ask in asked(mllm)} == {ScoreChoices}
    assert all(len(seen(ask)) <= 9 for ask in asked(mllm))


def test_groups_dealt_out_again_bring_the_mean():
    mllm = grading(lambda number: number / 4)
    ranking, numbers = run(reranker("groupwise", repeats=3, group=5), mllm, 20)
    assert numbers == sorted(range(20), reverse=True)
    assert ranking.steps[-1].calls == 3 * math.ceil(18 / 3)
    assert {type(ask) for ask in asked(mllm)} == {Generate}


@pytest.mark.parametrize("name", ["first_token", "setwise", "groupwise"])
def test_a_model_without_a_favourite_leaves_the_order(name):
    mllm = grading(lambda number: 5.0)
    _, numbers = run(reranker(name, alpha=0.5), mllm, 11, order=shuffled(11))
    assert numbers == shuffled(11)


def shares_of(ranking, name):
    """By how much the model, and the order before, part the first hit from the last."""
    return tuple(ranking.hits[0].scores[key] - ranking.hits[-1].scores[key] for key in (name, "before"))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("first_token", {"correct": "none"}),
        ("setwise", {"size": 9, "top": 1}),
        ("setwise", {"size": 9, "top": 1, "both_ways": True}),
        ("groupwise", {"read": "choice", "group": 9}),
        ("groupwise", {"group": 9}),
    ],
)
def test_a_model_has_the_less_say_the_less_it_tells_the_pictures_apart(name, settings):
    def said(scale):
        mllm = grading(lambda number: 5 + scale * (number - 4))
        return shares_of(run(reranker(name, alpha=0.5, **settings), mllm, 9, order=range(8, -1, -1))[0], name)

    deviation = math.sqrt(20 / 3)  # of 0 to 8
    full, older = said(1.0)
    assert full == pytest.approx(older) == pytest.approx(0.5 * 8 / deviation)
    for sureness in (0.2, 0.5, 0.9):
        mine, before = said(sureness / deviation)
        assert mine == pytest.approx(sureness * full)
        assert before == pytest.approx((2 - sureness) * older)


def test_several_looks_count_by_their_mean_and_those_without_an_answer_do_not():
    assert sure_share_of_looks(0.5, [[0.0, 1.0], [3.0, 3.2]]) == pytest.approx(0.5 * (0.5 + 0.1) / 2)
    assert sure_share_of_looks(0.5, [[0.0, 8.0], [3.0]]) == sure_share_of_looks(0.5, []) == 0.5
    assert sure_share_of_looks(1.0, [[0.0, 0.1]]) == 1.0  # as published


@pytest.mark.parametrize("name", ["first_token", "setwise", "groupwise"])
def test_the_reference_stands_before_all_candidates(name):
    mllm = grading(float)
    run(reranker(name), mllm, 3, query=Query("q", text="with rice instead", image_id="img2"))
    first = asked(mllm)[0].parts
    assert first[0] == "reference picture:"
    assert first[1].getpixel((0, 0))[0] == 2
    assert any(isinstance(part, str) and "with rice instead" in part for part in first)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("first_token", {"window": 1}), ("first_token", {"window": 99}), ("first_token", {"correct": "maybe"}),
        ("first_token", {"rotations": 1}), ("setwise", {"size": 1}), ("setwise", {"size": 10}), ("setwise", {"top": 0}),
        ("groupwise", {"group": 1}), ("groupwise", {"anchors": 3}), ("groupwise", {"group": 2}),
        ("groupwise", {"repeats": 0}), ("groupwise", {"read": "tea leaves"}),
        ("groupwise", {"read": "choice", "group": 12}),
    ],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(name, wrong):
    with pytest.raises(UsageError):
        reranker(name, **wrong)
