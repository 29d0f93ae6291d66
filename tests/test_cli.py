"""The command line as a person uses it: a process, a folder of pictures, a real (tiny, random) model on disk."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import ir_measures
import numpy as np
import pytest
from PIL import Image

import mmretrieval as mm
from mmretrieval.cli.entry import run
from mmretrieval.evaluation.measures import parse_measure
from mmretrieval.evaluation.runs import read_qrels, read_run

BROKEN = "broken.jpg"


class Done(NamedTuple):
    stdout: str
    stderr: str


def process(*arguments, cwd=None, code=0):
    """Run the command as a person does; its exit status must be `code`. Loading torch anew takes seconds."""
    words = [sys.executable, "-m", "mmretrieval", *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return Done(done.stdout, done.stderr)


def mmr(*arguments, cwd=None, code=0):
    """The same in this process, so that the heavy packages are loaded once for all tests."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or Path.cwd()):
        returned = run(list(map(str, arguments)))
    assert returned == code, f"{returned}\n{out.getvalue()}\n{err.getvalue()}"
    return Done(out.getvalue(), err.getvalue())


def told(*arguments, cwd=None, code=0, by=mmr):
    """The one JSON object on stdout."""
    return json.loads(by(*arguments, "--json", cwd=cwd, code=code).stdout)


def draw(folder, count, size=48):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(11)
    for number in range(count):
        coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.NEAREST).save(folder / f"p{number}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_clip_dir):
    """A folder of pictures with one broken file, and its index."""
    place = tmp_path_factory.mktemp("cli")
    draw(place / "photos", 9)
    (place / "photos" / BROKEN).write_bytes((place / "photos" / "p0.png").read_bytes()[:60])
    (place / "photos" / "notes.txt").write_text("no picture")
    report = told(
        "index", place / "photos", "--index", place / "idx", "--encoder", f"local-dir:{tiny_clip_dir}", code=7
    )
    (place / "report.json").write_text(json.dumps(report))
    return place


@pytest.fixture(scope="module")
def judged(place):
    """Queries of all shapes with made-up judgements."""
    queries = [
        {"qid": "t1", "type": "words", "text": "a red square"},
        {"qid": "t2", "type": "words", "text": "two blue dots on grey"},
        {"qid": "t3", "type": "words", "text": "never judged"},
        {"qid": "c1", "type": "composed", "text": "but darker", "reference": "p3"},
        {"qid": "i1", "type": "picture", "reference": "p5"},
    ]
    (place / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in queries))
    lines = ["t1 0 p1 1", "t1 0 p4 2", "t2\t0\tp8\t1", "c1 0 p7 1", "c1 0 p2 1", "i1 0 p6 3"]
    (place / "qrels.tsv").write_text("\n".join(lines) + "\n")
    return place


def test_index_reports_what_it_did_and_what_it_left_out(place):
    report = json.loads((place / "report.json").read_text())
    assert (report["command"], report["status"], report["errors"]) == ("index", "partial", [])
    counts = {name: report[name] for name in ("indexed", "unchanged", "moved", "removed", "duplicates")}
    assert counts == {"indexed": 9, "unchanged": 0, "moved": 0, "removed": 0, "duplicates": 0}
    assert [skipped["path"] for skipped in report["skipped"]] == [BROKEN]
    assert report["skipped"][0]["reason"]
    assert report["seconds"] > 0


def test_indexing_again_changes_nothing_and_needs_no_encoder_name(place):
    report = told("index", place / "photos", "--index", place / "idx", code=7)
    assert (report["indexed"], report["unchanged"]) == (0, 9)
    assert [skipped["path"] for skipped in report["skipped"]] == [BROKEN]


def test_an_index_keeps_the_precision_it_was_made_with(tmp_path, tiny_clip_dir):
    draw(tmp_path / "photos", 3)
    told("index", "photos", "--index", "idx", "--encoder", tiny_clip_dir, "--precision", "bf16", cwd=tmp_path)
    report = told("index", "photos", "--index", "idx", cwd=tmp_path)
    assert (report["indexed"], report["unchanged"]) == (0, 3)
    assert told("info", "--index", "idx", cwd=tmp_path)["fingerprint"]["precision"] == "bf16"
    assert told("search", "a red square", "--index", "idx", cwd=tmp_path)["hits"]
    report = told("index", "photos", "--index", "idx", "--precision", "fp32", cwd=tmp_path, code=5)
    assert "precision" in report["errors"][0]


