"""Ready vectors: what is refused before anything is written, what a second run changes, and that kills lose nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from example_stages import HashEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import SketchEncoder, save

import mmretrieval as mm
from mmretrieval.collection import Collection
from mmretrieval.errors import (
    FingerprintMismatch,
    IndexLocked,
    InvalidData,
    NotFound,
    UsageError,
)
from mmretrieval.indexing import index
from mmretrieval.indexing_vectors import index_vectors
from mmretrieval.lock import sole_writer
from mmretrieval.vectors import half_rows

DIM = 12


def rows(count, seed=0, dtype=np.float32):
    return (np.random.default_rng(seed).normal(size=(count, DIM)) * 3).astype(dtype)


def names(count, prefix="n"):
    return [f"{prefix}{number:03d}" for number in range(count)]


@pytest.fixture
def files(tmp_path):
    """Writes a matrix and ids as files; returns their paths."""

    def write(matrix, ids, name="F"):
        np.save(tmp_path / f"{name}.npy", matrix)
        (tmp_path / f"{name}.txt").write_text("".join(f"{each}\n" for each in ids), "utf-8")
        return tmp_path / f"{name}.npy", tmp_path / f"{name}.txt"

    return write


def state(folder):
    with Collection.open(folder) as collection:
        ids = list(collection.ids)
        return dict(zip(ids, collection.vectors("image", ids).tolist(), strict=True))


def expected(matrix, ids):
    return dict(zip(ids, half_rows(matrix).astype(np.float32).tolist(), strict=True))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_rows_of_a_file_are_stored_as_unit_rows_under_their_ids(tmp_path, files, dtype, order):
    matrix = np.asarray(rows(30).astype(dtype), order=order)
    ids = names(30)[::-1]
    report = index_vectors(*files(matrix, ids), tmp_path / "idx")
    assert (report.indexed, report.unchanged, report.removed, report.interrupted) == (30, 0, 0, False)
    assert state(tmp_path / "idx") == expected(matrix, ids)


def test_arrays_and_text_paths_are_taken_too(tmp_path, files):
    vectors, ids = files(rows(5), names(5))
    index_vectors(str(vectors), str(ids), str(tmp_path / "a"))
    index_vectors(rows(5), names(5), tmp_path / "b")
    assert state(tmp_path / "a") == state(tmp_path / "b")


def test_a_second_run_appends_replaces_and_removes(tmp_path, files):
    first, ids = rows(40), names(40)
    index_vectors(*files(first, ids), tmp_path / "idx")
    again = index_vectors(*files(first, ids), tmp_path / "idx")
    assert (again.indexed, again.unchanged, again.removed) == (0, 40, 0)
    second = np.concatenate([first[5:], rows(3, seed=9)])
    second[[0, 7]] = rows(2, seed=8)
    ids = [*ids[5:], *names(3, "new")]
    shuffled = np.random.default_rng(1).permutation(len(ids))
    report = index_vectors(*files(second[shuffled], [ids[at] for at in shuffled]), tmp_path / "idx")
    assert (report.indexed, report.unchanged, report.removed) == (5, 33, 5)
    assert state(tmp_path / "idx") == expected(second, ids)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_series_of_runs_ends_as_one_run_with_the_last_input(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("series")
    pool = rows(9, seed=3)
    for _ in range(data.draw(st.integers(1, 4))):
        ids = data.draw(st.lists(st.sampled_from(names(8)), min_size=1, unique=True))
        matrix = pool[data.draw(st.lists(st.integers(0, 8), min_size=len(ids), max_size=len(ids)))]
        before = state(place / "idx") if (place / "idx").exists() else {}
        report = index_vectors(matrix, ids, place / "idx")
        after = expected(matrix, ids)
        assert state(place / "idx") == after
        assert report.unchanged == sum(before.get(each) == after[each] for each in ids)
        assert report.indexed == len(ids) - report.unchanged
        assert report.removed == len(before.keys() - after.keys())


def test_a_change_of_scale_is_no_change(tmp_path):
    index_vectors(rows(6), names(6), tmp_path / "idx")
    assert index_vectors(rows(6) * np.float32(2), names(6), tmp_path / "idx").unchanged == 6


# What is refused, before anything is written


def with_bad_row(value, at=7):
    matrix = rows(20)
    matrix[at, 3] = value
    return matrix


@pytest.mark.parametrize(
    ("matrix", "ids", "message"),
    [
        (with_bad_row(np.nan), names(20), r"F\.npy: row 8 holds a number that is not finite"),
        (with_bad_row(np.inf, 19), names(20), r"F\.npy: row 20 holds a number that is not finite"),
        (np.where(np.arange(20)[:, None] == 4, 0, rows(20)), names(20), r"F\.npy: row 5 is zero"),
        (rows(20), names(19), r"F\.npy: has 20 rows, and .*F\.txt 19 ids"),
        (rows(20), names(21), r"F\.npy: has 20 rows, and .*F\.txt 21 ids"),
        (rows(20), [*names(19), "n003"], r"F\.txt:20: the id 'n003' stands in line 4 already"),
        (rows(3), ["a", "", "c"], r"F\.txt:2: an id is needed on every line"),
        (rows(3), ["a", "b c", "d"], r"F\.txt:2: the id 'b c' holds blanks"),
        (rows(3), ["a", "b", "x" * 513], r"F\.txt:3: the id has 513 characters, the limit is 512"),
        (rows(3), ["a", "é" * 3000, "x"], r"F\.txt:2: longer than any id"),
        (rows(3)[0], names(1), r"F\.npy: a table of rows is needed, .* the shape is \(12,\)"),
        (np.empty((0, 4), np.float32), [], r"F\.npy: a table of rows is needed"),
        (np.ones((3, 4), np.int32), names(3), r"F\.npy: numbers of float16, float32 or float64 .* are int32"),
        (np.ones((3, 4), complex), names(3), r"and these are complex128"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named_with_its_row_or_line_and_nothing_is_made(tmp_path, files, matrix, ids, message):
    with pytest.raises(InvalidData, match=message):
        index_vectors(*files(matrix, ids), tmp_path / "idx")
    assert not (tmp_path / "idx").exists()


def test_what_is_wrong_changes_nothing_of_an_index(tmp_path, files):
    index_vectors(rows(20, seed=5), names(20), tmp_path / "idx")
    before = state(tmp_path / "idx")
    for matrix, ids in ((with_bad_row(np.nan, 19), names(20)), (rows(20), [*names(19), "n000"])):
        with pytest.raises(InvalidData):
            index_vectors(*files(matrix, ids), tmp_path / "idx")
        assert state(tmp_path / "idx") == before
    with pytest.raises(UsageError, match="holds vectors of 12 numbers each, and these have 5"):
        index_vectors(rows(20)[:, :5], names(20), tmp_path / "idx")
    assert state(tmp_path / "idx") == before


class Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_no_pickle_is_ever_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("F.npy", np.array([Trap()], dtype=object), allow_pickle=True)  # written as an attacker would, never read
    with pytest.raises(InvalidData, match=r"F\.npy: no \.npy file of plain numbers"):
        index_vectors("F.npy", names(1), "idx")
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no .npy file"), (b"words, not numbers", "no .npy file"), (b"\x93NUMPY\x01\x00", "no .npy file")],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, message):
    (tmp_path / "F.npy").write_bytes(content)
    with pytest.raises(InvalidData, match=message):
        index_vectors(tmp_path / "F.npy", names(1), tmp_path / "idx")


def test_a_cut_off_file_and_an_archive_are_refused(tmp_path, files):
    vectors, ids = files(rows(30), names(30))
    vectors.write_bytes(vectors.read_bytes()[:-100])
    with pytest.raises(InvalidData, match=r"F\.npy: no \.npy file of plain numbers"):
        index_vectors(vectors, ids, tmp_path / "idx")
    np.savez(tmp_path / "F.npz", rows(30))
    with pytest.raises(InvalidData, match="an archive of several arrays"):
        index_vectors(tmp_path / "F.npz", ids, tmp_path / "idx")
    with pytest.raises(NotFound, match=r"no\.npy: there is no such file of vectors"):
        index_vectors(tmp_path / "no.npy", ids, tmp_path / "idx")
    with pytest.raises(NotFound, match=r"no\.txt: there is no such file of ids"):
        index_vectors(rows(30), tmp_path / "no.txt", tmp_path / "idx")
    assert not (tmp_path / "idx").exists()


def test_ids_that_are_no_text_are_refused(tmp_path, files):
    vectors, ids = files(rows(2), names(2))
    ids.write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(InvalidData, match=r"F\.txt:2: not UTF-8 text"):
        index_vectors(vectors, ids, tmp_path / "idx")


def test_line_ends_and_a_mark_of_byte_order_are_no_part_of_an_id(tmp_path, files):
    vectors, ids = files(rows(3), names(3))
    ids.write_bytes("\ufeffa\r\nb\r\nc".encode())
    index_vectors(vectors, ids, tmp_path / "idx")
    assert sorted(state(tmp_path / "idx")) == ["a", "b", "c"]


def test_pictures_and_ready_vectors_do_not_mix(tmp_path):
    save(tmp_path / "pictures/a.png", 1)
    index(tmp_path / "pictures", tmp_path / "pics", encoder=SketchEncoder())
    index_vectors(rows(3), names(3), tmp_path / "ready")
    with pytest.raises(UsageError, match=r"holds the pictures of .*; give ready vectors a folder of their own"):
        index_vectors(rows(3), names(3), tmp_path / "pics")
    with pytest.raises(UsageError, match="made from ready vectors; index pictures into a folder of their own"):
        index(tmp_path / "pictures", tmp_path / "ready", encoder=SketchEncoder())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("x")
    with pytest.raises(UsageError, match=r"holds other files such as 'letter\.txt'"):
        index_vectors(rows(3), names(3), tmp_path / "other")


def test_one_writer_at_a_time(tmp_path):
    index_vectors(rows(3), names(3), tmp_path / "idx")
    with sole_writer(tmp_path / "idx"), pytest.raises(IndexLocked, match="is writing to this index"):
        index_vectors(rows(3), names(3), tmp_path / "idx")


# Metadata


def manifest(place, *entries):
    file = place / "told.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in entries))
    return file


def told(folder):
    with Collection.open(folder) as collection:
        return {each.id: (each.path, each.caption, dict(each.meta)) for each in collection.records(collection.ids)}


def test_a_manifest_gives_captions_and_metadata_and_needs_no_path(tmp_path):
    file = manifest(tmp_path, {"id": "n000", "caption": "a dish", "year": 3}, {"id": "n002", "path": "x/b.jpg"})
    index_vectors(rows(3), names(3), tmp_path / "idx", manifest=file)
    wanted = {"n000": ("", "a dish", {"year": 3}), "n001": ("", "", {}), "n002": ("x/b.jpg", "", {})}
    assert told(tmp_path / "idx") == wanted
    report = index_vectors(rows(3), names(3), tmp_path / "idx")
    assert (report.unchanged, told(tmp_path / "idx")) == (3, wanted)
    file = manifest(tmp_path, {"id": "n000", "caption": "another"}, {"id": "ghost"})
    report = index_vectors(rows(3), names(3), tmp_path / "idx", manifest=file)
    assert report.warnings == ("the manifest names ids that have no vector, such as 'ghost': 1",)
    assert told(tmp_path / "idx") == {"n000": ("", "another", {}), "n001": ("", "", {}), "n002": ("", "", {})}


def test_an_id_twice_in_a_manifest_is_refused(tmp_path):
    file = manifest(tmp_path, {"id": "n000"}, {"id": "n001"}, {"id": "n000"})
    with pytest.raises(InvalidData, match="line 3: the id 'n000' stands in line 1 already"):
        index_vectors(rows(3), names(3), tmp_path / "idx", manifest=file)
    assert not (tmp_path / "idx").exists()


def test_pictures_that_a_manifest_names_can_be_opened_where_they_are(tmp_path):
    save(tmp_path / "pictures/b.png", 2)
    file = manifest(tmp_path, {"id": "n001", "path": "b.png"})
    index_vectors(rows(2), names(2), tmp_path / "idx", manifest=file, pictures=tmp_path / "pictures")
    with Collection.open(tmp_path / "idx") as collection:
        assert collection.open_image("n001").size == (48, 40)
        with pytest.raises(NotFound, match="'n000' has a vector and no picture"):
            collection.open_image("n000")
    index_vectors(rows(2), names(2), tmp_path / "none", manifest=file)
    with Collection.open(tmp_path / "none") as collection, pytest.raises(NotFound, match="there are no pictures"):
        collection.open_image("n001")


# Searching


def test_without_an_encoder_ids_are_searched_and_words_are_refused_with_the_cure(tmp_path):
    matrix = rows(30)
    index_vectors(matrix, names(30), tmp_path / "idx")
    with mm.Searcher.open(tmp_path / "idx") as searcher:
        ranking = searcher.search(image_id="n004", top_k=5)
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        order = np.argsort(-(unit @ unit[4]), kind="stable")[:5]
        assert ranking.ids == [names(30)[at] for at in order]
        assert [hit.score for hit in ranking.hits] == pytest.approx((unit @ unit[4])[order], abs=2e-3)
        with pytest.raises(UsageError, match=r"no model is known that could read words.*--image id:ID.*--encoder NAME"):
            searcher.search("a red bowl")


def test_a_vector_is_searched_without_any_model_whatever_its_length(tmp_path):
    matrix, query = rows(30), rows(1, seed=9)[0]
    index_vectors(matrix, names(30), tmp_path / "idx")
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    scores = unit @ (query / np.linalg.norm(query))
    order = np.argsort(-scores)[:6]
    with mm.Searcher.open(tmp_path / "idx") as searcher:
        for asked in (query, query * 7, query.astype(np.float64)):
            ranking = searcher.search(image=asked, top_k=6)
            assert ranking.ids == [names(30)[at] for at in order]
            assert [hit.score for hit in ranking.hits] == pytest.approx(scores[order], abs=2e-3)
        assert ranking.hits[0].why == f"cosine {ranking.hits[0].score:.2f} to the vector"
        without = searcher.search(image=query, unlike=[ranking.ids[0]], top_k=6)
        assert ranking.ids[0] not in without.ids
        with pytest.raises(InvalidData, match="query 'q': its vector has 5 numbers, and the index 12"):
            searcher.search(image=query[:5])
        for wrong in (query * 0, np.full(DIM, np.nan)):
            with pytest.raises(InvalidData, match="query 'q': its vector is zero or not finite"):
                searcher.search(image=wrong)
        with pytest.raises(UsageError, match="either a Query or its parts"):
            searcher.search(mm.Query(image_id="n001"), image=query)


def test_with_an_encoder_words_are_searched_after_a_check(tmp_path):
    encoder = HashEncoder()
    matrix = np.random.default_rng(3).normal(size=(9, encoder.dim))
    index_vectors(matrix, names(9), tmp_path / "idx", encoder)
    with mm.Searcher.open(tmp_path / "idx", encoder=HashEncoder()) as searcher:
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        scores = unit @ encoder.encode_texts(["a red bowl"])[0]
        assert searcher.search("a red bowl", top_k=3).ids == [names(9)[at] for at in np.argsort(-scores)[:3]]
    with Collection.open(tmp_path / "idx") as collection:
        assert collection.fingerprint == encoder.fingerprint


def test_an_encoder_may_be_named_later_and_then_stays(tmp_path):
    encoder = HashEncoder()
    matrix = np.random.default_rng(3).normal(size=(9, encoder.dim))
    index_vectors(matrix, names(9), tmp_path / "idx")
    assert index_vectors(matrix, names(9), tmp_path / "idx", encoder).unchanged == 9
    assert index_vectors(matrix, names(9), tmp_path / "idx").unchanged == 9
    with mm.Searcher.open(tmp_path / "idx", encoder=HashEncoder()) as searcher:
        assert len(searcher.search("words").hits) == 9
    other = SketchEncoder(dim=encoder.dim)
    with pytest.raises(FingerprintMismatch, match="into a new folder"):
        index_vectors(matrix, names(9), tmp_path / "idx", other)


def test_an_encoder_of_another_dimension_is_refused(tmp_path):
    with pytest.raises(UsageError, match="the vectors have 12 numbers each, and the encoder 'sketch' makes 24"):
        index_vectors(rows(3), names(3), tmp_path / "idx", SketchEncoder(dim=24))
    with pytest.raises(NotFound):
        Collection.open(tmp_path / "idx")


def test_text_vectors_give_the_mean_of_texts(tmp_path):
    texts = rows(50, seed=6)
    index_vectors(rows(3), names(3), tmp_path / "idx", text_vectors=texts)
    unit = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    with Collection.open(tmp_path / "idx") as collection:
        assert np.allclose(collection.text_mean, unit.mean(axis=0), atol=1e-6)
    index_vectors(rows(3), names(3), tmp_path / "later")
    index_vectors(rows(3), names(3), tmp_path / "later", text_vectors=texts)
    with Collection.open(tmp_path / "later") as collection:
        assert np.allclose(collection.text_mean, unit.mean(axis=0), atol=1e-6)
    with pytest.raises(InvalidData, match="the text vectors have 5 numbers each"):
        index_vectors(rows(3), names(3), tmp_path / "idx", text_vectors=texts[:, :5])
    texts[2] = 0
    with pytest.raises(InvalidData, match="the text vectors: row 3 is zero"):
        index_vectors(rows(3), names(3), tmp_path / "idx", text_vectors=texts)


def test_evaluation_works_on_ids_alone(tmp_path):
    from mmretrieval.evaluation.measures import parse_measures
    from mmretrieval.evaluation.queries import read_queries

    matrix = rows(20)
    index_vectors(matrix, names(20), tmp_path / "idx")
    (tmp_path / "q.jsonl").write_text('{"qid": "a", "reference": "n003"}\n')
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    nearest = np.argsort(-(unit @ unit[3]))[1]
    with mm.Searcher.open(tmp_path / "idx") as searcher:
        queries = read_queries(tmp_path / "q.jsonl")
        result = mm.evaluate(searcher, queries, {"a": {names(20)[nearest]: 1}}, parse_measures("R@1"))
    assert result.measures == {"R@1": 1.0}


# Interrupted


def test_a_stop_keeps_the_blocks_before_it_and_the_next_run_goes_on(tmp_path, monkeypatch):
    from mmretrieval import vector_writer

    monkeypatch.setattr(vector_writer, "_ROWS_PER_COMMIT", 8)
    matrix, ids = rows(30), names(30)
    report = index_vectors(matrix, ids, tmp_path / "idx", stop=iter([False, False, True]).__next__)
    assert (report.indexed, report.interrupted) == (16, True)
    assert state(tmp_path / "idx") == expected(matrix[:16], ids[:16])
    told = []
    report = index_vectors(matrix, ids, tmp_path / "idx", progress=told.append)
    assert (report.indexed, report.unchanged, report.interrupted) == (14, 16, False)
    assert state(tmp_path / "idx") == expected(matrix, ids)
    assert [(each.stage, each.done, each.total) for each in told if each.stage == "index"][-1] == ("index", 30, 30)


def test_a_stop_before_the_end_removes_nothing(tmp_path, monkeypatch):
    from mmretrieval import vector_writer

    monkeypatch.setattr(vector_writer, "_ROWS_PER_COMMIT", 8)
    index_vectors(rows(30), names(30), tmp_path / "idx")
    report = index_vectors(rows(10), names(10), tmp_path / "idx", stop=iter([False, True]).__next__)
    assert (report.interrupted, report.removed, len(state(tmp_path / "idx"))) == (True, 0, 30)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_kills_lose_at_most_a_block_and_never_a_committed_row(tmp_path, files):
    count = 60_000
    matrix = rows(count)
    ids = [f"k{number:06d}" for number in np.random.default_rng(2).permutation(count)]
    vectors, listed = files(matrix, ids)
    code = (
        "import sys; from mmretrieval import vector_writer; vector_writer._ROWS_PER_COMMIT = 500\n"
        "from mmretrieval.indexing_vectors import index_vectors; print('ready', flush=True)\n"
        "index_vectors(*sys.argv[1:])"
    )
    wanted, before = half_rows(matrix).astype(np.float32), 0
    by_id = dict(zip(ids, wanted, strict=True))
    for kill in range(8):
        words = [sys.executable, "-c", code, vectors, listed, tmp_path / "idx"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.25 + 0.15 * kill)
            process.send_signal(signal.SIGKILL)
        try:
            collection = Collection.open(tmp_path / "idx")
        except NotFound:
            continue
        with collection:
            found = collection.vectors("image", collection.ids)
            assert np.array_equal(found, np.array([by_id[each] for each in collection.ids]).reshape(-1, DIM))
            assert collection.count >= before
            before = collection.count
    report = index_vectors(vectors, listed, tmp_path / "idx")
    assert (report.indexed, report.unchanged) == (count - before, before)
    with Collection.open(tmp_path / "idx") as collection:
        assert list(collection.ids) == sorted(ids)
        assert np.array_equal(collection.rows().take(np.arange(count)), np.array([by_id[i] for i in sorted(ids)]))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where the limit leaves mapped files out")
def test_memory_stays_bounded_whatever_the_size_of_the_files(tmp_path):
    count, dim, limit = 50_000, 2048, 380 * 2**20
    matrix = np.lib.format.open_memmap(tmp_path / "F.npy", mode="w+", dtype=np.float32, shape=(count, dim))
    rng = np.random.default_rng(0)
    for start in range(0, count, 10_000):
        matrix[start : start + 10_000] = rng.random((10_000, dim), dtype=np.float32) - 0.5
    assert matrix.nbytes >= limit  # so a run that reads it whole must fail
    del matrix
    (tmp_path / "F.txt").write_text("".join(f"p{number}\n" for number in range(count)))
    code = (
        "import resource, sys; from mmretrieval.indexing_vectors import index_vectors\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))\n"
        f"assert index_vectors(*sys.argv[1:]).indexed == {count}"
    )
    words = [sys.executable, "-c", code, tmp_path / "F.npy", tmp_path / "F.txt", tmp_path / "idx"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
