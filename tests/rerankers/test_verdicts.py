"""Verdicts on single candidates: read out of reasoning, or made of yes and no on the parts of a query."""

import json
import math

import pytest
from example_stages import Scripted
from hypothesis import given
from hypothesis import strategies as st
from looking_models import Coloured, seen

from mmretrieval.asks import ChoiceScores, Failed, ScoreChoices, Text
from mmretrieval.list_prompts import VERDICTS
from mmretrieval.pipeline import Pipeline
from mmretrieval.registry import load
from mmretrieval.rerankers._requirements import judged, log_sigmoid
from mmretrieval.rerankers._verdicts import Verdict, by_share, verdicts
from mmretrieval.rerankers._views import View
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Query, Ranking

REASONED = {
    "requirements": ["two eggs", "a fork"],
    "evaluations": [
        {"picture": 1, "met": ["two eggs"], "missing": ["a fork"], "verdict": "partial"},
        {"picture": "picture 2", "met": ["two eggs", "a fork"], "missing": [], "verdict": "Excellent"},
        {"picture": 3, "met": [], "missing": ["two eggs", "a fork"], "verdict": "poor"},
    ],
    "ranking": [2, 1, 3],
}


class InOrder(FirstStage):
    def __init__(self, count):
        self.count = count

    def search(self, queries, top_k):
        hits = tuple(Hit(f"img{n}", self.name, -float(n)) for n in range(self.count))
        return [Ranking(query, hits[:top_k]) for query in queries]


def run(reply, count=3, query="two eggs and a fork", **settings):
    collection = Coloured(count)
    stages = [InOrder(count), load("rerankers", "cotrr")(**{"alpha": 1.0, **settings})]
    return Pipeline(stages, Scripted(reply), collection).search([Query("q", text=query)], count)[0]


def test_verdicts_of_a_chain_are_kept_and_told_with_the_order_that_follows_from_them():
    ranking = run(lambda ask: Text(f"Let me think.\n```json\n{json.dumps(REASONED)}\n```"))
    assert ranking.ids == ["img1", "img0", "img2"]
    best, middle, worst = ranking.hits
    assert best.why == "excellent: shows two eggs, a fork"
    assert middle.why == "partial: shows two eggs; lacks a fork"
    assert worst.details["missing"] == ["two eggs", "a fork"]
    assert [hit.details["verdict"] for hit in ranking.hits] == ["excellent", "partial", "poor"]
    assert ranking.steps[-1].parsed == {"ok": 1}


def test_verdicts_belong_to_their_pictures_in_every_order_of_showing():
    def reply(ask):
        numbers = seen(ask)
        told = [
            {"picture": at, "met": [f"red {number}"], "missing": [], "verdict": "good"}
            for at, number in enumerate(numbers, start=1)
        ]
        best = sorted(range(1, len(numbers) + 1), key=lambda at: -numbers[at - 1])
        return Text(json.dumps({"requirements": [], "evaluations": told, "ranking": best}))

    ranking = run(reply, count=5, orders=3)
    assert [hit.details["matched"] for hit in ranking.hits] == [[f"red {n}"] for n in (4, 3, 2, 1, 0)]


def test_a_chain_that_breaks_off_before_its_ranking_is_ordered_by_its_verdicts():
    whole = json.dumps(REASONED)
    ranking = run(lambda ask: Text(whole[: whole.index(', {"picture": 3')], cut=True))
    assert ranking.ids == ["img1", "img0", "img2"]
    assert ranking.steps[-1].parsed == {"partial": 1}
    assert ranking.steps[-1].status == "partial"
    assert ranking.hits[2].details.get("verdict") is None


def test_an_order_without_verdicts_is_an_order_all_the_same():
    ranking = run(lambda ask: Text('{"ranking": [3, 1, 2]}'))
    assert ranking.ids == ["img2", "img0", "img1"]
    assert ranking.hits[0].why == "place 1 of 3 by the model"