def test_without_a_broken_file_the_exit_status_is_0(place, tmp_path, tiny_clip_dir):
    draw(tmp_path / "photos", 2)
    done = mmr("index", tmp_path / "photos", "--index", tmp_path / "idx", "--encoder", tiny_clip_dir)
    assert "indexed\t2" in done.stdout.splitlines()


def test_search_prints_rank_score_id_and_path_in_columns(place):
    lines = process("search", "a red square", "--index", place / "idx", "-k", 4).stdout.splitlines()
    cells = [line.split("\t") for line in lines]
    with mm.Searcher.open(place / "idx") as searcher:
        hits = searcher.search("a red square", top_k=4).hits
    assert cells == [[str(rank), f"{hit.score:.4f}", hit.id, hit.path] for rank, hit in enumerate(hits, start=1)]


@pytest.mark.parametrize("number", range(9))
def test_each_picture_finds_itself_first_as_a_file_and_as_an_id(place, number):
    with mm.Searcher.open(place / "idx") as searcher:
        for query in ({"image": place / "photos" / f"p{number}.png"}, {"image_id": f"p{number}"}):
            best = searcher.search(**query, top_k=3).hits[0]
            assert best.id == f"p{number}"
            assert best.score == pytest.approx(1, abs=2e-3)


def test_a_picture_and_words_with_weights_come_through_the_command_line(place):
    options = ["--image", "id:p3", "--weight", "text=2,image=0.5", "--index", place / "idx"]
    report = told("search", "but darker", *options)
    assert (report["command"], report["status"]) == ("search", "ok")
    fields = {"rank", "id", "path", "score", "by", "why", "scores", "shares", "duplicates", "details"}
    fields |= {"first_stage_rank"}
    assert set(report["hits"][0]) == fields
    assert [hit["rank"] for hit in report["hits"]] == list(range(1, 10))
    assert report["steps"]
    query = mm.Query(text="but darker", image_id="p3", weights={"text": 2, "image": 0.5})
    with mm.Searcher.open(place / "idx") as searcher:
        expected = searcher.search(query)
        unweighted = searcher.search("but darker", image_id="p3")
    assert [hit["id"] for hit in report["hits"]] == expected.ids
    assert [hit["score"] for hit in report["hits"]] == pytest.approx([hit.score for hit in expected.hits])
    assert [hit.score for hit in expected.hits] != [hit.score for hit in unweighted.hits]


