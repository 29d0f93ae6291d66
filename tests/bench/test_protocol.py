"""A benchmark through presets: right values, first stage and oracle beside, nothing computed twice."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmretrieval.asks import MLLM, ChoiceScores, ScoreChoices
from mmretrieval.bench.content import benchmark_hash
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.report import report
from mmretrieval.bench.results import Cost
from mmretrieval.errors import MissingPrerequisite, NotFound, UsageError
from mmretrieval.evaluation.measures import parse_measure
from mmretrieval.making import index
from mmretrieval.presets.preset import Preset, StageSpec, read_preset
from mmretrieval.searcher import Searcher
from mmretrieval.types import Query

DENSE = StageSpec("search", "dense", {})


def asking(**settings):
    return Preset("asking", "dense, then questions", (DENSE, StageSpec("rerank", "asker", settings)))


def test_a_run_is_what_a_searcher_finds_and_its_values_are_the_measures(benchmark_of, data, encoder, tmp_path):
    told = benchmark_of()
    [dense, best] = Bench(data, tmp_path / "out", encoder).run(told, [read_preset("dense")])
    index(data, tmp_path / "idx", encoder)
    with Searcher.open(tmp_path / "idx", encoder=encoder) as searcher:
        by_path = {searcher.collection.record(each).path: each for each in searcher.ids}
        theirs = {by_path[path]: ours for ours, path in told.images.items()}
        plain = searcher.search_all([q for q in told.queries if q.within is None and q.image_id is None], 20)
    assert [theirs[each] for each in plain[0].ids] == list(dense.run["q1"])
    assert set(dense.run["pool"]) == {"p02", "p03", "p08"}
    assert "p01" not in dense.run["q3"]
    for name in told.measures:
        values = {q: parse_measure(name)(dense.run[q], told.qrels[q]) for q in ("q1", "q2", "q3", "pool")}
        assert dense.by_query[name] == values
        assert dense.tables[name][0].value.mean == pytest.approx(np.mean(list(values.values())))
    assert [cell.category for cell in dense.tables["R@1"]] == ["all", "composed", "plain"]
    assert (dense.name, best.name) == ("dense", "oracle@20 of dense")


@pytest.mark.usefixtures("asker")
def test_a_reranker_stands_beside_its_first_stage_and_an_oracle_of_its_depth(
    benchmark_of, data, encoder, judge, tmp_path
):
    told = benchmark_of(measures=("R@1", "R@4"))
    first, best, full = Bench(data, tmp_path / "out", encoder, mllm=judge).run(told, [asking(depth=4)])
    assert [each.name for each in (first, best, full)] == [
        "asking: first stage",
        "oracle@4 of asking: first stage",
        "asking",
    ]
    assert best.by_query["R@1"] == first.by_query["R@4"]  # a perfect reranker brings up what was among its candidates
    for query, ranked in full.run.items():
        assert sorted(ranked[:4]) == sorted(first.run[query][:4])
        assert ranked[4:] == first.run[query][4:]
    # the judge likes an id that ends as the query does: q1 p05, q2 p07, q3 p03, pool p08 are all right answers
    assert full.by_query["R@1"] == first.by_query["R@4"]
    [difference, _] = full.against
    assert difference.by_query == {q: full.by_query["R@1"][q] - first.by_query["R@1"][q] for q in difference.by_query}
    candidates = sum(min(4, len(ranked)) for ranked in first.run.values())
    assert full.cost == (
        Cost("dense", 0, 0, 0, {"ok": 5}), Cost("asker_method", candidates, 0, 7 * candidates, {"ok": 5}),
    )  # fmt: skip
    assert first.cost == full.cost[:1]


@pytest.mark.usefixtures("asker")
def test_a_second_run_encodes_nothing_asks_nothing_and_reports_the_same(benchmark_of, data, encoder, judge, tmp_path):
    told, presets = benchmark_of(), [read_preset("dense"), asking()]
    bench = Bench(data, tmp_path / "out", encoder, mllm=judge)
    once = report(told, bench.run(told, presets), data)
    spent = (encoder.pictures, encoder.texts, judge.asked)
    assert min(spent) > 0
    again = report(told, bench.run(told, presets), data)
    assert (encoder.pictures, encoder.texts, judge.asked) == spent
    assert json.dumps(again) == json.dumps(once)
    elsewhere = report(told, replace(bench, out=tmp_path / "other").run(told, presets), data)
    assert {**elsewhere, "times": 0} == {**once, "times": 0}


def test_presets_with_the_same_first_stage_share_it(benchmark_of, data, encoder, tmp_path):
    same = Preset("same", "dense by another name", (DENSE,))
    results = Bench(data, tmp_path / "out", encoder).run(benchmark_of(), [read_preset("dense"), same])
    assert [each.name for each in results] == ["dense", "oracle@20 of dense"]


def test_a_changed_query_or_setting_is_searched_anew_and_a_changed_picture_is_encoded(
    benchmark_of, data, encoder, tmp_path
):
    bench, told = Bench(data, tmp_path / "out", encoder), benchmark_of()
    bench.run(told, [read_preset("dense")])
    texts, pictures = encoder.texts, encoder.pictures
    bench.run(replace(told, queries=(Query("q1", "pale"), *told.queries[1:])), [read_preset("dense")])
    assert encoder.texts > texts
    assert encoder.pictures - pictures <= 20  # the canaries of a check, no candidate
    weighted = Preset("weighted", "", (DENSE,), weights={"text": 1.0, "image": 0.0})
    [first, *_] = bench.run(told, [weighted])
    [plain, *_] = bench.run(told, [read_preset("dense")])
    assert first.run["q3"] != plain.run["q3"]
    assert first.run["q1"] == plain.run["q1"]
    from store_samples import save

    save(data / "pictures" / "p00.png", 99)
    before = first.run
    [now, *_] = bench.run(told, [weighted])
    assert now.run.keys() == before.keys()
    assert encoder.pictures > pictures


def test_a_stage_that_is_not_here_is_told_before_any_work(benchmark_of, data, encoder, tmp_path):
    absent = Preset("absent", "", (DENSE, StageSpec("rerank", "no_such_thing", {})))
    with pytest.raises(MissingPrerequisite, match="'absent' needs the method 'no_such_thing' to rerank"):
        Bench(data, tmp_path / "out", encoder).run(benchmark_of(), [read_preset("dense"), absent])
    assert not (tmp_path / "out").exists()
    assert encoder.pictures == 0


@pytest.mark.usefixtures("asker")
def test_a_preset_that_asks_a_model_needs_one_before_any_work(benchmark_of, data, encoder, tmp_path):
    with pytest.raises(UsageError, match="'asking' asks a language model in 'asker', and none was named"):
        Bench(data, tmp_path / "out", encoder).run(benchmark_of(), [read_preset("dense"), asking()])
    assert not (tmp_path / "out").exists()


def test_a_gallery_that_was_taken_away_is_made_anew(benchmark_of, data, encoder, tmp_path):
    bench = Bench(data, tmp_path / "out", encoder)
    [first, _] = bench.run(benchmark_of(), [read_preset("dense")])
    [folder] = (tmp_path / "out" / "cache" / "galleries").iterdir()
    shutil.rmtree(folder / "index")
    shutil.rmtree(tmp_path / "out" / "cache" / "rankings")
    [again, _] = bench.run(benchmark_of(), [read_preset("dense")])
    assert again.run == first.run


# --- candidates that are texts ------------------------------------------------------------------------------------


def test_without_pictures_the_mean_of_a_candidates_texts_stands_for_it(benchmark_of, encoder, tmp_path):
    told = benchmark_of(queries=(Query("q1", "a red thing p05"),), qrels={"q1": {"p05": 1}}, categories={})
    (tmp_path / "empty").mkdir()
    [dense, _] = Bench(tmp_path / "empty", tmp_path / "out", encoder).run(told, [read_preset("dense")])
    rows = {each: encoder.encode_texts(text.split("\n")).mean(axis=0) for each, text in told.texts.items()}
    query = encoder.encode_texts(["a red thing p05"])[0]
    scores = {each: float(row / np.linalg.norm(row) @ query) for each, row in rows.items()}
    assert list(dense.run["q1"]) == sorted(scores, key=lambda each: (-scores[each], each))
    assert dense.facts["candidates"]["medium"] == "texts"
    assert encoder.pictures <= 20


def test_words_alone_need_no_model(benchmark_of, tmp_path):
    told = benchmark_of(queries=(Query("q1", "some dark thing"),), qrels={"q1": {"p08": 1}}, categories={})
    (tmp_path / "empty").mkdir()
    [words, _] = Bench(tmp_path / "empty", tmp_path / "out", "no/model").run(told, [read_preset("bm25")])
    assert words.facts["candidates"]["medium"] == "words"
    assert set(words.run["q1"]) == {each for each, text in told.texts.items() if "dark" in text} == {"p03", "p08"}
    assert words.facts["encoder"] == {}


def test_candidates_without_pictures_and_texts_are_refused(benchmark_of, data, encoder, tmp_path):
    (tmp_path / "empty").mkdir()
    bench = Bench(tmp_path / "empty", tmp_path / "out", encoder)
    with pytest.raises(NotFound, match="none of the 12 pictures of small is below"):
        bench.run(benchmark_of(texts={}), [read_preset("dense")])
    with pytest.raises(NotFound, match="have no texts, so words alone cannot find them"):
        Bench(data, tmp_path / "out", encoder).run(benchmark_of(texts={}), [read_preset("bm25")])


def test_some_pictures_that_are_not_here_are_told(benchmark_of, data, encoder, tmp_path):
    (data / "pictures" / "p11.png").unlink()
    (data / "pictures" / "p01.png").unlink()
    [dense, _] = Bench(data, tmp_path / "out", encoder).run(benchmark_of(), [read_preset("dense")])
    assert "2 of 12 candidates are not here" in dense.facts["candidates"]["notes"]
    assert dense.run["q3"] == ()
    assert "queries with a reference that is not among the candidates count 0" in dense.warnings


# --- further measures ---------------------------------------------------------------------------------------------


def test_a_subset_is_ranked_by_itself(benchmark_of, data, encoder, tmp_path):
    told = benchmark_of(subsets={"q1": frozenset({"p05", "p06", "p07"}), "q2": frozenset({"p07", "p08"})})
    [dense, best] = Bench(data, tmp_path / "out", encoder).run(told, [read_preset("dense")])
    assert dense.by_query["R_subset@3"] == {"q1": 1, "q2": 1, "q3": 0, "pool": 0}
    whole = Bench(data, tmp_path / "whole", encoder, measures=("R@12",)).run(told, [read_preset("dense")])[0].run
    for query, members in told.subsets.items():
        order = [each for each in whole[query] if each in members]
        assert dense.by_query["R_subset@1"][query] == float(told.qrels[query].get(order[0], 0) >= 1)
    assert "R_subset@1" not in best.tables


def test_dialogues_are_told_round_by_round(benchmark_of, data, encoder, tmp_path):
    queries = tuple(Query(f"d{d}:{r}", f"a red thing {d} {r}") for d in range(3) for r in range(2))
    told = benchmark_of(
        queries=queries,
        qrels={query.id: {f"p0{query.id[1]}": 1} for query in queries},
        categories={},
        dialogues={f"d{d}": (f"d{d}:0", f"d{d}:1") for d in range(3)},
    )
    [dense, _] = Bench(data, tmp_path / "out", encoder).run(told, [read_preset("dense")])
    ranks = {q.id: dense.run[q.id].index(f"p0{q.id[1]}") + 1 for q in queries}
    assert [each.recall for each in dense.rounds] == [
        pytest.approx(np.mean([ranks[f"d{d}:{r}"] <= 10 for d in range(3)])) for r in range(2)
    ]
    assert dense.rounds[1].mean_rank == pytest.approx(np.mean([ranks[f"d{d}:1"] for d in range(3)]))


def test_without_judgements_there_are_rankings_and_no_values(benchmark_of, data, encoder, tmp_path):
    told = benchmark_of(qrels={}, categories={})
    [dense, *_] = results = Bench(data, tmp_path / "out", encoder).run(told, [read_preset("dense")])
    assert len(dense.run) == 5
    assert (dense.tables, report(told, results, data)["measures"]) == ({}, [])


def test_the_hash_of_a_benchmark_changes_with_what_is_judged_and_not_with_the_place_of_the_data(
    benchmark_of, data, tmp_path
):
    told = benchmark_of()
    with_file = replace(told, queries=(Query("q1", image=data / "pictures" / "p03.png"), *told.queries[1:]))
    moved = tmp_path / "moved"
    data.rename(moved)
    also = replace(told, queries=(Query("q1", image=moved / "pictures" / "p03.png"), *told.queries[1:]))
    assert benchmark_hash(also, moved) != benchmark_hash(told, moved)
    moved.rename(data)
    assert benchmark_hash(with_file, data) == benchmark_hash(replace(with_file), data)
    first = benchmark_hash(with_file, data)
    data.rename(moved)
    assert benchmark_hash(also, moved) == first
    assert benchmark_hash(replace(told, qrels={**told.qrels, "q2": {"p07": 2}}), moved) != benchmark_hash(told, moved)


# --- words find, and pictures are looked at ------------------------------------------------------------------------

LOOKER = """
from mmretrieval.asks import ScoreChoices
from mmretrieval.stages import Reranker
from mmretrieval.types import Hit

