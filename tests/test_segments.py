from pathlib import Path

import numpy as np
import pytest

from mmretrieval import segments
from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.segments import Rows, Segment, append_rows, map_segment, segment_path


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def unit(rng, n, dim=6):
    matrix = rng.normal(size=(n, dim)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def grow(index, *matrices, rows_per_segment=7):
    """Appends one matrix after the other, as an indexing run does; returns lengths by number and all places."""
    lengths, places, last = {}, [], None
    for matrix in matrices:
        touched, new = append_rows(index, "image", last, matrix, rows_per_segment=rows_per_segment)
        lengths.update(touched)
        places.append(new)
        last = touched[-1] if touched else last
    return lengths, np.concatenate(places)


def rows_of(index, lengths, places, dim=6, name="a"):
    segments = [(n, map_segment(index, "image", Segment(n, rows), dim)) for n, rows in sorted(lengths.items())]
    return Rows(segments, places, dim=dim, name=name)


def collected(rows, rows_per_block):
    found = np.full((rows.n, rows.dim), np.nan, dtype=np.float16)
    for positions, matrix in rows.blocks(rows_per_block):
        assert 0 < len(positions) == len(matrix) <= rows_per_block
        assert np.isnan(found[positions]).all(), "a row came twice"
        found[positions] = matrix
    return found


@pytest.mark.parametrize("rows_per_block", [1, 2, 3, 7, 100])
def test_blocks_give_every_row_once_at_the_position_of_its_id(tmp_path, rng, rows_per_block):
    matrices = [unit(rng, n) for n in (3, 0, 9, 1, 4)]
    lengths, places = grow(tmp_path, *matrices)
    order = rng.permutation(len(places))
    rows = rows_of(tmp_path, lengths, places[order])
    expected = np.concatenate(matrices).astype(np.float16)[order]
    assert np.array_equal(collected(rows, rows_per_block), expected)
    assert np.array_equal(rows.take(np.arange(rows.n)), expected.astype(np.float32))


def test_rows_without_a_record_are_left_out(tmp_path, rng):
    matrix = unit(rng, 20)
    lengths, places = grow(tmp_path, matrix)
    alive = np.array([19, 0, 3, 4, 5, 6, 8])
    rows = rows_of(tmp_path, lengths, places[alive])
    assert np.array_equal(collected(rows, 4), matrix.astype(np.float16)[alive])
    assert np.array_equal(rows.take(np.array([1, 1, 0])), matrix.astype(np.float16)[[0, 0, 19]].astype(np.float32))


def test_two_positions_never_share_a_row_unless_told_so(tmp_path, rng):
    lengths, places = grow(tmp_path, unit(rng, 15))
    assert len({tuple(place) for place in places}) == 15
    assert lengths == {0: 7, 1: 7, 2: 1}


def test_bytes_beyond_the_committed_length_are_never_read_and_cut_off_by_the_next_writer(tmp_path, rng):
    first, lost, second = unit(rng, 4), unit(rng, 3), unit(rng, 2)
    touched, places = append_rows(tmp_path, "image", None, first)
    append_rows(tmp_path, "image", touched[-1], lost)  # written, never committed: the process was killed
    with segment_path(tmp_path, "image", 0).open("ab") as file:
        file.write(b"half a row")
    assert np.array_equal(rows_of(tmp_path, dict(touched), places).take(np.arange(4)), first.astype(np.float16))
    after, more = append_rows(tmp_path, "image", touched[-1], second)
    assert after == [Segment(0, 6)]
    rows = rows_of(tmp_path, dict(after), np.concatenate([places, more]))
    assert np.array_equal(rows.take(np.arange(6)), np.concatenate([first, second]).astype(np.float16))
    assert segment_path(tmp_path, "image", 0).stat().st_size == 6 * 6 * 2


def test_a_reader_keeps_its_rows_while_a_writer_appends(tmp_path, rng):
    first = unit(rng, 5)
    touched, places = append_rows(tmp_path, "image", None, first)
    rows = rows_of(tmp_path, dict(touched), places)
    append_rows(tmp_path, "image", touched[-1], unit(rng, 5))
    assert rows.n == 5
    assert np.array_equal(collected(rows, 3), first.astype(np.float16))


def test_a_segment_shorter_than_committed_is_named(tmp_path, rng):
    touched, _ = append_rows(tmp_path, "image", None, unit(rng, 5))
    path = segment_path(tmp_path, "image", 0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidData, match=r"000000\.f16: shorter than the 5 rows"):
        map_segment(tmp_path, "image", touched[-1], 6)
    with pytest.raises(InvalidData, match=r"000000\.f16: shorter than the 5 rows"):
        append_rows(tmp_path, "image", touched[-1], unit(rng, 1))


def test_the_key_changes_exactly_with_the_content(tmp_path, rng):
    lengths, places = grow(tmp_path, unit(rng, 6))
    key = rows_of(tmp_path, lengths, places).key
    assert rows_of(tmp_path, lengths, places).key == key
    assert rows_of(tmp_path, lengths, places[[1, 0, 2, 3, 4, 5]]).key != key
    assert rows_of(tmp_path, lengths, places[:5]).key != key
    assert rows_of(tmp_path, lengths, places, name="b").key != key


def test_no_rows_at_all(tmp_path):
    rows = rows_of(tmp_path, {}, np.empty((0, 2), dtype=np.int64))
    assert (rows.n, list(rows.blocks()), rows.take(np.array([], dtype=np.int64)).shape) == (0, [], (0, 6))


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_of_another_snapshot_is_refused(tmp_path, rng, position):
    lengths, places = grow(tmp_path, unit(rng, 3))
    with pytest.raises(NotFound, match=r"outside 0\.\.2"):
        rows_of(tmp_path, lengths, places).take(np.array([position]))


def test_slots_stay_where_they_are_while_positions_move(tmp_path, rng):
    first, second = unit(rng, 10), unit(rng, 8)
    lengths, places = grow(tmp_path, first)
    before = rows_of(tmp_path, lengths, places)
    lengths, all_places = grow(tmp_path / "again", first, second)
    order = rng.permutation(18)[:15]  # three rows are dead, the others have moved
    after = rows_of(tmp_path / "again", lengths, all_places[order])
    assert (before.stored, after.stored) == (10, 18)
    for slot, row in enumerate(np.concatenate([first, second])):
        np.testing.assert_array_equal(after.take_slots(np.array([slot]))[0], row.astype(np.float16))
        assert after.owners[slot] == (np.flatnonzero(order == slot)[0] if slot in order else -1)
    np.testing.assert_array_equal(after.slots(np.arange(15)), order)
    assert before.storage_key(10) == after.storage_key(10) != after.storage_key(18)
    assert before.storage_key(10) != rows_of(tmp_path, {0: 7, 1: 3}, places, name="b").storage_key(10)


@pytest.mark.parametrize("first", [0, 3, 7, 12, 18])
def test_stored_blocks_give_all_slots_from_one_on(tmp_path, rng, first):
    matrix = unit(rng, 18)
    lengths, places = grow(tmp_path, matrix)
    blocks = list(rows_of(tmp_path, lengths, places[:4]).stored_blocks(first, 5))
    assert [slot for slot, block in blocks for slot in range(slot, slot + len(block))] == list(range(first, 18))
    given = np.concatenate([np.empty((0, 6)), *(block for _, block in blocks)])
    np.testing.assert_array_equal(given, matrix.astype(np.float16)[first:])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell mapped memory")
def test_mapped_pages_are_handed_back_before_they_add_up(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(segments, "_RESIDENT", 2**22)
    matrix = unit(rng, 30_000, 256)
    _, places = append_rows(tmp_path, "image", None, matrix)
    mapped = map_segment(tmp_path, "image", Segment(0, len(matrix)), 256)
    before, rows = mapped_bytes(), Rows([(0, mapped)], places, dim=256, name="a")
    for _ in range(2):
        for positions, block in rows.blocks(1000):
            np.testing.assert_array_equal(block, matrix[positions].astype(np.float16))
            assert mapped_bytes() - before < 2**23 < mapped.nbytes
        np.testing.assert_array_equal(rows.take(np.arange(0, 30_000, 7)), matrix[::7].astype(np.float16))


def mapped_bytes():
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
