"""Language models on the command line: nothing is asked twice, budgets hold, and a recording does without a model."""

import json
import sqlite3

import counting_model
import pytest
from test_cli import draw, mmr, told

DEPTH = 5
RERANK = ["--rerank", f"pointwise:depth={DEPTH}"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, tiny_clip_dir):
    """A folder with an index, queries and judgements, to be copied."""
    place = tmp_path_factory.mktemp("model")
    draw(place / "pictures", 9)
    mmr("index", "pictures", "--index", "idx", "--encoder", f"local-dir:{tiny_clip_dir}", cwd=place)
    queries = [{"qid": f"q{n}", "text": f"thing {n}"} for n in range(4)]
    (place / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    (place / "qrels.tsv").write_text("".join(f"q{n}\t0\tp{n}\t1\n" for n in range(4)))
    return place


@pytest.fixture
def place(pictures, tmp_path, monkeypatch):
    """The same without what the test before left, and a model that counts."""
    monkeypatch.syspath_prepend(str(counting_model.install(tmp_path / "site")))
    for file in (pictures / "idx").glob("replies.*"):
        file.unlink()
    return pictures


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def mllm(log):
    return ["--mllm", f"counting:{log}"]


def asked(log):
    return log.read_text().split() if log.exists() else []


def search(place, *words, code=0):
    return told("search", "thing", "--index", "idx", *words, cwd=place, code=code)


def step(report, name="pointwise"):
    [found] = [each for each in report["steps"] if each["name"] == name]
    return found


def test_a_second_search_makes_no_call_and_finds_the_same(place, log, mllm):
    first, second = search(place, *RERANK, *mllm), search(place, *RERANK, *mllm)
    assert (step(first)["calls"], step(first)["cached"], step(first)["tokens"]) == (DEPTH, 0, 50 * DEPTH)
    assert (step(second)["calls"], step(second)["cached"], step(second)["tokens"]) == (0, DEPTH, 50 * DEPTH)
    assert second["hits"] == first["hits"]
    assert [hit["id"] for hit in first["hits"]] != [hit["id"] for hit in search(place)["hits"]]
    assert len(asked(log)) == DEPTH


def test_another_query_asks_anew_and_a_deeper_search_only_for_what_is_new(place, log, mllm):
    search(place, *RERANK, *mllm)
    deeper = step(search(place, "--rerank", f"pointwise:depth={DEPTH + 2}", *mllm))
    assert (deeper["calls"], deeper["cached"]) == (2, DEPTH)
    assert len(set(asked(log))) == len(asked(log)) == DEPTH + 2


def test_a_second_eval_makes_no_call_and_measures_the_same(place, log, mllm, tmp_path):
    words = ["eval", "--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", *RERANK, *mllm]
    first = told(*words, "--run", tmp_path / "first.trec", cwd=place)
    assert len(set(asked(log))) == len(asked(log)) == 4 * DEPTH
    second = told(*words, "--run", tmp_path / "second.trec", cwd=place)
    assert second["measures"] == first["measures"]
    assert first["status"] == second["status"] == "ok"
    assert (step(first)["calls"], step(first)["cached"]) == (4 * DEPTH, 0)
    assert (step(second)["calls"], step(second)["cached"]) == (0, 4 * DEPTH)
    assert (tmp_path / "first.trec").read_bytes() == (tmp_path / "second.trec").read_bytes()
    assert len(asked(log)) == 4 * DEPTH


def test_a_budget_of_calls_is_kept_and_the_best_so_far_comes_with_the_reason(place, log, mllm):
    report = search(place, *RERANK, *mllm, "--max-calls", "3")
    cut = step(report)
    assert len(asked(log)) == cut["calls"] == 3
    assert (cut["status"], cut["unanswered"], report["status"]) == ("partial", 2, "partial")
    assert "2 of 5 asks failed: the budget of 3 calls is spent" in cut["note"]
    assert (
        "'pointwise' went without replies of the language model: the budget of 3 calls is spent" in report["warnings"]
    )
    assert {hit["id"] for hit in report["hits"]} == {hit["id"] for hit in search(place)["hits"]}
    assert step(search(place, *RERANK, *mllm))["calls"] == 2, "the next run asks for what was left over"


def test_an_evaluation_within_a_budget_is_partial(place, mllm):
    words = ["eval", "--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", *RERANK]
    report = told(*words, *mllm, "--max-calls", "1", cwd=place)
    assert report["status"] == "partial"
    assert step(report)["status"] == {"partial": 1, "fallback": 3}


def test_a_run_that_is_reranked_within_a_budget_is_partial(place, mllm, tmp_path):
    (tmp_path / "in.trec").write_text("q0 Q0 p1 1 0.5 x\nq0 Q0 p2 2 0.4 x\n")
    words = ["rerank", "--index", "idx", "--run", tmp_path / "in.trec", "--queries", "queries.jsonl", *RERANK, *mllm]
    report = told(*words, "--out", tmp_path / "out.trec", "--max-calls", "1", cwd=place)
    assert (report["status"], step(report)["status"]) == ("partial", {"partial": 1})
    assert told(*words, "--out", tmp_path / "all.trec", cwd=place)["status"] == "ok"


def test_nothing_is_spent_on_a_budget_of_nothing(place, log, mllm):
    for limit in (["--max-calls", "0"], ["--max-seconds", "0"], ["--max-cost", "0.001", "--price", "10"]):
        report = search(place, *RERANK, *mllm, *limit)
        assert asked(log) == []
        assert (step(report)["status"], report["status"]) == ("fallback", "partial")
        assert [hit["id"] for hit in report["hits"]] == [hit["id"] for hit in search(place)["hits"]]


def test_a_recording_replaces_the_model_and_gives_the_same_run(place, log, mllm, tmp_path):
    words = ["eval", "--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", *RERANK]
    record = tmp_path / "calls.jsonl"
    first = told(*words, *mllm, "--record", record, "--run", tmp_path / "first.trec", cwd=place)
    for file in (place / "idx").glob("replies.*"):
        file.unlink()
    second = told(*words, "--replay", record, "--run", tmp_path / "second.trec", cwd=place)
    assert second["measures"] == first["measures"]
    assert step(second)["calls"] == 0
    assert (tmp_path / "first.trec").read_bytes() == (tmp_path / "second.trec").read_bytes()
    assert len(asked(log)) == 4 * DEPTH
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert lines[0]["model"]["fingerprint"] == {"counting": 1}
    assert len(lines) == 1 + 4 * DEPTH


def test_a_replay_says_what_was_not_recorded(place, mllm, tmp_path):
    record = tmp_path / "calls.jsonl"
    search(place, *RERANK, *mllm, "--record", record)
    report = told("search", "other", "--index", "idx", *RERANK, "--replay", record, cwd=place)
    assert step(report)["status"] == "fallback"
    [warning] = report["warnings"]
    assert "has no reply to '" in warning
    assert "other" in warning
    assert "record again" in warning


def test_of_many_warnings_about_single_queries_eval_tells_some(place, mllm, tmp_path):
    record = tmp_path / "calls.jsonl"
    search(place, *RERANK, *mllm, "--record", record)
    many = [{"qid": f"q{n}", "text": f"other {n}"} for n in range(30)]
    (tmp_path / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many))
    (tmp_path / "qrels.tsv").write_text("".join(f"q{n}\t0\tp1\t1\n" for n in range(30)))
    words = ["--queries", tmp_path / "many.jsonl", "--qrels", tmp_path / "qrels.tsv", *RERANK, "--replay", record]
    warnings = told("eval", "--index", "idx", *words, cwd=place)["warnings"]
    assert len(warnings) == 21
    assert warnings[-1] == "and 10 more warnings of single queries"


