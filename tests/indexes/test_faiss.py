"""What is special about the FAISS index: it is a cache, never the truth."""

import json
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search

from mmretrieval.indexes.faiss import Faiss

QUERY = random_unit(1, 16, seed=8)


@pytest.fixture
def rows():
    return MemoryRows(random_unit(500, 16), block=64)


def index_file(folder):
    (file,) = folder.glob("faiss-*.index")
    return file


def assert_right(index, rows):
    positions, scores = index.search(QUERY, 9)[0]
    assert (positions.tolist(), scores.tolist()) == slow_search(rows, QUERY[0], 9)


def test_what_was_built_is_found_again(rows, tmp_path, caplog):
    assert_right(Faiss(rows, tmp_path), rows)
    before = index_file(tmp_path).stat()
    assert_right(Faiss(rows, tmp_path), rows)
    after = index_file(tmp_path).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".index", ".json"]
    assert not caplog.records


def test_without_a_cache_nothing_is_written(rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_right(Faiss(rows), rows)
    assert list(tmp_path.iterdir()) == []


def test_changed_rows_get_an_index_of_their_own(rows, tmp_path):
    assert_right(Faiss(rows, tmp_path), rows)
    changed = MemoryRows(random_unit(500, 16, seed=1))
    assert_right(Faiss(changed, tmp_path), changed)
    assert_right(Faiss(rows, tmp_path), rows)


def test_old_contents_are_removed_from_the_cache_after_a_while(tmp_path):
    for seed in range(7):
        some = MemoryRows(random_unit(20, 16, seed=seed))
        assert_right(Faiss(some, tmp_path), some)
    assert len(list(tmp_path.glob("*.index"))) == len(list(tmp_path.glob("*.json"))) == 4


def flip_a_byte(file):
    data = bytearray(file.read_bytes())
    data[-100] ^= 0x40
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[:-1])


def empty(file):
    file.write_bytes(b"")


def break_description(file):
    file.with_suffix(".json").write_text("{", "utf-8")


def describe_other_rows(file):
    told = json.loads(file.with_suffix(".json").read_text("utf-8"))
    file.with_suffix(".json").write_text(json.dumps({**told, "key": "other"}), "utf-8")


def remove_index(file):
    file.unlink()


@pytest.mark.parametrize("harm", [flip_a_byte, cut, empty, break_description, describe_other_rows, remove_index])
def test_a_damaged_cache_is_noticed_and_built_again(rows, tmp_path, caplog, harm):
    assert_right(Faiss(rows, tmp_path), rows)
    harm(index_file(tmp_path))
    assert_right(Faiss(rows, tmp_path), rows)
    assert "is built again" in caplog.text
    caplog.clear()
    assert_right(Faiss(rows, tmp_path), rows)
    assert not caplog.records


def test_wrong_content_under_a_right_description_is_noticed_by_its_scores(rows, tmp_path, caplog):
    other = MemoryRows(random_unit(500, 16, seed=1))
    Faiss(rows, tmp_path / "mine").search(QUERY, 1)
    Faiss(other, tmp_path / "other").search(QUERY, 1)
    mine, foreign = index_file(tmp_path / "mine"), index_file(tmp_path / "other")
    told = json.loads(foreign.with_suffix(".json").read_text("utf-8"))
    mine.write_bytes(foreign.read_bytes())
    mine.with_suffix(".json").write_text(json.dumps({**told, "key": rows.key}), "utf-8")
    assert_right(Faiss(rows, tmp_path / "mine"), rows)
    assert "in truth" in caplog.text


def test_the_cache_may_vanish_at_any_time(rows, tmp_path):
    folder = tmp_path / "cache"
    index = Faiss(rows, folder)
    assert_right(index, rows)
    shutil.rmtree(folder)
    assert_right(index, rows)
    assert_right(Faiss(rows, folder), rows)


def test_a_cache_that_cannot_be_written_costs_time_only(rows, tmp_path, caplog):
    """A file where the folder should be fails for every user, also for root."""
    caplog.set_level(logging.WARNING)
    (tmp_path / "cache").write_text("in the way", "utf-8")
    assert_right(Faiss(rows, tmp_path / "cache"), rows)
    assert "stays in memory" in caplog.text


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_folder_costs_time_only(rows, tmp_path, caplog):
    tmp_path.chmod(0o500)
    try:
        assert_right(Faiss(rows, tmp_path), rows)
    finally:
        tmp_path.chmod(0o700)
    assert "stays in memory" in caplog.text


def test_many_near_ties_at_the_edge_are_fetched_until_the_result_is_certain(tmp_path):
    one = random_unit(1, 16)
    rows = MemoryRows(np.concatenate([np.repeat(one, 300, axis=0), random_unit(200, 16, seed=2)]))
    positions, _ = Faiss(rows, tmp_path).search(one, 5)[0]
    assert positions.tolist() == [0, 1, 2, 3, 4]


def test_no_leftovers_of_an_unfinished_write_stay(rows, tmp_path):
    assert_right(Faiss(rows, tmp_path), rows)
    assert not list(tmp_path.glob("*.part"))


def test_the_module_can_be_imported_without_loading_faiss():
    code = "import sys, mmretrieval.indexes.faiss; print('faiss' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
