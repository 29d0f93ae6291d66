"""Full disk, read-only folder, locked, damaged or newer index: one clear sentence, and nothing lost."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from store_samples import SketchEncoder, save

from mmretrieval.collection import Collection
from mmretrieval.errors import IndexLocked, InvalidData, NotFound, StorageError
from mmretrieval.full_text import allow_words
from mmretrieval.indexing import index
from mmretrieval.lock import sole_writer

SCRIPT = Path(__file__).with_name("store_process.py")


@pytest.fixture
def pictures(tmp_path):
    for number in range(30):
        save(tmp_path / f"pictures/{number:02d}.png", number)
    return tmp_path / "pictures"


def run(pictures, into, **settings):
    return index(pictures, into, encoder=SketchEncoder(), **settings)


def state(into):
    with Collection.open(into) as collection:
        return collection.ids, collection.vectors("image", collection.ids).tolist()


def in_a_process(*arguments):
    done = subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


# A full disk


@pytest.fixture
def tiny_disk():
    """A file system of its own with 2 MiB, where this user may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="mmretrieval-disk-"))
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True
    )
    if not mounted or mounted.returncode:
        folder.rmdir()
        pytest.skip("no file system may be mounted here, so no disk can be filled")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


def fill(disk, leave):
    """Takes all room but so many bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(file.tell() - leave, 0))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 8192, 16384, 32768, 65536])
def test_a_disk_that_fills_up_loses_nothing_that_was_committed(tiny_disk, pictures, tmp_path, leave):
    into = tiny_disk / "index"
    for number in range(20, 30):
        (pictures / f"{number}.png").rename(tmp_path / f"{number}.png")
    run(pictures, into, batch_size=2)
    before = state(into)
    for number in range(20, 30):
        (tmp_path / f"{number}.png").rename(pictures / f"{number}.png")
    for copy in range(300):  # makes the ledger need room
        (pictures / f"note-{copy}-{'x' * 150}.txt").write_text("x")
    ballast = fill(tiny_disk, leave)
    with pytest.raises(StorageError, match=r"the disk is full .* make room and run the same command again") as caught:
        run(pictures, into, batch_size=2)
    assert str(into) in str(caught.value)
    ids, vectors = state(into)  # readable although not a byte can be written
    assert ids[: len(before[0])] == before[0]
    assert vectors[: len(before[0])] == before[1]
    ballast.unlink()
    report = run(pictures, into, batch_size=2)
    assert report.indexed + report.unchanged == 30
    run(pictures, tmp_path / "whole", batch_size=2)
    assert state(into) == state(tmp_path / "whole")


@pytest.mark.skipif(os.name == "nt", reason="needs the limits of Unix")
def test_a_limit_on_the_size_of_files_is_told_and_loses_nothing(pictures, tmp_path):
    into = tmp_path / "index"
    run(pictures, into, batch_size=4, stop=iter([False] * 9 + [True]).__next__)
    before = state(into)
    code, answer = in_a_process(pictures, into, "--batch", 4, "--most-bytes", 600)
    assert (code, answer["error"]) == (6, "StorageError")
    assert "disk is full or refuses to write" in answer["message"]
    assert state(into) == before
    assert run(pictures, into).unchanged == len(before[0])
    assert len(state(into)[0]) == 30


def test_a_disk_too_full_for_a_new_index_leaves_none(tiny_disk, pictures):
    ballast = fill(tiny_disk, 8192)
    with pytest.raises(StorageError, match="disk is full"):
        run(pictures, tiny_disk / "index")
    with pytest.raises(NotFound):
        Collection.open(tiny_disk / "index")
    ballast.unlink()
    assert run(pictures, tiny_disk / "index").indexed == 30


def test_memory_stays_bounded_whatever_the_pictures_and_the_batch(tmp_path):
    (tmp_path / "pictures").mkdir()
    for number in range(20):  # 24 MB each once decoded, 480 MB together
        image = Image.new("RGB", (3000, 2000), (number * 8, 255 - number * 8, 90))
        image.save(tmp_path / f"pictures/{number}.png", compress_level=1)
    code, answer = in_a_process(tmp_path / "pictures", tmp_path / "index", "--batch", 30)
    assert (code, answer["indexed"]) == (0, 20)
    assert answer["peak_kib"] < 320 * 1024, answer["peak_kib"]


# A read-only folder


@pytest.fixture
def read_only(tmp_path, pictures):
    """A function that makes a folder read-only, for root too; everything is undone afterwards."""
    mounts = []

    def make(folder):
        if os.geteuid() != 0:
            folder.chmod(0o555)
            return
        bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True)
        if bound.returncode:
            pytest.skip("this user is root and may not mount, so nothing is read-only for it")
        mounts.append(folder)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)

    yield make
    for folder in mounts:
        subprocess.run(["umount", folder], check=True)
    for folder in tmp_path.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)


def test_a_read_only_index_can_be_read_and_says_why_it_cannot_be_written(pictures, tmp_path, read_only):
    into = tmp_path / "index"
    run(pictures, into)
    before = state(into)
    read_only(into)
    assert state(into) == before
    save(pictures / "new.png", 99)
    with pytest.raises(StorageError, match=r"cannot be written .* change its permissions or choose another"):
        run(pictures, into)
    assert state(into) == before


def test_a_read_only_index_of_a_writer_that_was_killed_is_read_with_its_log(pictures, tmp_path, read_only):
    into = tmp_path / "index"
    run(pictures, into)
    writer = sqlite3.connect(into / "catalog.sqlite", isolation_level=None)
    allow_words(writer)
    writer.execute("UPDATE records SET caption = 'from the log' WHERE id = '07'")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("catalog.sqlite", "catalog.sqlite-wal"):  # as a kill leaves them, but without the shared memory
        shutil.copy(into / name, copy / name)
    shutil.copytree(into / "vectors", copy / "vectors")
    writer.close()
    assert (copy / "catalog.sqlite-wal").stat().st_size > 0
    read_only(copy)
    with Collection.open(copy) as collection:
        assert collection.record("07").caption == "from the log"
        assert [collection.ids[position] for position in collection.lexical("log")[0]] == ["07"]
        assert collection.count == 30


def test_a_place_where_no_folder_can_be_made(pictures, tmp_path, read_only):
    (tmp_path / "closed").mkdir()
    read_only(tmp_path / "closed")
    with pytest.raises(StorageError, match="cannot be written"):
        run(pictures, tmp_path / "closed/index")


# Locks


def test_a_second_writer_is_told_who_writes(pictures, tmp_path):
    into = tmp_path / "index"
    run(pictures, into)
    with sole_writer(into):
        with pytest.raises(IndexLocked, match=rf"process {os.getpid()} is writing to this index; wait"):
            run(pictures, into)
        code, answer = in_a_process(pictures, into)
        assert (code, answer["error"]) == (6, "IndexLocked")
        assert f"process {os.getpid()}" in answer["message"]
        assert len(state(into)[0]) == 30  # readers need no lock
    assert run(pictures, into).unchanged == 30


def test_the_lock_is_free_again_after_an_error(pictures, tmp_path):
    def progress(_):
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run(pictures, tmp_path / "index", progress=progress)
    assert run(pictures, tmp_path / "index").indexed == 30


# Damage


def test_a_folder_without_an_index_is_not_found(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotFound, match=r"no index here; make one with: mmretrieval index"):
            Collection.open(folder)


@pytest.mark.parametrize("damage", ["words", "header", "middle"])
def test_a_damaged_catalogue_is_named(pictures, tmp_path, damage):
    into = tmp_path / "index"
    run(pictures, into)
    data = bytearray((into / "catalog.sqlite").read_bytes())
    if damage == "words":
        data = bytearray(b"this is no catalogue " * 1000)
    elif damage == "header":
        data[20:60] = bytes(40)
    else:
        data[4096:] = bytes([7]) * (len(data) - 4096)
    (into / "catalog.sqlite").write_bytes(data)
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        (into / name).unlink(missing_ok=True)
    with pytest.raises(InvalidData, match="index the pictures again into a new folder"):
        state(into)
    with pytest.raises(InvalidData, match="index the pictures again into a new folder"):
        run(pictures, into)


def test_an_index_of_a_newer_version_is_refused_with_the_cure(pictures, tmp_path):
    into = tmp_path / "index"
    run(pictures, into)
    connection = sqlite3.connect(into / "catalog.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for attempt in (lambda: state(into), lambda: run(pictures, into)):
        with pytest.raises(InvalidData, match="has format 99, this version reads up to 3; update mmretrieval"):
            attempt()


def test_a_missing_or_short_segment_is_named(pictures, tmp_path):
    into = tmp_path / "index"
    run(pictures, into)
    segment = into / "vectors/image/000000.f16"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-10])
    for attempt in (lambda: state(into), lambda: run_with_one_more(pictures, into)):
        with pytest.raises(InvalidData, match=r"000000\.f16: shorter than the 30 rows"):
            attempt()
    segment.unlink()
    with pytest.raises(InvalidData, match="vector files named by the catalogue are missing"):
        state(into)
    segment.write_bytes(whole)
    assert np.isfinite(state(into)[1]).all()


def run_with_one_more(pictures, into):
    save(pictures / "more.png", 98)
    return run(pictures, into)
