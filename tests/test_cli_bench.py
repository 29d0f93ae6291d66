"""bench, compare and marks on the command line: reports, exit statuses, JSON."""

import json

import counting_model
import official_files as official
import pytest
from store_samples import save
from test_cli import mmr, told

from mmretrieval.evaluation.runs import write_qrels, write_run


@pytest.fixture
def folder(tmp_path):
    """Pictures with captions, queries and judgements, as `datasets/folder.py` reads them."""
    place = tmp_path / "set"
    rows = []
    for number in range(8):
        save(place / "images" / f"p{number}.png", number)
        colour = ("red", "blue")[number % 2]
        rows.append({"id": f"p{number}", "path": f"images/p{number}.png", "caption": f"{colour} thing {number}"})
    (place / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries = [{"qid": f"q{n}", "text": f"the thing {n}", "type": ("even", "odd")[n % 2]} for n in range(6)]
    (place / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    (place / "qrels.tsv").write_text("".join(f"q{n}\t0\tp{n}\t1\n" for n in range(6)))
    return place


def test_bench_writes_runs_and_reports_and_a_second_run_the_same(folder, tiny_clip_dir, tmp_path):
    out = tmp_path / "out"
    words = ["bench", "folder", "--data", folder, "--out", out, "--encoder", f"local-dir:{tiny_clip_dir}",
             "--pipeline", "dense", "--pipeline", "bm25"]  # fmt: skip
    lines = [line.split("\t") for line in mmr(*words).stdout.splitlines()]
    assert ["bm25", "R@1", "1.0000", "1.0000", "1.0000"] in lines
    assert {"dense", "oracle@20 of dense"} <= {line[0] for line in lines}
    assert lines[-1] == ["report", str(out)]
    assert {file.name for file in (out / "runs").iterdir()} == {
        "dense.trec", "bm25.trec", "oracle@20-of-dense.trec", "oracle@20-of-bm25.trec",
    }  # fmt: skip
    first = {name: (out / name).read_bytes() for name in ("report.md", "report.html", "report.json")}
    again = told(*words)
    assert {name: (out / name).read_bytes() for name in first} == first
    assert again["report"] == json.loads(first["report.json"])
    compared = told("compare", out / "runs" / "dense.trec", out / "runs" / "bm25.trec", "--qrels", out / "qrels.tsv")
    systems = {system["name"]: system for system in again["report"]["systems"]}
    [recall] = [each for each in compared["measures"] if each["measure"] == "R@1"]
    assert recall["b"] == systems["bm25"]["tables"]["R@1"][0]["mean"] == 1
    assert recall["a"] == pytest.approx(systems["dense"]["tables"]["R@1"][0]["mean"], abs=1e-6)


def test_bench_measures_a_pipeline_with_and_without_further_rerankers(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(counting_model.install(tmp_path / "site")))
    queries = [{"qid": f"q{n}", "text": " ".join(str((n + k) % 8) for k in range(5))} for n in range(6)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    words = ["bench", "folder", "--data", folder, "--out", tmp_path / "out", "--pipeline", "bm25"]
    report = told(*words, "--rerank", "pointwise:depth=3", "--mllm", f"counting:{tmp_path / 'log'}")["report"]
    systems = {system["name"]: system for system in report["systems"]}
    assert list(systems) == ["bm25", "oracle@20 of bm25", "oracle@3 of bm25", "bm25+pointwise"]
    assert systems["bm25"]["tables"] == told(*words)["report"]["systems"][0]["tables"]
    [first, then] = systems["bm25+pointwise"]["cost"]
    assert (first["stage"], first["calls"], then["stage"], then["calls"]) == ("bm25", 0, "pointwise", 6 * 3)
    assert len((tmp_path / "log").read_text().split()) == 6 * 3
    before, after = (
        [line.split() for line in (tmp_path / "out" / "runs" / f"{name}.trec").read_text().splitlines()]
        for name in ("bm25", "bm25-pointwise")
    )
    for query in {row[0] for row in before}:
        old, new = ([row[2] for row in rows if row[0] == query] for rows in (before, after))
        assert (sorted(new[:3]), new[3:]) == (sorted(old[:3]), old[3:])
    assert before != after


def test_a_benchmark_within_a_budget_is_partial_and_the_next_run_is_not(folder, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(counting_model.install(tmp_path / "site")))
    words = ["bench", "folder", "--data", folder, "--out", tmp_path / "out", "--pipeline", "bm25"]
    words += ["--rerank", "pointwise:depth=3", "--mllm", f"counting:{tmp_path / 'log'}"]
    cut = told(*words, "--max-calls", "2")
    assert (cut["status"], cut["report"]["systems"][-1]["cost"][-1]["statuses"]) == (
        "partial",
        {"fallback": 4, "ok": 2},
    )
    whole = told(*words)
    assert (whole["status"], whole["report"]["systems"][-1]["cost"][-1]["statuses"]) == ("ok", {"ok": 6})


def test_bench_may_run_the_first_queries_alone_and_other_measures(folder, tmp_path):
    report = told(
        "bench", "folder", "--data", folder, "--out", tmp_path / "out", "--pipeline", "bm25", "--limit", 2,
        "--measures", "RR P(rel=1)@2",
    )["report"]  # fmt: skip
    assert (report["benchmark"]["queries"], report["measures"]) == (2, ["RR", "P(rel=1)@2"])
    assert "only the first 2 of 6 queries were run" in report["benchmark"]["notes"]
    assert [cell["mean"] for cell in report["systems"][0]["tables"]["P(rel=1)@2"]] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing"], 2, "there is no 'nothing' among the datasets"),
        (["folder", "--pipeline", "magic"], 2, "there is no preset 'magic'"),
        (
            ["folder", "--pipeline", "square"],
            2,
            "asks a language model in 'target_caption', and none was named: give --mllm",
        ),
        (["folder", "--split", "nowhere"], 2, "has no split 'nowhere'"),
        (["folder", "--measures", "mAP"], 2, "there is no measure 'mAP'"),
        (["folder", "--rerank", "gird"], 2, "there is no 'gird' among the rerankers"),
        (["folder", "--rerank", "grid:deepth=3"], 2, "'grid' has no setting 'deepth'"),
        (["folder", "--rerank", "pointwise"], 2, "the preset 'dense+pointwise' asks a language model in 'pointwise'"),
        (["folder", "--limit", "-1"], 2, "greater than or equal to 0"),
        (["cirr"], 4, "cirr"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_bench_cannot_do_is_one_sentence_with_its_status(folder, tmp_path, words, code, message):
    report = told("bench", *words, "--data", folder, "--out", tmp_path / "out", code=code)
    assert message in report["errors"][0]
    assert not (tmp_path / "out").exists()


def test_bench_runs_choices_and_a_second_run_writes_the_same(tiny_clip_dir, tmp_path):
    data, out = official.write(tmp_path / "data", official.sugarcrepe()), tmp_path / "out"
    for number in range(2):
        save(data / "val2017" / f"{number:012d}.jpg", number)
    words = ["bench", "sugarcrepe", "--data", data, "--out", out, "--encoder", f"local-dir:{tiny_clip_dir}"]
    lines = [line.split("\t") for line in mmr(*words).stdout.splitlines()]
    assert lines[0][:2] == ["dense", "R@1"]
    first = {name: (out / name).read_bytes() for name in ("report.md", "report.html", "report.json")}
    report = told(*words)["report"]
    assert {name: (out / name).read_bytes() for name in first} == first
    table = report["systems"][0]["tables"]["R@1"]
    assert [(cell["category"], cell["queries"]) for cell in table] == [
        ("all", 14), *((category, 2) for category in sorted(official.SUGARCREPE)),
    ]  # fmt: skip
    assert float(lines[0][2]) == pytest.approx(table[0]["mean"], abs=1e-4)
    refused = told(*words, "--pipeline", "bm25", code=2)
    assert "reads words alone" in refused["errors"][0]


def test_bench_runs_correlations_and_a_second_run_writes_the_same(tiny_clip_dir, tmp_path):
    data, out = official.write(tmp_path / "data", official.crisscrossed()), tmp_path / "out"
    words = ["bench", "crisscrossed", "--data", data, "--encoder", f"local-dir:{tiny_clip_dir}"]
    lines = [line.split("\t") for line in mmr(*words, "--out", out).stdout.splitlines()]
    assert [line[:2] for line in lines[:2]] == [["dense", "Spearman"], ["dense", "Spearman of draws"]]
    first = {name: (out / name).read_bytes() for name in ("report.md", "report.html", "report.json", "pairs.tsv")}
    limited = told(*words, "--out", tmp_path / "few", "--limit", 3)["report"]
    assert told(*words, "--out", out)["report"]["benchmark"]["queries"] == 4
    assert {name: (out / name).read_bytes() for name in first} == first
    assert limited["benchmark"]["queries"] == 3
    assert "only the first 3 of 4 pairs were compared" in limited["benchmark"]["notes"]
    refused = told(*words, "--out", out, "--pipeline", "bm25", code=2)
    assert "puts candidates in an order" in refused["errors"][0]
    lacking = told(*words, "--out", out, "--split", "sits-val", code=4)
    assert "val2014/COCO_val2014_000000000000.jpg" in lacking["errors"][0]


def test_compare_prints_a_table_and_the_queries_that_change_most(tmp_path):
    write_run(tmp_path / "a.trec", {"q1": ["x", "y"], "q2": ["x", "y"]})
    write_run(tmp_path / "b.trec", {"q1": ["y", "x"], "q2": ["x", "y"]})
    write_qrels(tmp_path / "q.tsv", {"q1": {"y": 1}, "q2": {"x": 1}, "q3": {"x": 1}})
    done = mmr("compare", tmp_path / "a.trec", tmp_path / "b.trec", "--qrels", tmp_path / "q.tsv", "--measures", "R@1")
    assert done.stdout.splitlines() == [
        "measure\tA\tB\tB-A\tlow\thigh\tp\twins\tlosses",
        "R@1\t0.5000\t1.0000\t+0.5000\t+0.0000\t+1.0000\t1.0000\t1\t0",
        "gains\tR@1\tq1\t+1.0000",
        "queries\t2",
    ]
    assert "judged queries that neither run has are left out: 1 (q3)" in done.stderr


def test_compare_of_files_that_are_not_there_exits_4(tmp_path):
    report = told("compare", tmp_path / "a.trec", tmp_path / "b.trec", "--qrels", tmp_path / "q.tsv", code=4)
    assert "a.trec" in report["errors"][0]


def test_presets_are_listed_and_each_says_whether_it_is_ready():
    lines = [line.split("\t") for line in mmr("list", "presets").stdout.splitlines()]
    found = {name: about for kind, name, about, *_ in lines if kind == "presets"}
    asking = {name for name, about in found.items() if about.endswith("Ready with a language model: --mllm NAME.")}
    assert asking == {"composed", "cotrr", "inquire-pointwise", "natural_world", "square"}
    assert {name for name, about in found.items() if about.endswith(" Ready.")} == found.keys() - asking


def test_marks_measure_an_index_and_suggest_a_depth(folder, tiny_clip_dir, tmp_path):
    mmr("index", folder, "--index", tmp_path / "idx", "--encoder", f"local-dir:{tiny_clip_dir}")
    marks = [{"query": f"the thing {n}", "id": f"p{n}", "mark": 1} for n in range(5)]
    (tmp_path / "marks.jsonl").write_text("".join(json.dumps(mark) + "\n" for mark in [*marks, marks[0]]))
    words = ["marks", tmp_path / "marks.jsonl", "--index", tmp_path / "idx", "--measures", "R@1 nDCG@5"]
    report = told(*words, "--out", tmp_path / "out")
    assert report["warnings"] == ["1 marks were given again and count once"]
    assert (report["queries"], report["blend"]) == (5, None)
    assert report["depth"]["at"]["10"]["mean"] == 1
    lines = [line.split("\t") for line in mmr(*words).stdout.splitlines()]
    assert [line[0] for line in lines][:2] == ["R@1", "nDCG@5"]
    assert ["queries", "5"] in lines
    assert lines[-1][:2] == ["blend", "-"]
    again = told("eval", "--index", tmp_path / "idx", "--queries", tmp_path / "out" / "queries.jsonl",
                 "--qrels", tmp_path / "out" / "qrels.tsv", "--measures", "R@1 nDCG@5")  # fmt: skip
    assert again["measures"] == {name: pytest.approx(value["mean"]) for name, value in report["measures"].items()}
