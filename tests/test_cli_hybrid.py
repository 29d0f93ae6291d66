"""Hybrid search from the command line: a manifest with captions, a real (tiny, random) model, search and eval."""

import json

import pytest
from format_1 import take_back
from test_cli import draw, mmr, told

COUNT = 36


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_clip_dir):
    """Pictures with captions that name them, indexed with encoded captions; queries and their judgements."""
    place = tmp_path_factory.mktemp("hybrid")
    draw(place / "pictures", COUNT)
    lines = [
        {"id": f"n{n}", "path": f"p{n}.png", "caption": f"word{n} on a table", "maker": "Zürich"} for n in range(COUNT)
    ]
    (place / "pictures" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (place / "queries.jsonl").write_text(
        "\n".join(json.dumps({"qid": f"q{n}", "text": f"word{n}"}) for n in range(COUNT))
    )
    (place / "qrels.tsv").write_text("".join(f"q{n}\t0\tn{n}\t1\n" for n in range(COUNT)))
    (place / "few.tsv").write_text("".join(f"q{n}\t0\tn{n}\t1\n" for n in range(20)))
    done = mmr(
        "index",
        "pictures",
        "--index",
        "idx",
        "--encoder",
        f"local-dir:{tiny_clip_dir}",
        "--captions",
        "clip",
        cwd=place,
    )
    assert f"captions\t{COUNT}" in done.stdout.splitlines()
    return place


@pytest.mark.parametrize("method", ["rrf", "blend"])
def test_search_finds_the_word_and_shows_what_each_channel_adds(place, method):
    found = told("search", "--index", "idx", "word7", "--hybrid", method, "-k", "3", cwd=place)
    assert found["hits"][0]["id"] == "n7"
    for hit in found["hits"]:
        assert hit["by"] == "hybrid"
        assert set(hit["scores"]) == {"image", "bm25", "caption"}
        assert sum(hit["scores"].values()) == pytest.approx(hit["score"])


def test_metadata_and_filters_count_in_hybrid_search(place):
    found = told("search", "--index", "idx", "zurich", "--hybrid", "blend", "--filter", "id = 'n3'", cwd=place)
    assert [hit["id"] for hit in found["hits"]] == ["n3"]
    assert found["hits"][0]["scores"]["bm25"] > 0


def test_a_search_by_a_picture_alone_says_that_there_were_no_words(place):
    found = told("search", "--index", "idx", "--image", "id:n3", "--hybrid", "rrf", cwd=place)
    assert found["hits"][0]["id"] == "n3"
    assert [(step["name"], step["status"]) for step in found["steps"][:2]] == [
        ("bm25", "ok"),
        ("caption", "ok"),
    ]
    assert found["status"] == "ok"


def test_eval_fits_a_blend_and_later_searches_use_it(place):
    usual = told(
        "eval", "--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--hybrid", "blend", cwd=place
    )
    assert "fit" not in usual
    arguments = ("--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--hybrid", "blend")
    fitted = told("eval", *arguments, "--fit-blend", cwd=place)
    assert fitted["fit"]["queries"] == COUNT
    assert set(fitted["fit"]["weights"]) == {"image", "bm25", "caption"}
    assert set(fitted["fit"]["gain"]) == {"mean", "low", "high"}
    assert fitted["measures"]["nDCG@10"] >= usual["measures"]["nDCG@10"]
    lines = mmr("eval", *arguments, "--fit-blend", cwd=place).stdout.splitlines()
    assert [line.partition("\t")[0] for line in lines[:2]] == ["fit", "fit"]
    assert told("eval", *arguments, cwd=place)["measures"] == fitted["measures"]


def test_what_cannot_be_fitted_or_joined_is_refused_in_a_sentence(place):
    arguments = ("--index", "idx", "--queries", "queries.jsonl")
    done = mmr("eval", *arguments, "--qrels", "few.tsv", "--hybrid", "blend", "--fit-blend", cwd=place, code=5)
    assert "fitted to 30 judged queries with words or more, and here are 20" in done.stderr
    done = mmr("eval", *arguments, "--qrels", "qrels.tsv", "--fit-blend", cwd=place, code=2)
    assert "give it with --hybrid blend" in done.stderr
    done = mmr("search", "--index", "idx", "x", "--hybrid", "sum", cwd=place, code=2)
    assert "there is no hybrid search 'sum': choose one of: rrf, blend" in done.stderr
    done = mmr("index", "pictures", "--index", "idx", "--captions", "clips", cwd=place, code=2)
    assert "use clip, sentence:NAME_OR_FOLDER, or none" in done.stderr


def test_an_index_of_an_earlier_version_is_refused_until_it_is_indexed_again(place, tiny_clip_dir):
    encoder = ("--encoder", f"local-dir:{tiny_clip_dir}")
    mmr("index", "pictures", "--index", "old", *encoder, cwd=place)
    take_back(place / "old")
    assert told("search", "--index", "old", "word7", cwd=place)["hits"]
    done = mmr("search", "--index", "old", "word7", "--hybrid", "rrf", cwd=place, code=5)
    assert "made by an earlier version" in done.stderr
    mmr("index", "pictures", "--index", "old", *encoder, cwd=place)
    assert told("search", "--index", "old", "word7", "--hybrid", "rrf", cwd=place)["hits"][0]["id"] == "n7"
