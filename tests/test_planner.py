"""The planner: which kind is chosen, that the stated recall holds, and what is on record about it."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mmretrieval import planner
from mmretrieval.collection import Collection
from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.indexes._coarse import Effort
from mmretrieval.indexes._tuning import Point, chosen
from mmretrieval.indexes.exact import Exact
from mmretrieval.indexing_vectors import index_vectors
from mmretrieval.planner import choose, describe, is_due, open_index, prepare
from mmretrieval.vectors import unit_rows

DETIC = Path(__file__).parents[2] / "shared/data/emb-detic-clip-text/shared"


def two_kinds(n, texts, dim=64, seed=0):
    """Rows like pictures and queries like texts: clusters in a common part, and one mean per kind that is its own."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    centres = rng.normal(size=(80, dim - 2)) @ axes[2:]
    points = centres[rng.integers(0, 80, n + texts)] + rng.normal(size=(n + texts, dim)) * 0.8
    shift = np.linalg.norm(points, axis=1).mean()
    return unit_rows(points[:n] + shift * axes[0]), unit_rows(points[n:] + shift * axes[1])


PICTURES, TEXTS = two_kinds(6000, 300)


def stored(folder, matrix, prefix="p"):
    index_vectors(matrix, [f"{prefix}{number:05d}" for number in range(len(matrix))], folder)
    return folder


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """An index folder with a plan for `pq`, tuned on texts and pictures."""
    folder = stored(tmp_path_factory.mktemp("planned") / "index", PICTURES)
    said = []
    plan = prepare(folder, kind="pq", text_queries=TEXTS[:200], progress=lambda *told: said.append(told))
    return folder, plan, said


def recall(index, queries):
    exact = Exact(index.rows).search(queries, 10)
    found = index.search(queries, 10)
    return np.mean([np.isin(best, some).mean() for (best, _), (some, _) in zip(exact, found, strict=True)])


@pytest.mark.parametrize(
    ("n", "memory", "kind"),
    [
        (0, None, "exact"),
        (200_000, None, "exact"),
        (200_001, None, "pq"),
        (5_000_000, 10**9, "pq"),
        (5_000_000, 35 * 10**7, "binary"),
        (5_000_000, 10**8, "exact"),
    ],
)
def test_the_kind_follows_from_the_number_of_vectors_and_the_memory(n, memory, kind):
    assert choose(n, 512, memory) == kind


def test_the_stated_recall_holds_on_texts_that_were_not_tuned_on(collected):
    folder, plan, _ = collected
    assert min(plan.recall.values()) >= plan.target == 0.98
    assert plan.warnings == ()
    with Collection.open(folder) as collection:
        index = open_index(collection)
        index.always_exact = 0
        assert index.name == "pq"
        assert recall(index, TEXTS[200:]) >= 0.96
        assert recall(index, PICTURES[::60]) >= 0.96


def test_the_plan_is_on_record(collected):
    folder, plan, said = collected
    with Collection.open(folder) as collection:
        told = describe(collection)
    assert told == json.loads(json.dumps(plan.to_dict()))
    assert (told["kind"], told["tuned_on"], told["slots"]) == ("pq", {"image": 200, "text": 200}, 6000)
    assert told["bytes"] == (folder / "cache/image/pq.index").stat().st_size
    assert {point["reach"] for point in told["curve"]} >= {told["effort"]["reach"]}
    assert ("adding vectors to the index", 6000, 6000) in said


def test_tuning_on_pictures_alone_is_flagged(tmp_path):
    plan = prepare(stored(tmp_path / "index", PICTURES), kind="rabitq")
    assert plan.recall["text"] is None
    assert plan.recall["image"] >= 0.98
    assert "tuned on pictures alone" in plan.warnings[0]


