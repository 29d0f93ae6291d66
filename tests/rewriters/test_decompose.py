"""Taking a query apart: what of an answer is believed, and what becomes of the rest."""

from __future__ import annotations

import json

import pytest
from example_stages import Brute, HashEncoder, MemoryCollection, Scripted
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.asks import Failed, Generate, Text
from mmretrieval.errors import UsageError
from mmretrieval.first_stages.dense import Dense
from mmretrieval.pipeline import Pipeline
from mmretrieval.rewriters.decompose import MOST_WORDS, Decompose
from mmretrieval.types import MINUS_WEIGHT, Query

WORDS = "two children with a red umbrella in front of a church, no cars"
QUERY = Query("q1", WORDS)


def rewritten(answer, query=QUERY, **settings):
    """What comes back, and what was asked."""
    flow = Decompose(**settings).rewrite(query)
    try:
        [ask] = next(flow)
        flow.send([answer if isinstance(answer, Failed) else Text(answer)])
    except StopIteration as end:
        return end.value
    raise AssertionError(f"it asked more than once, after {ask}")


def plan_of(answer, **settings):
    told = rewritten(answer, **settings)
    return (told.query.plan.wanted, told.query.plan.avoided, dict(told.parsed)) if told.query.plan else None


def said(wanted, avoided=()):
    return json.dumps({"wanted": list(wanted), "avoided": list(avoided)})


def test_parts_and_what_to_avoid_are_read():
    parts = ("two children", "red umbrella", "in front of a church")
    told = rewritten(said(parts, ["cars"]))
    assert (told.query.plan.wanted, told.query.plan.avoided) == (parts, ("cars",))
    [part] = told.query.parts
    assert (part.text, part.weight) == ("cars", -MINUS_WEIGHT)
    assert told.query.text == WORDS
    assert told.parsed == {"ok": 1}


def test_no_in_front_of_a_part_means_that_it_is_avoided():
    assert plan_of(said(["two children", "no cars"])) == (("two children",), ("cars",), {"ok": 1})
    assert plan_of(said(["two children", "without any cars"]))[1] == ("cars",)


@pytest.mark.parametrize(
    "answer",
    [
        '["two children", "red umbrella"]',
        'Sure!\n```json\n{"wanted": ["two children", "red umbrella"], "avoided": []}\n```',
        '<think>{"wanted": ["church"]}</think> {"wanted": ["two children", "red umbrella"]}',
    ],
    ids=["list alone", "in a fence", "behind thoughts"],
)
def test_json_is_found_where_it_stands(answer):
    assert plan_of(answer) == (("two children", "red umbrella"), (), {"ok": 1})


@pytest.mark.parametrize(
    "strange",
    ["", "  ", "Two Children", "a church " * MOST_WORDS, "a flying whale", 7, None, ["a church"]],
    ids=["empty", "blank", "a second time", "too long", "not in the query", "number", "null", "list"],
)
def test_what_cannot_be_used_is_left_out_and_told(strange):
    assert plan_of(said(["two children", strange])) == (("two children",), (), {"repaired": 1})


def test_no_more_parts_are_kept_than_wanted():
    assert plan_of(said(["two children", "umbrella", "church"]), most=2) == (
        ("two children", "umbrella"),
        (),
        {"repaired": 1},
    )


@pytest.mark.parametrize(
    "answer",
    ["", "{}", "[]", "I cannot do that.", '{"wanted": "two children"}', said([]), said([WORDS]), Failed("busy")],
    ids=["empty", "object", "array", "refusal", "no list", "nothing", "only itself", "failed"],
)
def test_when_nothing_is_left_the_query_stays_as_it_was(answer):
    told = rewritten(answer)
    assert told.query == QUERY
    assert told.parsed == ({} if isinstance(answer, Failed) else {"failed": 1})


def test_the_step_of_a_query_that_stays_alone_says_so():
    collection = MemoryCollection(6)
    dense = Dense(HashEncoder(), collection, Brute(collection.rows()))
    for reply in (Text("no JSON here"), Failed("busy")):
        ranking = Pipeline([Decompose(), dense], Scripted(lambda _, reply=reply: reply), collection).search([QUERY], 6)[
            0
        ]
        assert ranking.hits == dense.search([QUERY], 6)[0].hits
        assert ranking.steps[0].status == "fallback"
        assert "alone" in ranking.steps[0].note


@pytest.mark.parametrize("query", [Query("q", "red fox"), Query("q", image_id="img1")], ids=["two words", "picture"])
def test_queries_without_parts_cost_nothing(query):
    told = rewritten("never asked", query)
    assert told.query == query
    assert "too few words" in told.note


def test_the_question_holds_the_words_and_the_shape_of_the_answer_and_no_picture():
    [ask] = next(Decompose(most=4).rewrite(Query("q", WORDS, image_id="img1")))
    assert isinstance(ask, Generate)
    [words] = ask.parts
    assert WORDS in words
    assert '{"wanted"' in words
    assert "1 to 4" in words
    assert ask.schema["required"] == ["wanted", "avoided"]


def test_languages_without_blanks_are_taken_apart_too():
    told = rewritten(said(["红伞", "教堂"]), Query("q", "教堂前打红伞的孩子"))
    assert told.query.plan.wanted == ("红伞", "教堂")


@given(st.text(max_size=200))
def test_any_answer_leaves_a_query_that_asks_for_what_the_user_asked(answer):
    told = rewritten(answer)
    assert (told.query.text, told.query.id) == (WORDS, "q1")
    for part in told.query.plan.wanted if told.query.plan else ():
        assert 0 < len(part.split()) <= MOST_WORDS


@given(st.lists(st.sampled_from(["two children", "RED umbrella", "no cars", "church", "", "whale", "a church"])))
def test_parts_come_once_each_and_are_never_avoided_as_well(parts):
    told = rewritten(said(parts))
    if told.query.plan:
        every = [*told.query.plan.wanted, *told.query.plan.avoided]
        assert len({part.casefold() for part in every}) == len(every)


@pytest.mark.parametrize("settings", [{"most": 0}, {"minus": -1.0}, {"minus": float("nan")}])
def test_senseless_settings_are_refused(settings):
    with pytest.raises(UsageError):
        Decompose(**settings)
