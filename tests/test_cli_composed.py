"""Composed searches through the command line: what the options mean, what they refuse, and what --explain prints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmretrieval as mm
from mmretrieval.cli.asked import query_of
from mmretrieval.cli.entry import run
from mmretrieval.errors import UsageError
from mmretrieval.types import MINUS_WEIGHT, Part, Query


def asked(text=None, *, images=(), weight=None, minus=(), like=(), unlike=(), compose="sum"):
    return query_of(
        text, images=images, weight=weight, minus=minus, like=like, unlike=unlike, compose=compose, filter=""
    )


def test_several_pictures_have_weights_of_their_own_and_share_that_of_all_pictures():
    query = asked("red", images=["a.jpg", "b.jpg@0.5", "id:lake/c@-2"], weight="text=3,image=2")
    assert (query.image, query.weights) == (Path("a.jpg"), {"text": 3.0, "image": 2.0})
    assert query.parts == (Part(image=Path("b.jpg"), weight=1.0), Part(image_id="lake/c", weight=-4.0))


@pytest.mark.parametrize(
    ("written", "path", "picture_id", "weight"),
    [
        ("a.jpg", "a.jpg", None, 1.0),
        ("a@2x.jpg", "a@2x.jpg", None, 1.0),
        ("a.jpg@0.25", "a.jpg", None, 0.25),
        ("a.jpg@-.5", "a.jpg", None, -0.5),
        ("id:a@2@1", None, "a@2", 1.0),
        ("id:a@", None, "a@", 1.0),
        ("@2", "@2", None, 1.0),
    ],
)
def test_a_weight_stands_behind_a_picture(written, path, picture_id, weight):
    query = asked(images=[written])
    assert (query.image, query.image_id) == (None if path is None else Path(path), picture_id)
    assert query.weights == ({} if weight == 1 else {"image": weight})


def test_words_to_avoid_and_examples_become_parts_of_the_query():
    query = asked("a", minus=["snow", "rain"], like=["x", "y"], unlike=["z"], weight="like=2,unlike=0.1")
    assert query.parts == tuple(Part(text=words, weight=-MINUS_WEIGHT) for words in ("snow", "rain"))
    assert (query.like, query.unlike, query.weights) == (("x", "y"), ("z",), {"like": 2.0, "unlike": 0.1})
    assert asked(like=["x"]) == Query("q", like=("x",))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "there is nothing to search for"),
        ({"minus": ["snow"]}, "there is nothing to search for"),
        ({"unlike": ["x"]}, "there is nothing to search for"),
        ({"text": "a", "weight": "text=2"}, "give both, or leave it out"),
        ({"text": "a", "minus": ["b"], "weight": "image=2"}, "the search has no image"),
        ({"text": "a", "images": ["b"], "weight": "like=2"}, "the search has no like"),
        ({"text": "a", "compose": "magic"}, "choose sum, slerp or product"),
        ({"text": "a", "compose": "slerp"}, "joins several things"),
        ({"text": "a", "images": ["id:"]}, "names no picture"),
        ({"text": "a", "images": ["id:@2"]}, "names no picture"),
    ],
    ids=str,
)
def test_what_means_nothing_is_refused(given, told):
    with pytest.raises(UsageError, match=told):
        asked(**{"text": None, **given})


@pytest.fixture(scope="module")
def index(tmp_path_factory, tiny_clip_dir):
    folder = tmp_path_factory.mktemp("composed")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(4)
    for number in range(12):
        pixels = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(folder / "photos" / f"p{number:02}.png")
    mm.index(folder / "photos", folder / "idx", f"local-dir:{tiny_clip_dir}")
    return folder / "idx"


def printed(capsys, *arguments, code=0):
    assert run(list(map(str, arguments))) == code
    out, _ = capsys.readouterr()
    return out


FULL = ["green", "--image", "id:p03", "--image", "id:p04@0.5", "--minus", "red", "--unlike", "p07"]


def test_the_command_line_finds_what_the_python_interface_finds(capsys, index):
    report = json.loads(printed(capsys, "search", *FULL, "--like", "p03", "--index", index, "--json"))
    query = Query(
        text="green",
        image_id="p03",
        parts=(Part(image_id="p04", weight=0.5), Part(text="red", weight=-MINUS_WEIGHT)),
        like=("p03",),
        unlike=("p07",),
    )
    with mm.Searcher.open(index) as searcher:
        expected = searcher.search(query).to_dict()
    for hits in (report["hits"], expected["hits"]):
        assert "p07" not in [hit["id"] for hit in hits]
    assert report["hits"] == expected["hits"]


@pytest.mark.parametrize("compose", ["sum", "slerp", "product"])
def test_explain_adds_columns_that_add_up(capsys, index, compose):
    lines = printed(capsys, "search", *FULL, "--compose", compose, "--explain", "--index", index).splitlines()
    plain = printed(capsys, "search", *FULL, "--compose", compose, "--index", index).splitlines()
    assert len(lines) == 10
    for line, short in zip(lines, plain, strict=True):
        *head, channels, shares, why = line.split("\t")
        assert head == short.split("\t")
        for column in (channels, shares):
            values = [float(piece.partition("=")[2]) for piece in column.split(",")]
            assert sum(values) == pytest.approx(float(head[1]), abs=1e-4 * (len(values) + 1))
        assert why


def test_minus_like_and_unlike_are_arguments_of_search(index):
    with mm.Searcher.open(index) as searcher:
        words = searcher.search("green", minus=["red"], like=["p03"], unlike=["p07"], compose="product")
        same = Query("q", "green", parts=(Part(text="red", weight=-MINUS_WEIGHT),), like=("p03",), unlike=("p07",))
        assert words.hits == searcher.search(Query(**{**_fields(same), "compose": "product"})).hits
        assert searcher.search(like=["p03", "p04"]).ids[:2] in (["p03", "p04"], ["p04", "p03"])


def _fields(query):
    return {name: getattr(query, name) for name in ("id", "text", "parts", "like", "unlike")}


def test_a_refiner_works_in_search_and_eval(capsys, index, tmp_path):
    options = ["--index", index, "--refine", "superglobal:gap=1,neighbours=3", "--json"]
    report = json.loads(printed(capsys, "search", "--image", "id:p03", *options))
    assert report["steps"][-1]["name"] == "superglobal"
    assert report["steps"][-1]["note"] == "3 neighbours"
    assert {hit["by"] for hit in report["hits"]} == {"superglobal"}
    with mm.Searcher.open(index, refine="superglobal:gap=1,neighbours=3") as searcher:
        assert [hit["id"] for hit in report["hits"]] == searcher.search(image_id="p03").ids
    (tmp_path / "q.jsonl").write_text('{"qid": "a", "reference": "p03"}\n')
    (tmp_path / "r.tsv").write_text("a 0 p05 1\n")
    judged = ["--queries", tmp_path / "q.jsonl", "--qrels", tmp_path / "r.tsv", "--measures", "RR"]
    refined = json.loads(printed(capsys, "eval", *judged, *options))["measures"]["RR"]
    rank = [name for name in searcher_ids(index) if name != "p03"].index("p05") + 1
    assert refined == pytest.approx(1 / rank)


def searcher_ids(index):
    with mm.Searcher.open(index, refine=["superglobal:gap=1,neighbours=3"]) as searcher:
        return searcher.search(Query(image_id="p03", exclude=frozenset({"p03"})), top_k=12).ids


@pytest.mark.parametrize(
    ("spec", "told"), [("magic", "there is no 'magic' among the refiners"), ("superglobal:beta=x", "takes a number")]
)
def test_a_refiner_that_is_not_understood_exits_2(capsys, index, spec, told):
    report = json.loads(printed(capsys, "search", "a", "--index", index, "--refine", spec, "--json", code=2))
    assert told in report["errors"][0]


def test_eval_joins_composed_queries_as_it_is_told_and_leaves_the_others(capsys, index, tmp_path):
    rows = [{"qid": "a", "reference": "p03", "text": "green"}, {"qid": "b", "text": "green"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.tsv").write_text("a 0 p05 1\nb 0 p06 1\n")
    options = ["--queries", tmp_path / "q.jsonl", "--qrels", tmp_path / "r.tsv", "--index", index]
    changed = ["--compose", "product", "--weight", "text=2,image=1", "--run", tmp_path / "run"]
    printed(capsys, "eval", *options, *changed)
    exclude = frozenset({"p03"})
    with mm.Searcher.open(index) as searcher:
        expected = searcher.search(
            Query("a", "green", image_id="p03", exclude=exclude, weights={"text": 2, "image": 1}, compose="product"),
            top_k=12,
        ).ids
        words = searcher.search("green", top_k=12).ids
    found = [line.split() for line in (tmp_path / "run").read_text().splitlines()]
    assert [line[2] for line in found if line[0] == "a"] == expected[:10]
    assert [line[2] for line in found if line[0] == "b"] == words[:10]
    (tmp_path / "q.jsonl").write_text(json.dumps(rows[1]) + "\n")
    report = json.loads(printed(capsys, "eval", *options, "--compose", "slerp", "--json", code=2))
    assert "there is none" in report["errors"][0]
