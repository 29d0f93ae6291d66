"""Candidates judged one by one, by models that look at the picture they are shown."""

import math
import statistics

import pytest
from example_stages import Scripted
from hypothesis import given
from hypothesis import strategies as st
from looking_models import Coloured, is_picture, ordering, seen
from PIL import Image
from ranked_runs import run, shuffled

from mmretrieval import registry
from mmretrieval.asks import ChoiceScores, Failed, Text
from mmretrieval.errors import UnreadableImage, UsageError
from mmretrieval.rerankers._asked import NOTHING_TO_ASK
from mmretrieval.rerankers._crops import tiles
from mmretrieval.rerankers._odds import expected, log_odds, probabilities
from mmretrieval.rerankers._sureness import sure_share
from mmretrieval.types import Encoded, Part, Query, QueryPlan


def pointwise(**settings):
    return registry.load("rerankers", "pointwise")(**{"depth": 200, "alpha": 1.0, **settings})


def odds_of(worth):
    """Yes and no whose log-odds are the `worth` of the record's number."""
    return ordering(worth)


def test_the_log_odds_are_those_of_the_published_example():
    odds = log_odds(ChoiceScores((-0.1, -2.4)))
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(0.909, abs=5e-4)


@pytest.mark.parametrize(
    "reply",
    [
        Failed("gone"), Text("yes"), ChoiceScores((-0.1,)), ChoiceScores((math.nan, -1.0)),
        ChoiceScores((-math.inf, -math.inf)), ChoiceScores((-9.0, -9.0), bounded=2),
    ],
)  # fmt: skip
def test_a_reply_that_does_not_say_is_no_number(reply):
    assert log_odds(reply) is None


def test_a_choice_named_in_words_counts_in_its_direction():
    assert log_odds(ChoiceScores((0.0, math.log(0.5)), bounded=2, in_words=True)) == pytest.approx(math.log(2))


@given(st.lists(st.floats(-60, 0), min_size=10, max_size=10))
def test_the_expected_grade_is_the_mean_under_the_renormalised_probabilities(logs):
    powers = [math.exp(log) for log in logs]
    mean = sum(grade * power for grade, power in enumerate(powers)) / sum(powers)
    assert expected(ChoiceScores(tuple(logs))) == pytest.approx(mean)
    assert sum(probabilities(ChoiceScores(tuple(logs)))) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20, 61, 120])
def test_the_best_stands_first_after_one_call_each(count):
    order = shuffled(count)
    mllm = odds_of(lambda number: number - 40.5)
    ranking, numbers = run(pointwise(), mllm, count, order=order)
    assert numbers == sorted(order, reverse=True)
    assert ranking.steps[-1].calls == count == pointwise().calls(count)
    assert [hit.score for hit in ranking.hits] == pytest.approx([number - 40.5 for number in numbers])
    assert {hit.details["verdict"] for hit in ranking.hits} <= {"yes", "no"}
    assert all((hit.details["verdict"] == "yes") == (hit.score > 0) for hit in ranking.hits)


def test_differences_far_beyond_what_a_probability_can_tell_still_order():
    worth = {0: 700.0, 1: 700.125, 2: -700.0, 3: 700.25}

    def reply(ask):
        odds = worth[seen(ask)[-1]]
        return ChoiceScores((min(odds, 0.0), min(-odds, 0.0)))

    _, numbers = run(pointwise(), Scripted(reply), 4)
    assert numbers == [3, 1, 0, 2]


def test_a_model_that_thinks_of_all_alike_leaves_the_order():
    ranking, numbers = run(pointwise(alpha=0.5), odds_of(lambda number: 1.0), 9, order=shuffled(9))
    assert numbers == shuffled(9)
    assert "alike" in ranking.steps[-1].note


def test_the_default_blend_keeps_a_share_of_the_order_before():
    order, against = [3, 0, 1, 2], odds_of(lambda number: 5.0 * (number % 3))
    ranked = {alpha: run(pointwise(alpha=alpha), against, 4, order=order)[1] for alpha in (0.0, 0.5, 1.0)}
    assert ranked == {0.0: order, 0.5: [3, 2, 1, 0], 1.0: [2, 1, 3, 0]}


def test_a_model_that_sees_next_to_no_difference_moves_next_to_nothing():
    order, against = shuffled(12), odds_of(lambda number: 0.01 * number)
    assert run(pointwise(alpha=0.5), against, 12, order=order)[1] == order
    assert run(pointwise(alpha=1.0), against, 12, order=order)[1] == sorted(order, reverse=True)


@given(st.floats(0, 0.99), st.lists(st.none() | st.floats(-9, 9), max_size=9))
def test_the_share_shrinks_with_the_deviation_below_a_nat(alpha, values):
    known = [value for value in values if value is not None]
    share = sure_share(alpha, values)
    assert share == pytest.approx(alpha * min(1, statistics.pstdev(known)) if len(known) > 1 else alpha)
    assert sure_share(1.0, values) == 1.0