def test_a_run_that_was_cut_by_a_budget_is_replayed_as_it_was(place, mllm, tmp_path):
    record = tmp_path / "calls.jsonl"
    first = search(place, *RERANK, *mllm, "--max-calls", "3", "--record", record)
    again = search(place, *RERANK, "--replay", record)
    assert again["hits"] == first["hits"]


def test_a_server_that_dies_costs_nothing_that_was_answered(place, log, mllm):
    search(place, *RERANK, *mllm, "--max-calls", "2")
    log.with_suffix(".dead").write_text("")
    broken = search(place, *RERANK, *mllm)
    assert (step(broken)["calls"], step(broken)["cached"], step(broken)["unanswered"]) == (3, 2, 3)
    assert "connection refused" in broken["warnings"][0]
    log.with_suffix(".dead").unlink()
    mended = search(place, *RERANK, *mllm)
    assert (step(mended)["calls"], step(mended)["cached"], step(mended)["status"]) == (3, 2, "ok")


def test_explain_tells_the_planned_calls_before_they_are_made(place, log, mllm):
    words = ["search", "thing", "--index", "idx", *RERANK, *mllm, "--explain"]
    told_first = mmr(*words, "--max-calls", "0", cwd=place).stderr
    assert f"plan: 'pointwise' asks at most {DEPTH} times, about" in told_first
    assert "there are no earlier replies to judge by" in told_first
    assert asked(log) == []
    mmr(*words, cwd=place)
    told_then = mmr(*words, cwd=place).stderr
    assert (
        f"asks at most {DEPTH} times, about {50 * DEPTH} tokens (by {DEPTH} earlier replies of this model)" in told_then
    )


