import shutil
from contextlib import closing

import numpy as np
import pytest
from store_samples import SketchEncoder, save

from mmretrieval import compaction
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.compaction import compact, is_due
from mmretrieval.indexing import index


@pytest.fixture
def pictures(tmp_path):
    for number in range(20):
        save(tmp_path / f"pictures/{number:02d}.png", number)
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder(), batch_size=4)
    for number in range(0, 20, 3):
        (tmp_path / f"pictures/{number:02d}.png").unlink()
    for number in (1, 2):
        save(tmp_path / f"pictures/{number:02d}.png", 100 + number)
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder(), batch_size=4)
    return tmp_path / "pictures"


def compacted(folder, **settings):
    with closing(Catalog.open_writer(folder)) as catalog:
        compact(catalog, folder, **settings)


def state(folder):
    with Collection.open(folder) as collection:
        return (
            collection.ids,
            collection.vectors("image", collection.ids).tolist(),
            collection.info()["bytes"]["vectors"],
        )


@pytest.mark.parametrize("rows_per_segment", [3, 5, 100])
def test_compaction_keeps_every_record_and_drops_every_dead_row(pictures, rows_per_segment):
    folder = pictures.parent / "index"
    ids, vectors, size = state(folder)
    assert size == (20 + 2) * 24 * 2
    compacted(folder, rows_per_segment=rows_per_segment)
    assert state(folder) == (ids, vectors, 13 * 24 * 2)
    compacted(folder, rows_per_segment=rows_per_segment)
    assert state(folder) == (ids, vectors, 13 * 24 * 2)


def test_a_run_goes_on_after_compaction_as_before(pictures):
    folder = pictures.parent / "index"
    compacted(folder)
    save(pictures / "new.png", 55)
    shutil.copy(pictures / "04.png", pictures / "copy.png")
    encoder = SketchEncoder()
    report = index(pictures, folder, encoder=encoder)
    assert (report.indexed, report.unchanged, report.duplicates, encoder.calls) == (1, 13, 1, [1])
    other = index(pictures, pictures.parent / "other", encoder=SketchEncoder())
    assert other.indexed == 14
    assert state(folder)[:2] == state(pictures.parent / "other")[:2]


def test_a_reader_from_before_keeps_its_rows(pictures):
    folder = pictures.parent / "index"
    with Collection.open(folder) as collection:
        before = collection.vectors("image", collection.ids)
        compacted(folder)
        assert np.array_equal(collection.vectors("image", collection.ids), before)
        with collection.refresh() as newest:
            assert newest.rows().key != collection.rows().key
            assert np.array_equal(newest.vectors("image", newest.ids), before)


def test_a_compaction_killed_before_its_commit_changes_nothing(pictures):
    folder = pictures.parent / "index"
    before = state(folder)
    rest = folder / "vectors/image/000001.f16"
    rest.write_bytes(b"rows of a compaction that was killed")
    assert state(folder)[:2] == before[:2]
    save(pictures / "new.png", 55)
    index(pictures, folder, encoder=SketchEncoder())
    assert not rest.exists()
    before = state(folder)
    rest.write_bytes(b"and once more" * 1000)
    compacted(folder)
    assert state(folder)[:2] == before[:2]


def test_it_is_due_when_many_rows_and_a_good_share_are_dead(pictures, monkeypatch):
    with closing(Catalog.open_writer(pictures.parent / "index")) as catalog:
        assert not is_due(catalog)
        monkeypatch.setattr(compaction, "LEAST_DEAD", 5)
        assert is_due(catalog)
        monkeypatch.setattr(compaction, "DEAD_SHARE", 0.5)
        assert not is_due(catalog)


def test_an_empty_index_compacts_to_nothing(tmp_path):
    (tmp_path / "pictures").mkdir()
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder())
    compacted(tmp_path / "index")
    assert state(tmp_path / "index") == ([], [], 0)


def test_a_segment_number_is_never_used_for_other_rows(pictures):
    folder = pictures.parent / "index"
    for picture in pictures.iterdir():
        picture.unlink()
    index(pictures, folder, encoder=SketchEncoder())
    with Collection.open(folder) as collection:
        before = collection.rows().storage_key(collection.rows().stored)
    compacted(folder)
    for number in range(22):
        save(pictures / f"{number:02d}.png", 200 + number)
    index(pictures, folder, encoder=SketchEncoder())
    with Collection.open(folder) as collection:
        assert collection.rows().storage_key(collection.rows().stored) != before