def test_where_no_effort_reaches_the_recall_the_nearest_is_taken_and_said():
    points = [
        Point(Effort(reach, 100), {"image": 0.99, "text": text}, float(reach))
        for reach, text in ((1, 0.5), (2, 0.91), (4, 0.9))
    ]
    assert chosen(points, 0.98).effort.reach == 2
    assert chosen(points, 0.5).effort.reach == 1
    (said,) = planner.doubts(chosen(points, 0.98).recall, 0.98)
    assert "searches by texts find 0.910 on average where 0.98 was asked for" in said
    assert planner.doubts({"image": 0.98, "text": 0.99}, 0.98) == []


def test_what_stands_is_kept_and_another_request_is_worked_out(tmp_path):
    folder = stored(tmp_path / "index", PICTURES[:5000])
    first = prepare(folder, kind="pq", text_queries=TEXTS[:60])
    file = folder / "cache/image/pq.index"
    before = file.stat().st_mtime_ns
    assert prepare(folder, kind="pq", text_queries=TEXTS[:60]).to_dict() == json.loads(json.dumps(first.to_dict()))
    assert file.stat().st_mtime_ns == before
    lower = prepare(folder, recall=0.8, text_queries=TEXTS[:60])
    assert (lower.kind, lower.target, file.stat().st_mtime_ns > before) == ("pq", 0.8, True)
    assert prepare(folder, text_queries=TEXTS[:60]).target == 0.8
    assert prepare(folder, kind="exact").kind == "exact"
    with Collection.open(folder) as collection:
        assert isinstance(open_index(collection), Exact)


def test_a_kind_that_was_asked_for_stays_until_the_choice_is_given_back(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "EXACT_UP_TO", 4000)
    folder = stored(tmp_path / "index", PICTURES[:4500])
    assert prepare(folder, kind="rabitq", text_queries=TEXTS[:60]).kind == "rabitq"
    kept = prepare(folder, text_queries=TEXTS[:60])
    assert (kept.kind, kept.asked) == ("rabitq", "rabitq")
    given_back = prepare(folder, kind="auto", text_queries=TEXTS[:60])
    assert (given_back.kind, given_back.asked) == ("pq", "auto")
    assert prepare(folder, text_queries=TEXTS[:60]).asked == "auto"
    with Collection.open(folder) as collection:
        assert open_index(collection).name == "pq"


def test_a_kind_keeps_its_settings(tmp_path):
    folder = stored(tmp_path / "index", PICTURES[:4500])
    assert prepare(folder, kind="rabitq:bits=1", text_queries=TEXTS[:60]).kind == "rabitq"
    first = prepare(folder, kind="rabitq:bits=4", text_queries=TEXTS[:60])
    assert (first.kind, first.asked) == ("rabitq:bits=4", "rabitq:bits=4")
    file = folder / "cache/image/rabitq-bits=4.index"
    before = file.stat().st_mtime_ns
    assert prepare(folder, text_queries=TEXTS[:60]).kind == "rabitq:bits=4"
    assert file.stat().st_mtime_ns == before
    with Collection.open(folder) as collection:
        assert not is_due(collection)
        index, crude = open_index(collection), open_index(collection, "rabitq")
        assert (index.bits, crude.bits) == (4, 1)
        index.always_exact = 0
        assert recall(index, TEXTS[200:]) >= 0.96
        with pytest.raises(UsageError, match="its settings are bits"):
            open_index(collection, "rabitq:byte=4")


def test_it_is_due_again_when_the_tail_is_long_a_fifth_has_changed_or_the_index_is_lost(tmp_path, monkeypatch):
    folder = stored(tmp_path / "index", PICTURES[:4500])
    prepare(folder, kind="pq", text_queries=TEXTS[:60])
    stored(folder, PICTURES[:5000])
    with Collection.open(folder) as collection:
        assert not is_due(collection)
        assert open_index(collection).search(PICTURES[4900:4901], 1)[0][0].tolist() == [4900]
        monkeypatch.setattr(planner, "TAIL", 499)
        assert is_due(collection)
    extended = prepare(folder, kind="pq", text_queries=TEXTS[:60])
    assert (extended.slots, extended.trained) == (5000, 4500)
    with Collection.open(folder) as collection:
        index = open_index(collection)
        index.always_exact = 0
        assert index.search(PICTURES[4900:4901], 1)[0][0].tolist() == [4900]
        assert recall(index, TEXTS[60:]) >= 0.96
    stored(folder, PICTURES)
    with Collection.open(folder) as collection:
        assert is_due(collection)
    assert prepare(folder, kind="pq", text_queries=TEXTS[:60]).slots == 6000
    with Collection.open(folder) as collection:
        assert not is_due(collection)
    (folder / "cache/image/pq.index").unlink()
    with Collection.open(folder) as collection:
        assert is_due(collection)


