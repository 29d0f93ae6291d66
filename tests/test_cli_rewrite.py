"""Rewriting from the command line: what a recorded model answered becomes part of the query, or is told not to."""

from __future__ import annotations

import json

import pytest
from example_stages import Scripted, words
from test_cli import draw, mmr, told

import mmretrieval as mm
from mmretrieval.asks import Failed, Text
from mmretrieval.types import MINUS_WEIGHT, Part, Query, QueryPlan

TARGET = "green squares beside a red one"
PARTS = {"wanted": ["green squares", "a red square"], "avoided": ["blue"]}
SPLIT = "green squares and a red square without blue"


def answer(ask):
    if "apart" in words(ask):
        return Text(json.dumps(PARTS), tokens=7)
    return Failed("no idea") if "break it" in words(ask) else Text(TARGET, tokens=5)


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_clip_dir):
    """Pictures in an index, and a recording of a model that was asked about some of them."""
    place = tmp_path_factory.mktemp("rewrite")
    draw(place / "pictures", 12)
    mm.index(place / "pictures", place / "idx", f"local-dir:{tiny_clip_dir}")
    asked = {"target_caption": [composed("make it green"), composed("break it")], "decompose": [Query(text=SPLIT)]}
    for rewriter, queries in asked.items():
        with mm.Searcher.open(
            place / "idx", rewrite=rewriter, mllm=Scripted(answer), record=place / "recording"
        ) as searcher:
            searcher.search_all(queries)
    (place / "idx" / "replies.sqlite").unlink()  # so that the recording must answer
    return place


def composed(text, **more):
    return Query("q", text, image_id="p3", **more)


def plain(place, query):
    with mm.Searcher.open(place / "idx") as searcher:
        return json.loads(json.dumps([hit.to_dict(n) for n, hit in enumerate(searcher.search(query).hits, start=1)]))


REPLAYED = ("--index", "idx", "--replay", "recording")


def test_explain_tells_what_a_step_did_and_says(place):
    asked = ("search", "make it green", "--image", "id:p3", "--rewrite", "target-caption", *REPLAYED, "--explain")
    said = mmr(*asked, cwd=place).stderr
    assert f"step: 'target_caption' ok, 0 calls, 1 kept replies, moved 0 hits; target: {TARGET}\n" in said
    assert "step: 'dense'" not in said  # it has nothing to say


def test_a_described_target_joins_the_search(place):
    asked = ("search", "make it green", "--image", "id:p3", "--rewrite", "target-caption:beta=0.3", *REPLAYED)
    report = told(*asked, cwd=place)
    assert report["hits"] == plain(place, composed("make it green", target=TARGET, weights={"target": 0.3}))
    step = report["steps"][0]
    assert (step["name"], step["status"], step["note"]) == ("target_caption", "ok", f"target: {TARGET}")


def test_a_model_that_fails_leaves_the_query_as_it_was_and_that_is_told(place):
    report = told("search", "break it", "--image", "id:p3", "--rewrite", "target-caption", *REPLAYED, cwd=place)
    assert report["hits"] == plain(place, composed("break it"))
    assert report["steps"][0]["status"] == "fallback"
    assert "beta is 0" in report["steps"][0]["note"]
    assert report["warnings"]


def test_parts_are_searched_beside_the_query(place):
    report = told("search", SPLIT, "--rewrite", "decompose", *REPLAYED, cwd=place)
    query = Query(
        text=SPLIT,
        plan=QueryPlan(tuple(PARTS["wanted"]), ("blue",)),
        parts=(Part(text="blue", weight=-MINUS_WEIGHT),),
    )
    assert report["hits"] == plain(place, query)
    assert [step["name"] for step in report["steps"]] == ["decompose", "pool", "dense"]


def test_eval_rewrites_too(place):
    (place / "q.jsonl").write_text(json.dumps({"qid": "a", "reference": "p3", "text": "make it green"}) + "\n")
    query = composed("make it green", target=TARGET, weights={"target": 0.3}, exclude=frozenset({"p3"}))
    first = plain(place, query)[0]["id"]
    (place / "r.tsv").write_text(f"a 0 {first} 1\n")
    judged = ("--queries", "q.jsonl", "--qrels", "r.tsv", "--measures", "R@1")
    report = told("eval", *judged, "--rewrite", "target-caption:beta=0.3", *REPLAYED, cwd=place)
    assert report["measures"]["R@1"] == 1


def test_the_second_run_of_a_search_makes_no_call(place):
    model = Scripted(answer)
    for calls in (1, 0):
        with mm.Searcher.open(place / "idx", rewrite="target_caption", mllm=model) as searcher:
            step = searcher.search(composed("make it green")).steps[0]
        assert (step.calls, step.cached) == (calls, 1 - calls)
    assert len(model.calls) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--rewrite", "magic"), "there is no 'magic' among the rewriters"),
        (("--rewrite", "target-caption"), "asks a language model: name one with --mllm"),
        (("--rewrite", "target-caption:beta=2", "--replay", "recording"), "from 0 to 1"),
        (("--rewrite", "decompose:most=0", "--replay", "recording"), "most of 1 or more"),
    ],
)
def test_what_cannot_be_rewritten_exits_2(place, options, reason):
    report = told("search", "green", "--index", "idx", *options, cwd=place, code=2)
    assert reason in report["errors"][0]