def test_a_picture_file_can_be_given_from_another_folder(place):
    report = told("search", "--image", "p4.png", "--index", place / "idx", "-k", 1, cwd=place / "photos")
    assert report["hits"][0]["id"] == "p4"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--image", "nowhere.png"], 4, "nowhere.png"),
        (["--image", "id:p99"], 4, "p99"),
        (["--image", "photos/notes.txt"], 5, "notes.txt"),
        (["--image", f"photos/{BROKEN}"], 5, BROKEN),
        (["a", "--encoder", "local-dir:nowhere"], 4, "nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_query_that_cannot_be_read_is_one_clear_sentence(place, arguments, code, message):
    report = told("search", *arguments, "--index", "idx", cwd=place, code=code)
    assert report["status"] == "error"
    [error] = report["errors"]
    assert message in error
    assert "\n" not in error


def test_an_encoder_other_than_the_one_of_the_index_is_refused(place, tmp_path, tiny_clip_dir):
    from safetensors.torch import load_file, save_file

    other = tmp_path / "other"
    shutil.copytree(tiny_clip_dir, other)
    [weights] = other.glob("*.safetensors")
    tensors = {
        name: tensor * 1.5 if tensor.is_floating_point() else tensor for name, tensor in load_file(weights).items()
    }
    save_file(tensors, weights)
    for arguments in (
        ["search", "a", "--index", place / "idx", "--encoder", f"local-dir:{other}"],
        ["index", place / "photos", "--index", place / "idx", "--encoder", f"local-dir:{other}"],
    ):
        report = told(*arguments, code=5)
        assert "new folder" in report["errors"][0]


def test_info_counts_records_and_names_the_encoder(place):
    report = told("info", "--index", place / "idx")
    assert report["counts"]["records"] == 9
    assert report["counts"]["skipped"] == 1
    assert report["fingerprint"]
    assert "files" not in report
    assert "counts.records\t9" in mmr("info", "--index", place / "idx").stdout.splitlines()


def test_info_tells_of_every_file_its_state_and_the_reason(place):
    files = {entry["path"]: entry for entry in told("info", "--index", place / "idx", "--files")["files"]}
    assert set(files) == {*(f"p{number}.png" for number in range(9)), BROKEN, "notes.txt"}
    assert files["p3.png"]["state"] == "indexed"
    assert (files[BROKEN]["state"], bool(files[BROKEN]["reason"])) == ("skipped", True)
    assert (files["notes.txt"]["state"], bool(files["notes.txt"]["reason"])) == ("ignored", True)
    lines = mmr("info", "--index", place / "idx", "--files").stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == sorted(files)


def test_eval_measures_what_the_python_interface_finds(judged):
    arguments = ["--index", judged / "idx", "--queries", judged / "queries.jsonl", "--qrels", judged / "qrels.tsv"]
    measures = "nDCG@3 R@1 R@5 AP Recall@2"
    report = told("eval", *arguments, "--measures", measures, "--run", judged / "run.trec")
    run, qrels = read_run(judged / "run.trec"), read_qrels(judged / "qrels.tsv")
    assert (report["queries"], report["left_out"]) == (4, ["t3"])
    assert set(run) == {"t1", "t2", "c1", "i1"}
    assert "p3" not in run["c1"]
    assert "p5" not in run["i1"]
    assert len(run["c1"]) == 8
    with mm.Searcher.open(judged / "idx") as searcher:
        assert run["t1"] == searcher.search("a red square", top_k=9).ids
        expected = [each for each in searcher.search("but darker", image_id="p3", top_k=9).ids if each != "p3"]
        assert run["c1"] == expected
    for name in measures.split():
        values = [parse_measure(name)(run[qid], qrels[qid]) for qid in run]
        assert report["measures"][name] == pytest.approx(sum(values) / 4)
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure("nDCG@3")],
        ir_measures.read_trec_qrels(str(judged / "qrels.tsv")),
        ir_measures.read_trec_run(str(judged / "run.trec")),
    )
    assert report["measures"]["nDCG@3"] == pytest.approx(next(iter(theirs.values())))


def test_eval_prints_measures_for_all_and_for_each_type(judged):
    arguments = ["--index", judged / "idx", "--queries", judged / "queries.jsonl", "--qrels", judged / "qrels.tsv"]
    done = mmr("eval", *arguments)
    cells = [line.split("\t") for line in done.stdout.splitlines()]
    assert [cell[0] for cell in cells[:3]] == ["nDCG@10", "R@1", "R@10"]
    assert {cell[2] for cell in cells} == {"all", "words", "composed", "picture"}
    assert ["queries", "4", "all"] in cells
    assert "queries without a relevant image in the qrels are left out: 1 (t3)" in done.stderr


def test_a_drawn_world_is_indexed_and_measured_from_its_own_files(tmp_path, tiny_clip_dir):
    world = told("world", "world", "--seed", 5, "--images", 30, cwd=tmp_path)
    assert (world["command"], world["images"]) == ("world", 30)
    report = told("index", "world", "--index", "idx", "--encoder", tiny_clip_dir, cwd=tmp_path)
    assert (report["status"], report["indexed"]) == ("ok", 30)
    for prefix in ("", "composed_"):
        files = ["--queries", f"world/{prefix}queries.jsonl", "--qrels", f"world/{prefix}qrels.tsv"]
        result = told("eval", "--index", "idx", *files, "--run", "run.trec", "--measures", "R@30", cwd=tmp_path)
        rows = [json.loads(line) for line in (tmp_path / "world" / f"{prefix}queries.jsonl").read_text().splitlines()]
        assert (result["measures"], result["queries"]) == ({"R@30": 1.0}, len(rows))
        run = read_run(tmp_path / "run.trec")
        for query in rows:
            assert len(run[query["qid"]]) == (29 if "reference" in query else 30)
            assert query.get("reference") not in run[query["qid"]]


def test_both_indexes_give_the_same_answers(place):
    reports = [
        told("search", "a red square", "--index", place / "idx", "--index-kind", kind) for kind in ("exact", "pq")
    ]
    assert reports[0]["hits"] == reports[1]["hits"]