@pytest.mark.parametrize(
    ("answer", "choices"), [("yes", ("yes", "no")), ("true", ("true", "false")), ("1", ("1", "0"))]
)
def test_the_labels_asked_for_are_those_that_were_chosen(answer, choices):
    mllm = Scripted(lambda ask: ChoiceScores((float(seen(ask)[-1]), 0.0)))
    _, numbers = run(pointwise(answer=answer), mllm, 4)
    assert numbers == [3, 2, 1, 0]
    assert {ask.choices for ask in mllm.calls[0]} == {choices}
    assert all(choices[0] in ask.parts[-1] and choices[1] in ask.parts[-1] for ask in mllm.calls[0])


def test_a_grade_orders_by_its_mean_and_is_told():
    def reply(ask):
        number = seen(ask)[-1]
        return ChoiceScores(tuple(0.0 if grade == number else -50.0 for grade in range(10)))

    ranking, numbers = run(pointwise(answer="grade"), Scripted(reply), 8)
    assert numbers == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [hit.details["grade"] for hit in ranking.hits] == pytest.approx(numbers)
    assert ranking.hits[0].why == "judged to fit (grade 7.0 of 9)"


def test_candidates_the_model_failed_on_keep_a_place_and_the_step_says_so():
    def reply(ask):
        number = seen(ask)[-1]
        return Failed("too busy") if number == 2 else ChoiceScores((float(number), 0.0))

    ranking, numbers = run(pointwise(), Scripted(reply), 5)
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert [number for number in numbers if number != 2] == [4, 3, 1, 0]
    assert (ranking.steps[-1].status, ranking.hits[numbers.index(2)].details.get("verdict")) == ("partial", None)


class Damaged(Coloured):
    """A picture of it cannot be read."""

    broken = frozenset({"img1"})

    def open_image(self, record_id):
        if record_id in self.broken:
            raise UnreadableImage(record_id, "is cut off")
        return super().open_image(record_id)


def test_a_damaged_picture_gets_no_number_and_is_told():
    mllm = odds_of(float)
    ranking, numbers = run(pointwise(), mllm, 4, collection=Damaged(4))
    assert [number for number in numbers if number != 1] == [3, 2, 0]
    assert len(mllm.calls[0]) == 3
    assert "1 pictures could not be shown" in ranking.steps[-1].note
    assert not next(hit for hit in ranking.hits if hit.id == "img1").details.get("verdict")


def test_when_no_picture_can_be_read_the_error_is_raised():
    collection = Damaged(2)
    collection.broken = frozenset(collection.ids)
    with pytest.raises(Exception, match="is cut off"):
        run(pointwise(), odds_of(float), 2, collection=collection)


CHANGE = Query("q", text="the same, but blue", image_id="img5", target="a blue bowl")


def test_a_change_shows_the_reference_first_and_then_the_candidate():
    mllm = odds_of(float)
    run(pointwise(), mllm, 6, query=CHANGE)
    ask = mllm.calls[0][1]
    pictures = [part.getpixel((0, 0))[0] for part in ask.parts if is_picture(part)]
    assert pictures == [5, 1]
    assert "the same, but blue" in ask.parts[-1]


@pytest.mark.parametrize(
    ("query", "question"),
    [
        (CHANGE, "does it show a blue bowl? yes or no"),
        (Query("q", text="the same, but blue", image_id="img5"), "does it show the same, but blue? yes or no"),
        (Query("q", text="two eggs"), "does it show two eggs? yes or no"),
    ],
)
def test_a_small_model_gets_the_short_question_with_the_candidate_alone(query, question):
    mllm = odds_of(float)
    mllm.compact = True
    _, numbers = run(pointwise(hints=True), mllm, 6, query=query)
    assert numbers == [5, 4, 3, 2, 1, 0]
    assert {ask.parts[1:] for ask in mllm.calls[0]} == {(question,)}


def test_a_picture_alone_is_compared_by_looks():
    mllm = odds_of(float)
    run(pointwise(), mllm, 3, query=Query("q", image=Image.new("RGB", (9, 9), (77, 0, 0))))
    assert mllm.calls[0][0].parts[1].getpixel((0, 0)) == (77, 0, 0)
    assert "same things" in mllm.calls[0][0].parts[-1]


@pytest.mark.parametrize("query", [Query("q", image=Encoded((1.0, 0.0))), Query("q", like=("img2",))])
def test_a_query_that_cannot_be_shown_is_left_alone_and_the_user_is_warned(query):
    mllm = odds_of(float)
    ranking, numbers = run(pointwise(), mllm, 3, query=query)
    assert (numbers, mllm.calls, ranking.steps[-1].note) == ([0, 1, 2], [], NOTHING_TO_ASK)
    assert ranking.warnings == (f"'pointwise' left the order as it was: {NOTHING_TO_ASK}",)


