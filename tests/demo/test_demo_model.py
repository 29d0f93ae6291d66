"""The shipped model, through index and search as a user runs them, on a world it never saw.

The floors lie well below what assets/reports/demo-clip.md states, so that only a real loss fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import mmretrieval as mm
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import demo_folder
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.queries import read_queries
from mmretrieval.evaluation.runs import read_qrels
from mmretrieval.searcher import DRAWN_WORLD_ONLY, EMPTY

MEGABYTES = 15


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unseen")
    write_world(folder / "world", seed=987654, images=200)
    report = mm.index(folder / "world", folder / "index", "demo")
    assert (report.indexed, report.skipped, report.warnings) == (200, (), ())
    return folder


FLOORS = {  # R@1, R@10
    "subset": (0.7, 0.95),
    "dense": (0.8, 0.98),
    "animals": (0.5, 0.9),
    "ingredients": (0.2, 0.6),
    "composed": (0.5, 0.9),
}


@pytest.mark.parametrize("which", ["", "composed_"])
def test_known_answers_are_found(world: Path, which: str) -> None:
    rows, qrels = world / "world" / f"{which}queries.jsonl", world / "world" / f"{which}qrels.tsv"
    with mm.Searcher.open(world / "index") as searcher:
        got = evaluate(searcher, read_queries(rows), read_qrels(qrels), "R@1 R@10")
    assert got.warnings == ()
    for kind, measures in got.by_type.items():
        first, ten = FLOORS[kind]
        assert measures["R@1"] >= first, (kind, measures)
        assert measures["R@10"] >= ten, (kind, measures)


def test_a_picture_of_one_kind_of_thing_is_told_from_all_others(world: Path) -> None:
    """Plain words as a visitor types them, judged by the facts in the manifest."""
    with mm.Searcher.open(world / "index") as searcher:
        for words, fact in (
            ("giraffe", "animal=giraffe"),
            ("desert", "habitat=desert"),
            ("chopsticks", "cutlery=chopsticks"),
        ):
            best = searcher.search(words, top_k=3).ids
            assert any(fact in searcher.collection.record(each).meta["facts"] for each in best), words


def test_the_model_is_small_holds_no_pickle_and_has_a_card() -> None:
    files = [path for path in demo_folder().iterdir() if path.is_file()]
    assert {path.name for path in files} == {
        "README.md",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(path.stat().st_size for path in files) <= MEGABYTES * 2**20


def test_pictures_that_are_not_drawn_come_with_a_warning_when_indexed_and_when_searched(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (90, 60), (200, 40, 40)).save(tmp_path / "photos" / "red.png")
    assert mm.index(tmp_path / "photos", tmp_path / "index", "demo").warnings == (DRAWN_WORLD_ONLY,)
    with mm.Searcher.open(tmp_path / "index") as searcher:
        assert searcher.search("red").warnings == (DRAWN_WORLD_ONLY,)


def test_an_empty_index_says_so_at_every_search(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    mm.index(tmp_path / "photos", tmp_path / "index", "demo")
    with mm.Searcher.open(tmp_path / "index") as searcher:
        ranking = searcher.search("red")
    assert (ranking.hits, ranking.warnings) == ((), (EMPTY,))