def test_index_and_pictures_can_move_together(place, tmp_path):
    for name in ("photos", "idx"):
        shutil.copytree(place / name, tmp_path / name)
    report = told("search", "--image", "id:p2", "--index", "idx", "-k", 1, cwd=tmp_path)
    assert report["hits"][0]["path"] == "p2.png"
    assert told("info", "--index", tmp_path / "idx")["root"] == str(tmp_path / "photos")


@pytest.mark.slow
def test_an_interrupt_while_indexing_is_a_clean_stop_that_can_be_continued(tmp_path, tiny_clip_dir):
    draw(tmp_path / "photos", 600, size=256)
    words = ["index", "photos", "--index", "idx", "--encoder", str(tiny_clip_dir), "--batch-size", "4", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mmretrieval", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for_records(tmp_path / "idx", process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    report = json.loads(out)
    assert (process.returncode, report["status"]) == (7, "partial"), err
    assert 0 < report["indexed"] < 600
    assert any("run the same command again" in warning for warning in report["warnings"])
    rest = told(*words[:-1], cwd=tmp_path)
    assert (rest["indexed"], rest["unchanged"]) == (600 - report["indexed"], report["indexed"])


def wait_for_records(index: Path, process):
    from mmretrieval.errors import MMRetrievalError

    while process.poll() is None:
        try:
            with mm.Collection.open(index) as collection:
                if collection.count:
                    return
        except MMRetrievalError:  # not there yet
            pass
        time.sleep(0.02)
    raise AssertionError(f"it ended by itself: {process.communicate()}")


def test_doctor_looks_at_everything_and_tells_problems_by_its_exit_status():
    out = StringIO()
    with redirect_stdout(out):
        code = run(["doctor", "--json"])
    report = json.loads(out.getvalue())
    checks = {check["name"]: check for check in report["checks"]}
    assert {"python", "torch", "faiss-cpu", "sqlite", "demo model", "model cache", "disk", "compute"} <= set(checks)
    problems = [check for check in checks.values() if not check["ok"]]
    assert code == (3 if problems else 0)
    assert report["status"] == ("error" if problems else "ok")
    assert [error.partition(":")[0] for error in report["errors"]] == [check["name"] for check in problems]


def test_ready_vectors_are_indexed_searched_and_described_from_the_command_line(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    np.save(tmp_path / "F.npy", matrix)
    np.save(tmp_path / "Q.npy", matrix[:5] + 1)
    (tmp_path / "F.txt").write_text("".join(f"v{number:02d}\n" for number in range(40)))
    given = ["--vectors", "F.npy", "--ids", "F.txt", "--index", "idx"]
    report = told("index", *given, "--text-vectors", "Q.npy", "--recall", "0.95", "--memory", "1GB", cwd=tmp_path)
    assert (report["status"], report["indexed"]) == ("ok", 40)
    assert report["first_stage"]["kind"] == "exact"  # so few need nothing else
    assert told("index", *given, cwd=tmp_path)["unchanged"] == 40
    for asked, flags in (
        ("pq", ["--index-kind", "pq"]),
        ("pq", ["--recall", "0.9"]),
        ("auto", ["--index-kind", "auto"]),
    ):
        assert told("index", *given, *flags, cwd=tmp_path)["first_stage"]["asked"] == asked
    hits = told("search", "--image", "id:v07", "--index", "idx", "-k", "3", cwd=tmp_path)["hits"]
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    assert [hit["id"] for hit in hits] == [f"v{at:02d}" for at in np.argsort(-(unit @ unit[7]))[:3]]
    info = told("info", "--index", "idx", cwd=tmp_path)
    assert (info["counts"]["records"], info["counts"]["indexed"], info["source"]) == (40, 40, "vectors")
    assert {"kind", "bytes", "recall", "tuned_on"} <= info["first_stage"].keys()
    [error] = told("search", "a bowl", "--index", "idx", cwd=tmp_path, code=2)["errors"]
    assert "--encoder NAME" in error
    [error] = told("index", *given[:2], "--ids", "nowhere.txt", "--index", "idx", cwd=tmp_path, code=4)["errors"]
    assert "nowhere.txt" in error


def test_info_shows_counts_and_encoder_first_and_hashes_last(place):
    names = [line.partition("\t")[0] for line in mmr("info", "--index", place / "idx").stdout.splitlines()]
    groups = list(dict.fromkeys(name.partition(".")[0] for name in names))
    assert groups[:3] == ["counts", "encoder", "first_stage"]
    assert groups[-1] == "fingerprint"