def test_each_part_of_a_query_is_asked_about_and_told():
    def reply(ask):
        number, words = seen(ask)[-1], ask.parts[-1]
        yes = ("eggs" in words and number in (1, 2)) + ("rice" in words and number == 1)
        return ChoiceScores((float(yes), 0.5))

    mllm = Scripted(reply)
    ranking, numbers = run(pointwise(parts=True), mllm, 3, query=Query("q", text="two eggs and some rice"))
    assert len(mllm.calls[0]) == 9 <= pointwise(parts=True).calls(3)
    assert numbers == [1, 2, 0]
    best, next_one, last = ranking.hits
    assert (best.details["matched"], best.details["missing"]) == (["two eggs", "some rice"], [])
    assert (next_one.details["matched"], next_one.details["missing"]) == (["two eggs"], ["some rice"])
    assert last.details["missing"] == ["two eggs", "some rice"]
    assert best.score == pytest.approx(((2 - 0.5) + (1 - 0.5) + (1 - 0.5)) / 3)
    assert next_one.why == "shows two eggs; lacks some rice (log-odds of yes +0.17)"


def test_the_parts_of_a_plan_are_asked_and_what_is_avoided_counts_the_other_way_round():
    plan = QueryPlan(wanted=("a bowl", "a table"), avoided=("a fork",))
    query = Query("q", text="a bowl on a table", plan=plan, parts=(Part(text="a cat", weight=-1),))

    def reply(ask):
        return ChoiceScores((float(seen(ask)[-1]) if "fork" in ask.parts[-1] else 0.0, 0.0))

    mllm = Scripted(reply)
    ranking, numbers = run(pointwise(parts=True), mllm, 3, query=query)
    assert numbers == [0, 1, 2]
    assert len(mllm.calls[0]) == 3 * (1 + 4)
    assert "no a fork" in ranking.hits[2].details["missing"]


class Speckled(Coloured):
    """One candidate holds a small bright spot."""

    def open_image(self, record_id):
        image = Image.new("RGB", (80, 80), (self.ids.index(record_id), 0, 0))
        if record_id == "img1":
            image.paste((200, 200, 200), (62, 62, 78, 78))
        return image


def test_a_tile_that_shows_more_than_the_whole_counts_less_delta():
    def reply(ask):
        [image] = [part for part in ask.parts if is_picture(part)]
        bright = sum(1 for pixel in image.get_flattened_data() if pixel[1] > 100) / (image.width * image.height)
        return ChoiceScores((100 * bright, 0.0))

    def scores(**settings):
        mllm = Scripted(reply)
        ranking, _ = run(pointwise(**settings), mllm, 2, collection=Speckled(2))
        assert len(mllm.calls[0]) == pointwise(**settings).calls(2)
        return {hit.id: hit.score for hit in ranking.hits}

    whole, closer = scores(), scores(tiles=2, delta=1.5)
    assert whole == {"img1": pytest.approx(100 * 16 * 16 / 6400), "img0": 0}
    tile = max(
        100 * sum(p[1] > 100 for p in t.get_flattened_data()) / (t.width * t.height)
        for t in tiles(Speckled(2).open_image("img1"), 2)
    )
    assert closer["img1"] == pytest.approx(tile - 1.5)
    assert closer["img0"] == 0


@given(st.integers(0, 4), st.integers(1, 200), st.integers(1, 200))
def test_tiles_cover_the_picture_and_stay_inside(side, width, height):
    cut = tiles(Image.new("L", (width, height)), side)
    assert len(cut) in (0, side * side)
    if cut:
        assert all(tile.width <= width and tile.height <= height for tile in cut)
        assert sum(tile.width for tile in cut[:side]) >= width
        assert sum(tile.height for tile in cut[::side]) >= height


def test_judging_stops_when_some_fit_and_the_next_do_not():
    mllm = odds_of(lambda number: 1.0 if number in (2, 3, 9) else -1.0 - number)
    ranking, numbers = run(pointwise(stop=3), mllm, 12)
    assert [len(asks) for asks in mllm.calls] == [3, 3, 3]  # found in the first two blocks, none in the third
    assert numbers == [2, 3, 0, 1, 4, 5, 6, 7, 8, 9, 10, 11]
    assert ranking.hits[-1].by == "looking_models" or ranking.hits[-1].by != "pointwise"
    assert ranking.steps[-1].status == "ok"


def test_nothing_found_is_no_reason_to_stop():
    mllm = odds_of(lambda number: -1.0 - number)
    run(pointwise(stop=4), mllm, 12)
    assert len(mllm.calls) == 3


def test_hints_tell_a_large_model_what_the_search_before_found():
    mllm = odds_of(float)
    run(pointwise(hints=True), mllm, 4)
    assert "place 2 of 4" in mllm.calls[0][1].parts[-1]
    assert "may be wrong" in mllm.calls[0][1].parts[-1]


@pytest.mark.parametrize("wrong", [{"answer": "maybe"}, {"alpha": -1}, {"tiles": 9}, {"stop": -1}, {"delta": math.nan}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        pointwise(**wrong)
