"""SIGKILL at random moments, fifty times in a row, then one run to the end."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from store_samples import SketchEncoder, save

from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound
from mmretrieval.indexing import index

KILLS, PICTURES, BATCH = 50, 120, 5
CANARIES = 4  # pictures that the encoder is given when an index is made, told apart from a batch by their number

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for number in range(PICTURES):
        save(folder / f"{number % 7}/{number:03d}.png", number)
    shutil.copy(folder / "3/003.png", folder / "5/twin.png")
    (folder / "2/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def killed_run(pictures, into, log, seconds):
    """One run that is killed so many seconds after it began."""
    script = Path(__file__).with_name("store_process.py")
    arguments = [pictures, into, "--log", log, "--seconds", "0.004", "--batch", str(BATCH), "--say-ready"]
    with subprocess.Popen([sys.executable, script, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def encoded(log):
    """Pictures of the collection that were given to the encoder so far."""
    counts = [int(line) for line in log.read_text().split()] if log.exists() else []
    return sum(count for count in counts if count != CANARIES)


def committed(into, expected):
    """How many records there are; every one must have its right vector."""
    try:
        collection = Collection.open(into)
    except NotFound:
        assert not (into / "catalog.sqlite").exists()
        return 0
    with collection:
        for record_id, vector in zip(collection.ids, collection.vectors("image", collection.ids), strict=True):
            assert np.array_equal(vector, expected[record_id]), record_id
        return collection.count


def everything(into, encoder):
    """Ids, vectors, ledger and search orders of an index."""
    queries = encoder.encode_texts([f"word{number}" for number in range(5)])
    with Collection.open(into) as collection:
        rows = collection.vectors("image", collection.ids)
        orders = [np.argsort(-(rows @ query), kind="stable").tolist() for query in queries]
        disk = [
            (collection.ids[p], row.tolist())
            for at, part in collection.rows().blocks()
            for p, row in zip(at, part, strict=True)
        ]
        means = collection.image_mean.tolist(), collection.text_mean.tolist()
        return collection.ids, rows.tolist(), list(collection.files()), orders, disk, means


def test_an_index_survives_fifty_kills_and_ends_as_if_built_in_one_go(tmp_path, pictures):
    whole, killed, log = tmp_path / "whole", tmp_path / "killed", tmp_path / "log"
    index(pictures, whole, encoder=SketchEncoder(), batch_size=BATCH)
    with Collection.open(whole) as collection:
        expected = dict(zip(collection.ids, collection.vectors("image", collection.ids), strict=True))
    moments = random.Random(5)
    before, halfway, span = 0, 0, 0.1
    for kill in range(KILLS):
        already = encoded(log)
        killed_run(pictures, killed, log, moments.uniform(0, span))
        after = committed(killed, expected)
        assert after >= before
        assert encoded(log) - already - (after - before) <= BATCH, f"kill {kill}: more than the batch in hand was lost"
        # However fast the machine is, the fifty kills shall be spread over the whole run: about a batch between two.
        span = max(span + (0.02 if after < 0.8 * PICTURES * (kill + 1) / KILLS else -0.02), 0.02)
        halfway += 0 < after < PICTURES
        before = after
    assert halfway > KILLS / 2
    already = encoded(log)
    report = index(pictures, killed, encoder=SketchEncoder(log=log), batch_size=BATCH)
    assert encoded(log) - already == PICTURES - before
    assert (report.indexed, report.unchanged, report.duplicates) == (PICTURES - before, before, 1)
    assert everything(killed, SketchEncoder()) == everything(whole, SketchEncoder())


def test_a_run_that_was_killed_while_it_made_the_index_leaves_nothing_in_the_way(tmp_path, pictures):
    into = tmp_path / "index"
    into.mkdir()
    for name in ("catalog.sqlite.new", "catalog.sqlite.new-wal", "catalog.sqlite.new-shm", "writer.lock", "writer.pid"):
        (into / name).write_bytes(b"rest of a run that was killed")
    with pytest.raises(NotFound):
        Collection.open(into)
    assert index(pictures, into, encoder=SketchEncoder()).indexed == PICTURES
    assert not list(into.glob("*.new*"))
