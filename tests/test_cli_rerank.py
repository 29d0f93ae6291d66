"""mmretrieval rerank: another system's run over our index, in process."""

import json

import pytest
from store_samples import SketchEncoder
from test_cli import draw

from mmretrieval.cli.entry import run
from mmretrieval.evaluation.runs import read_run
from mmretrieval.indexing import index

COUNT = 12
WORDS = "ingredients:of=caption,alike=no,alpha=1"  # needs no model: the words of captions decide


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures with captions that name them, and a run of another system that has the right ones last."""
    place = tmp_path_factory.mktemp("rerank")
    draw(place / "pictures", COUNT)
    lines = [{"id": f"n{n}", "path": f"p{n}.png", "caption": f"word{n} on a table"} for n in range(COUNT)]
    (place / "pictures" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index(place / "pictures", place / "idx", encoder=SketchEncoder())
    queries = [{"qid": f"q{n}", "text": f"word{n}"} for n in range(3)]
    queries.append({"qid": "q 3", "text": "word3", "reference": "n5"})
    (place / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    write(place / "in.trec", {f"q{n}" if n < 3 else "q_3": [*range(n + 1, 9), n] for n in range(4)})
    return place


def write(file, run):
    rows = [f"{qid} Q0 n{n} 0 {20 - rank} other" for qid, found in run.items() for rank, n in enumerate(found)]
    file.write_text("".join(f"{row}\n" for row in rows))


def rerank(place, capsys, *more, run_file="in.trec", queries="queries.jsonl"):
    files = ["--run", str(place / run_file), "--queries", str(place / queries), "--out", str(place / "out.trec")]
    code = run(["rerank", "--index", str(place / "idx"), *files, *more, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_run_of_another_system_is_reranked_and_keeps_all_its_hits(place, capsys):
    code, told = rerank(place, capsys, "--rerank", WORDS)
    assert (code, told["queries"]) == (0, 4)
    old, new = read_run(place / "in.trec"), read_run(place / "out.trec")
    assert list(new) == list(old)
    for number, qid in enumerate(old):
        assert new[qid] == [f"n{number}", *(image for image in old[qid] if image not in (f"n{number}", "n5"))] or (
            qid != "q_3" and new[qid] == [f"n{number}", *(image for image in old[qid] if image != f"n{number}")]
        )
    assert "n5" not in new["q_3"]  # the reference of a composed query is no answer
    assert [step["name"] for step in told["steps"]] == ["given_run", "ingredients"]
    assert told["steps"][1]["queries"] == 4
    assert told["steps"][1]["calls"] == 0


def test_a_reranker_sees_its_depth_alone_and_cascades_have_their_own(place, capsys):
    rerank(place, capsys, "--rerank", f"{WORDS},depth=3")
    assert read_run(place / "out.trec") == {
        qid: [image for image in found if qid != "q_3" or image != "n5"]
        for qid, found in read_run(place / "in.trec").items()
    }
    _, told = rerank(place, capsys, "--rerank", f"{WORDS},depth=9", "--rerank", f"{WORDS},depth=2")
    assert [step["name"] for step in told["steps"]] == ["given_run", "ingredients", "ingredients"]
    assert [step["queries"] for step in told["steps"]] == [4, 4, 4]
    assert read_run(place / "out.trec")["q0"][0] == "n0"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "there is nothing to rerank with: give --rerank NAME"),
        (("--rerank", "gird"), "there is no 'gird' among the rerankers"),
        (("--rerank", "pointwise:deepth=3"), "'pointwise' has no setting 'deepth'"),
        (("--rerank", "pointwise"), "'pointwise' asks a language model: name one with --mllm"),
        (("--rerank", "pointwise:alpha=2"), "alpha is 2.0: the model's share goes from 0"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(place, capsys, more, message):
    (place / "out.trec").unlink(missing_ok=True)
    code, told = rerank(place, capsys, *more)
    assert code == 2
    assert message in told["errors"][0]
    assert not (place / "out.trec").exists()


@pytest.mark.parametrize("command", ["rerank", "eval"])
@pytest.mark.parametrize(
    ("out", "code", "message"),
    [("nowhere/out.trec", 4, "there is no folder"), (".", 2, "is a folder, and a file is to be written")],
)
def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(tmp_path, capsys, command, out, code, message):
    """No index is there, so that whatever looks for one first fails with another sentence."""
    (tmp_path / "queries.jsonl").write_text('{"qid": "q", "text": "x"}\n')
    (tmp_path / "q.tsv").write_text("q 0 n1 1\n")
    own = {
        "rerank": ["--run", tmp_path / "none.trec", "--out", tmp_path / out, "--rerank", WORDS],
        "eval": ["--qrels", tmp_path / "q.tsv", "--run", tmp_path / out],
    }[command]
    words = [command, "--index", tmp_path / "none", "--queries", tmp_path / "queries.jsonl", *own]
    assert run([str(word) for word in words]) == code
    assert message in capsys.readouterr().err


def test_hits_that_are_not_in_the_index_are_refused_and_named(place, capsys):
    write(place / "strange.trec", {"q0": [0, 98, 99]})
    code, told = rerank(place, capsys, "--rerank", WORDS, run_file="strange.trec")
    assert code != 0
    assert "2 hits that are not in the index, 'n98' of query 'q0' for one" in told["errors"][0]


def test_queries_that_only_one_of_the_files_has_are_told(place, capsys):
    write(place / "some.trec", {"q1": [2, 1], "q77": [1]})
    _, told = rerank(place, capsys, "--rerank", WORDS, run_file="some.trec")
    assert told["warnings"] == [
        f"queries of {place / 'some.trec'} that {place / 'queries.jsonl'} lacks are left out: 1 (q77)",
        f"queries of {place / 'queries.jsonl'} that {place / 'some.trec'} lacks are left out: 3 (q0, q2, q_3)",
    ]
    assert read_run(place / "out.trec") == {"q1": ["n1", "n2"]}


def test_files_without_a_query_in_common_are_refused(place, capsys):
    write(place / "none.trec", {"q77": [1]})
    code, told = rerank(place, capsys, "--rerank", WORDS, run_file="none.trec")
    assert code != 0
    assert "have no query id in common" in told["errors"][0]