def test_info_tells_how_much_is_kept(place, mllm):
    assert "replies" not in told("info", "--index", "idx", cwd=place)
    search(place, *RERANK, *mllm)
    kept = told("info", "--index", "idx", cwd=place)["replies"]
    assert list(kept["models"].values()) == [DEPTH]
    assert kept["bytes"] > 1000
    assert f"replies.models.{mllm[1]}\t{DEPTH}" in mmr("info", "--index", "idx", cwd=place).stdout


def test_a_damaged_cache_is_told_and_the_search_goes_on(place, log, mllm):
    (place / "idx" / "replies.sqlite").write_bytes(b"nonsense " * 1000)
    report = search(place, *RERANK, *mllm)
    assert "replies.sqlite is damaged" in report["warnings"][0]
    assert step(search(place, *RERANK, *mllm))["calls"] == 0


def test_a_cache_of_a_newer_version_is_refused(place, mllm):
    with sqlite3.connect(place / "idx" / "replies.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert "update mmretrieval, or delete the file" in search(place, *RERANK, *mllm, code=5)["errors"][0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (RERANK, 2, "'pointwise' asks a language model: name one with --mllm"),
        (["--mllm", "counting:x"], 2, "'counting:x' was named, and no stage asks one"),
        (["--max-calls", "3"], 2, "--max-calls is about calls of a language model: name one with --mllm"),
        (["--record", "r"], 2, "--record is about calls"),
        ([*RERANK, "--mllm", "counting:x", "--replay", "r"], 2, "leave out --mllm and --record"),
        ([*RERANK, "--mllm", "counting:x", "--max-cost", "3"], 2, "needs a price"),
        ([*RERANK, "--replay", "nowhere.jsonl"], 4, "there is no recording nowhere.jsonl"),
        (["--rerank", "magic", "--mllm", "counting:x"], 2, "there is no 'magic' among the rerankers"),
        (["--rewrite", "magic", "--mllm", "counting:x"], 2, "there is no 'magic' among the rewriters"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_one_sentence_with_its_status(place, words, code, message):
    assert message in search(place, *words, code=code)["errors"][0]


@pytest.fixture
def bench(place, tiny_clip_dir):
    """The words of the command, but for --out and the model."""
    folder = place / "set"
    if not folder.exists():
        folder.mkdir()
        lines = [{"id": f"p{n}", "path": f"p{n}.png", "caption": f"thing number {n}"} for n in range(9)]
        draw(folder, 9)
        (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for name in ("queries.jsonl", "qrels.tsv"):
            (folder / name).write_bytes((place / name).read_bytes())
        (folder / "asking.toml").write_text(
            'about = "vectors, then one question for each"\n[[stages]]\nverb = "search"\nmethod = "dense"\n'
            f'[[stages]]\nverb = "rerank"\nmethod = "pointwise"\ndepth = {DEPTH}\n'
        )
    words = ["bench", "folder", "--data", "set", "--pipeline", "set/asking.toml"]
    return [*words, "--encoder", f"local-dir:{tiny_clip_dir}"]


def test_a_benchmark_asks_within_its_budget_and_goes_on_where_it_stopped(bench, place, log, mllm, tmp_path):
    words = [*bench, "--out", tmp_path / "out"]
    first = told(*words, *mllm, "--max-calls", "7", cwd=place)
    assert len(asked(log)) == 7
    assert "the budget of 7 calls is spent" in " ".join(first["warnings"])
    whole = told(*words, *mllm, cwd=place)
    assert len(set(asked(log))) == len(asked(log)) == 4 * DEPTH
    assert whole["warnings"] == []
    assert told(*words, *mllm, cwd=place)["report"] == whole["report"]
    assert len(asked(log)) == 4 * DEPTH


def test_a_benchmark_is_replayed_from_its_recording(bench, place, log, mllm, tmp_path):
    record = tmp_path / "calls.jsonl"
    first = told(*bench, "--out", tmp_path / "one", *mllm, "--record", record, cwd=place)
    calls = len(asked(log))
    second = told(*bench, "--out", tmp_path / "two", "--replay", record, cwd=place)
    assert len(asked(log)) == calls
    for name in ("dense", "asking"):
        runs = [tmp_path / out / "runs" / f"{name}.trec" for out in ("one", "two")]
        if runs[0].exists():
            assert runs[0].read_bytes() == runs[1].read_bytes()
    tables = [[system["tables"] for system in each["report"]["systems"]] for each in (first, second)]
    assert tables[0] == tables[1]


def test_a_benchmark_whose_stages_ask_nobody_takes_no_model(bench, place, mllm, tmp_path):
    words = ["bench", "folder", "--data", "set", "--pipeline", "bm25", "--out", tmp_path / "out", *mllm]
    assert "no stage of these presets asks one" in told(*words, cwd=place, code=2)["errors"][0]