def test_a_small_collection_needs_no_index(tmp_path):
    folder = stored(tmp_path / "index", PICTURES[:50])
    assert prepare(folder).kind == prepare(folder, kind="pq").kind == "exact"
    with Collection.open(folder) as collection:
        assert describe(collection)["recall"] == {"text": 1.0, "image": 1.0}
        assert not is_due(collection)
        assert open_index(collection, "hnsw").search(PICTURES[:1], 1)[0][0].tolist() == [0]


def test_a_plan_is_written_whole_or_not_at_all(collected):
    folder, plan, _ = collected
    with sqlite3.connect(folder / "catalog.sqlite") as catalog:
        ((value,),) = catalog.execute("SELECT value FROM meta WHERE key = ?", [planner.META]).fetchall()
    assert json.loads(value)["kind"] == plan.kind


def test_too_little_memory_means_exact_search_and_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "EXACT_UP_TO", 4000)
    folder = stored(tmp_path / "index", PICTURES[:4500])
    plan = prepare(folder, memory=1000)
    assert plan.kind == "exact"
    assert "allow more --memory" in plan.warnings[0]
    again = prepare(folder, text_queries=TEXTS[:60])  # as the next run of `index` would do
    assert (again.kind, again.memory) == ("exact", 1000)
    signs = prepare(folder, memory=4500 * 10, text_queries=TEXTS[:60])
    assert (signs.kind, prepare(folder, text_queries=TEXTS[:60]).kind) == ("binary", "binary")
    assert prepare(folder, memory=10**9, text_queries=TEXTS[:60]).kind == "pq"


@pytest.mark.parametrize("wrong", [0.0, 1.01, -1.0])
def test_a_recall_that_makes_no_sense_is_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="recall to reach"):
        prepare(tmp_path / "index", recall=wrong)


def test_unknown_kinds_missing_folders_and_texts_of_another_model_are_refused(tmp_path):
    with pytest.raises(NotFound, match="no index here"):
        prepare(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    folder = stored(tmp_path / "index", PICTURES[:4500])
    with pytest.raises(UsageError, match="no 'magic' among the indexes"):
        prepare(folder, kind="magic")
    with pytest.raises(InvalidData, match="rows of 64"):
        prepare(folder, kind="pq", text_queries=TEXTS[:5, :32])


@pytest.mark.skipif(not DETIC.is_dir(), reason="the CLIP text vectors of ../shared/data/emb-detic-clip-text are absent")
@pytest.mark.parametrize("kind", ["binary", "exact", "hnsw", "ivf", "pq", "rabitq", "torch"])
def test_real_clip_vectors_are_found_exactly(tmp_path, kind):
    """Class names of one list look for those of three others: too few to need lists, so every kind is exact."""
    lists = {file.name.split("_")[0]: np.load(file, allow_pickle=False) for file in sorted(DETIC.glob("*.npy"))}
    folder = stored(tmp_path / "index", np.concatenate([lists["lvis"], lists["oid"], lists["o365"]]))
    queries = unit_rows(lists["coco"])
    with Collection.open(folder) as collection:
        found = open_index(collection, kind).search(queries, 10)
        matrix = collection.rows().take(np.arange(collection.count)).astype(np.float64)
    scores = (matrix @ queries.T.astype(np.float64)).astype(np.float32)  # names of two lists tie
    truth = np.argsort(-scores, axis=0, kind="stable")[:10].T
    assert [positions.tolist() for positions, _ in found] == truth.tolist()