@given(st.text(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from([*VERDICTS, "picture 1", "2"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["picture", "verdict", "met", "missing", "evaluations"]), inner, max_size=5),
).map(json.dumps))  # fmt: skip
def test_whatever_is_written_verdicts_are_on_real_pictures_and_clean(text):
    for place, verdict in verdicts(text, 3).items():
        assert 0 <= place < 3
        assert verdict.word in VERDICTS
        assert all(name == name.strip() != "" and len(name) <= 80 for name in (*verdict.matched, *verdict.missing))


def test_of_two_verdicts_on_a_picture_the_first_counts_and_unknown_ones_are_left_out():
    told = [
        {"picture": 1, "verdict": "good"},
        {"picture": 1, "verdict": "poor"},
        {"picture": 0, "verdict": "good"},
        {"picture": 9, "verdict": "good"},
        {"picture": True, "verdict": "good"},
        {"picture": 2, "verdict": "superb"},
        {"verdict": "good"},
    ]
    assert verdicts(json.dumps({"evaluations": told}), 3) == {0: Verdict("good")}


@pytest.mark.parametrize(
    ("met", "missed", "word"),
    [(3, 0, "excellent"), (2, 1, "good"), (1, 1, "partial"), (1, 2, "partial"), (1, 3, "poor"), (0, 2, "poor")],
)
def test_a_verdict_follows_from_the_share_of_what_is_met(met, missed, word):
    assert by_share(["a", "b", "c"][:met], ["x", "y", "z"][:missed]).word == word


def yes(probability):
    return ChoiceScores((math.log(probability), math.log(1 - probability)))


ODDS = st.floats(0.001, 0.999)


@given(ODDS, ODDS, ODDS)
def test_parts_count_as_the_chance_that_all_answers_are_as_wanted(whole, one, other):
    views = [View("eggs"), View("a fork", wanted=False)]
    value, verdict = judged("eggs without a fork", views, [yes(whole), yes(one), yes(other)])
    assert value == pytest.approx(math.log(whole * one * (1 - other)), abs=1e-9)
    assert ("eggs" in verdict.matched) == (one > 0.5)
    assert ("no a fork" in verdict.matched) == (other < 0.5)


def test_answers_that_failed_are_left_out_and_without_any_there_is_no_opinion():
    views = [View("eggs"), View("a fork")]
    value, verdict = judged("q", views, [yes(0.5), Failed("x"), yes(0.5)])
    assert value == pytest.approx(3 * math.log(0.5))
    assert verdict.matched + verdict.missing == ("a fork",)
    assert judged("q", views, [Failed("x")] * 3) == (None, None)


@given(st.floats(-800, 800))
def test_log_sigmoid_does_not_overflow(odds):
    slow = math.log(1 / (1 + math.exp(-odds))) if odds > -30 else odds
    assert log_sigmoid(odds) == pytest.approx(slow, abs=1e-9)


def test_by_parts_each_part_is_asked_of_each_picture_and_named_in_the_verdict():
    def reply(ask):
        assert isinstance(ask, ScoreChoices)
        told = ask.parts[-1]
        is_whole, number = '"two eggs and a fork"' in told, ask.parts[0].getpixel((1, 1))[0]
        return yes(0.9 if number == 2 or (number == 1 and "fork" in told and not is_whole) else 0.1)

    ranking = run(reply, mode="parts")
    assert ranking.ids == ["img2", "img1", "img0"]
    assert [hit.why for hit in ranking.hits] == [
        "excellent: shows two eggs, a fork",
        "partial: shows a fork; lacks two eggs",
        "poor: lacks two eggs, a fork",
    ]
    assert ranking.steps[-1].calls == 9


def test_a_query_of_one_part_is_judged_as_a_whole():
    ranking = run(lambda ask: yes(0.8 if ask.parts[0].getpixel((1, 1))[0] == 1 else 0.3), query="an owl", mode="parts")
    assert ranking.ids[0] == "img1"
    assert ranking.hits[0].why == "excellent: shows an owl"
    assert ranking.steps[-1].calls == 3