class Looker(Reranker):
    "Shows each candidate's picture, and puts the larger number first."
    needs = frozenset({ScoreChoices})
    def rerank(self, query, candidates):
        replies = yield [ScoreChoices((c.image, "?"), ("yes", "no")) for c in candidates]
        order = sorted(range(len(candidates)), key=lambda n: (-replies[n].log_probs[0], n))
        return [Hit(candidates[n].record.id, "looker", replies[n].log_probs[0]) for n in order]
"""


class Reddest(MLLM):
    """Likes pictures by their mean red."""

    spec, answers = "reddest", frozenset({ScoreChoices})

    def answer(self, asks):
        return [ChoiceScores((redness(ask.parts[0]), 0.0)) for ask in asks]


def redness(picture):
    return float(np.asarray(picture.convert("RGB"), float)[..., 0].mean())


@pytest.fixture
def looking(tmp_path, monkeypatch):
    """BM25, then the reranker "looker", installed as another package would be."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "looker_method.py").write_text(LOOKER)
    info = tmp_path / "package" / "looker_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: looker-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mmretrieval.rerankers]\nlooker = looker_method:Looker\n")
    monkeypatch.syspath_prepend(str(tmp_path / "package"))
    yield Preset("looking", "words, then a look", (StageSpec("search", "bm25", {}), StageSpec("rerank", "looker", {})))
    sys.modules.pop("looker_method", None)


