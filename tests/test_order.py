"""The order of the ids, kept in files: the same as the catalogue tells, whatever happens to the files."""

import os
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.indexing_vectors import index_vectors
from mmretrieval.order import Ids, Order

COUNT = 700


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An index whose ids were given in no order, with some of the records replaced and some removed."""
    folder = tmp_path_factory.mktemp("order") / "index"
    rng = np.random.default_rng(4)
    names = [f"n{number}" for number in rng.permutation(COUNT)]
    rows = rng.normal(size=(COUNT, 8)).astype(np.float32)
    index_vectors(rows, names, folder)
    rows[::7] += 1
    index_vectors(rows[:-50], names[:-50], folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "index")


def opened(folder, least=1):
    catalog = Catalog.open_snapshot(folder)
    meta = catalog.meta()
    return catalog, Order(catalog, f"{meta['uid']}-{meta['generation']}", least)


def tables(folder, least=1):
    catalog, order = opened(folder, least)
    with closing(catalog):
        return order.numbers.copy(), order.places("image").copy()


def told_by_sqlite(folder):
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
        joined = "records JOIN vectors ON record = number WHERE channel = 'image' ORDER BY id"
        table = np.array(connection.execute(f"SELECT number, segment, row FROM {joined}").fetchall())
    return table[:, 0], table[:, 1:]


def check(folder, least=1):
    for found, expected in zip(tables(folder, least), told_by_sqlite(folder), strict=True):
        np.testing.assert_array_equal(found, expected)


def kept(folder):
    return sorted((folder / "cache" / "order").glob("*"))


def test_the_first_reader_keeps_it_and_the_second_maps_it(folder):
    assert kept(folder) == []
    check(folder)
    assert len(kept(folder)) == 2
    before = [file.stat().st_mtime_ns for file in kept(folder)]
    check(folder)
    assert [file.stat().st_mtime_ns for file in kept(folder)] == before
    catalog, order = opened(folder)
    with closing(catalog):
        assert not order.numbers.flags.writeable
    assert order.numbers[3] == told_by_sqlite(folder)[0][3]


def test_a_small_collection_needs_no_files(folder):
    check(folder, least=COUNT)
    assert kept(folder) == []


@pytest.mark.parametrize("damage", ["empty", "short", "long", "byte", "mark", "columns", "folder"])
def test_a_damaged_file_is_made_again(folder, damage, caplog):
    check(folder)
    good = {file: file.read_bytes() for file in kept(folder)}
    for file, data in good.items():
        damaged = bytearray(data)
        if damage == "byte":
            damaged[len(damaged) // 2] ^= 1
        elif damage == "mark":
            damaged[0] ^= 1
        elif damage == "columns":
            damaged[16] += 1
        file.unlink()
        if damage == "folder":
            file.mkdir()
            continue
        file.write_bytes({"empty": b"", "short": damaged[:-8], "long": bytes(damaged) + b"x"}.get(damage, damaged))
    check(folder)
    assert "is made again" in caplog.text
    if damage != "folder":
        assert {file: file.read_bytes() for file in kept(folder)} == good


def test_another_state_has_files_of_its_own_and_old_ones_are_tidied_away(folder):
    rng = np.random.default_rng(8)
    for number in range(12):
        index_vectors(rng.normal(size=(20, 8)), [f"x{number}-{each}" for each in range(20)], folder)
        check(folder)
    assert 2 <= len(kept(folder)) <= 6


def test_a_snapshot_keeps_its_order_while_a_writer_goes_on(folder):
    catalog, order = opened(folder)
    expected = told_by_sqlite(folder)
    with closing(catalog):
        index_vectors(np.eye(8), [f"z{number}" for number in range(8)], folder)
        np.testing.assert_array_equal(order.numbers, expected[0])
        np.testing.assert_array_equal(order.places("image"), expected[1])
    check(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_where_the_cache_cannot_be_written_it_stays_in_memory(folder):
    (folder / "cache").mkdir(exist_ok=True)
    (folder / "cache").chmod(0o555)
    check(folder)


def test_where_the_cache_is_a_file_it_stays_in_memory(folder):
    shutil.rmtree(folder / "cache", ignore_errors=True)
    (folder / "cache").write_text("no folder")
    check(folder)


@pytest.fixture(scope="module")
def lazy(made):
    """Ids that stay in the catalogue, and the plain list they stand for."""
    catalog, order = opened(made, least=COUNT)
    with closing(catalog), Collection.open(made) as collection:
        assert isinstance(collection.ids, list)
        yield Ids(catalog, order.numbers), collection.ids


def test_ids_that_stay_in_the_catalogue_are_a_sequence_as_a_list_is(lazy):
    ids, plain = lazy
    assert len(ids) == len(plain) == COUNT - 50
    assert list(ids) == plain
    assert ids == plain
    assert plain == ids
    assert ids != plain[:-1]
    assert ids != [*plain[:-1], "other"]
    assert "n3" not in ids[:1] or plain[0] == "n3"
    assert plain[5] in ids
    assert "nobody" not in ids
    assert 5 not in ids
    assert ids.index(plain[9]) == 9
    assert list(reversed(ids)) == plain[::-1]
    with pytest.raises(IndexError):
        _ = ids[len(plain)]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_place_and_any_slice_is_that_of_the_list(lazy, data):
    ids, plain = lazy
    place = data.draw(st.integers(-len(plain), len(plain) - 1))
    assert ids[place] == plain[place]
    cut = data.draw(st.slices(len(plain)))
    assert ids[cut] == plain[cut]
    positions = data.draw(st.lists(st.integers(0, len(plain) - 1), max_size=30))
    assert ids.at(np.array(positions, dtype=np.int64)) == [plain[each] for each in positions]


def test_the_position_of_a_number_is_that_of_its_record(folder):
    for least in (1, COUNT):
        catalog, order = opened(folder, least)
        with closing(catalog):
            assert [order.position_of(number) for number in order.numbers.tolist()] == list(range(COUNT - 50))


def test_records_and_ids_at_positions_are_those_of_the_ids(made):
    positions = np.array([5, 0, 5, 600, 12])
    with Collection.open(made) as collection:
        assert collection.ids_at(positions) == [collection.ids[each] for each in positions]
        assert collection.records_at(positions) == collection.records(collection.ids_at(positions))
        assert collection.records_at(positions[:0]) == []
