"""The written collection: files, shapes, and judgements compared with a slow reading of the manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmretrieval.demo.sample import sample
from mmretrieval.demo.write import write_world
from mmretrieval.errors import UsageError
from mmretrieval.evaluation.queries import read_queries
from mmretrieval.evaluation.runs import read_qrels


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "w"
    write_world(folder, seed=3, images=40, domain="both")
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


def test_the_manifest_lists_every_picture_with_its_facts(world: Path) -> None:
    rows = lines(world / "manifest.jsonl")
    assert len(rows) == 40
    for number, row in enumerate(rows):
        assert set(row) >= {"id", "path", "caption", "facts", "domain"}
        assert ("ingredients" in row) == (row["domain"] == "food")
        assert row["facts"] == sorted(sample(3, number).scene.facts)
        with Image.open(world / row["path"]) as picture:
            assert (picture.size, picture.mode) == ((256, 256), "RGB")
    assert {row["domain"] for row in rows} == {"food", "nature"}


def test_relevant_is_every_picture_that_contains_what_a_dense_query_mentions(world: Path) -> None:
    rows, qrels = lines(world / "manifest.jsonl"), read_qrels(world / "qrels.tsv")
    known = {row["id"]: set(row["facts"]) for row in rows}
    for query in lines(world / "queries.jsonl"):
        number = int(query["qid"].rpartition("-")[2])
        own = rows[number]["id"]
        assert own in qrels[query["qid"]]
        if query["type"] == "dense":
            assert set(qrels[query["qid"]]) == {i for i, facts in known.items() if known[own] <= facts}
        if query["type"] == "ingredients":
            wanted = set(rows[number]["ingredients"])
            assert set(qrels[query["qid"]]) == {r["id"] for r in rows if wanted <= set(r.get("ingredients", ()))}


def test_a_composed_query_wants_exactly_the_changed_scene(world: Path) -> None:
    rows, qrels = lines(world / "manifest.jsonl"), read_qrels(world / "composed_qrels.tsv")
    queries = lines(world / "composed_queries.jsonl")
    assert len(queries) == 8
    known = {row["id"]: row["facts"] for row in rows}
    for query in queries:
        target = rows[int(query["qid"].rpartition("-")[2])]["id"]
        assert set(qrels[query["qid"]]) == {i for i, facts in known.items() if facts == known[target]}
        assert query["reference"] in known
        assert query["reference"] not in qrels[query["qid"]]


def test_our_own_readers_read_what_is_written(world: Path) -> None:
    assert len(read_queries(world / "queries.jsonl")) == 40
    assert all(row.query.is_composed for row in read_queries(world / "composed_queries.jsonl"))


def test_the_same_arguments_write_the_same_bytes_also_when_finished_later(world: Path, tmp_path: Path) -> None:
    write_world(tmp_path / "again", seed=3, images=40, domain="both")
    (tmp_path / "again" / "images" / f"{sample(3, 7).id}.png").unlink()
    (tmp_path / "again" / "qrels.tsv").unlink()
    report = write_world(tmp_path / "again", seed=3, images=40, domain="both")
    assert report.drawn == 1
    assert digest(tmp_path / "again") == digest(world)


def test_a_folder_with_something_else_is_left_alone(world: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        write_world(tmp_path, seed=3, images=4)
    with pytest.raises(UsageError, match="other arguments"):
        write_world(world, seed=4, images=40)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (tmp_path / "images").exists()


def test_one_domain_alone_can_be_drawn(tmp_path: Path) -> None:
    write_world(tmp_path / "food", seed=1, images=12, domain="food")
    assert {row["domain"] for row in lines(tmp_path / "food" / "manifest.jsonl")} == {"food"}