def test_pictures_that_words_found_can_be_looked_at_without_an_encoder(benchmark_of, data, looking, tmp_path):
    told = benchmark_of(queries=(Query("q1", "a green thing"),), qrels={"q1": {"p08": 1}}, categories={})
    bench = Bench(data, tmp_path / "out", "no/model", mllm=Reddest())
    first, _, looked = bench.run(told, [looking])
    assert first.facts["candidates"]["medium"] == "words"
    assert first.facts["encoder"] == {}
    reds = {each: redness(Image.open(data / told.images[each])) for each in first.run["q1"]}
    assert len(set(reds.values())) > 2
    assert list(looked.run["q1"]) == sorted(reds, key=lambda each: -reds[each])
    assert bench.run(told, [looking])[2].run == looked.run


def test_a_preset_that_looks_where_no_picture_is_says_so(benchmark_of, looking, tmp_path):
    (tmp_path / "empty").mkdir()
    told = benchmark_of(queries=(Query("q1", "a dark thing"),), qrels={"q1": {"p08": 1}}, categories={})
    with pytest.raises(NotFound, match=r"'looking' looks at pictures of candidates, and none is below .*empty"):
        Bench(tmp_path / "empty", tmp_path / "out", "no/model", mllm=Reddest()).run(told, [looking])
