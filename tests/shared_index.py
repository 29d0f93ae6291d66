"""One writer that adds, changes and removes, and readers that check every snapshot by value.

Every record's caption names the seed of its picture, and both are committed together: so in any snapshot, at any
moment, the vector of a record must be the one of the seed in its caption, and search must equal a plain sort.
Run as a script, this file is a reader.
"""

import json
import random
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.collection import Collection
from mmretrieval.images import decode
from mmretrieval.indexing import index
from mmretrieval.vectors import half_rows

SEEDS = 60
LEAST_SNAPSHOTS = 10
DIM = 24


@cache
def content(seed):
    return encoded(picture(seed), "PNG")


@cache
def stored_vector(seed):
    """What the index must hold for the picture of this seed."""
    encoder = SketchEncoder(dim=DIM)
    image = decode(content(seed), shown="", min_side=encoder.input_size).image
    return half_rows(encoder.encode_images([image]))[0].astype(np.float32)


class Writer:
    """Changes a folder and its manifest at random, and brings the index up to date, round after round."""

    def __init__(self, folder: Path, seed=0):
        self.pictures, self.index = folder / "pictures", folder / "index"
        self.pictures.mkdir(parents=True)
        self.random = random.Random(seed)
        self.seeds = {}
        self.rounds = self.changed = self.largest_log = 0

    def round(self):
        for _ in range(self.random.randint(1, 12)):
            record_id = f"r{self.random.randrange(80):02d}"
            if record_id in self.seeds and self.random.random() < 0.45:
                (self.pictures / f"{record_id}.png").unlink()
                del self.seeds[record_id]
            else:
                self.seeds[record_id] = self.random.randrange(SEEDS)
                (self.pictures / f"{record_id}.png").write_bytes(content(self.seeds[record_id]))
        lines = [{"id": i, "path": f"{i}.png", "caption": f"seed {seed}"} for i, seed in sorted(self.seeds.items())]
        (self.pictures / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        report = index(self.pictures, self.index, encoder=SketchEncoder(dim=DIM), batch_size=3)
        assert report.skipped == ()
        self.rounds += 1
        self.changed += report.indexed + report.removed
        log = self.index / "catalog.sqlite-wal"
        self.largest_log = max(self.largest_log, log.stat().st_size if log.exists() else 0)

    def check_the_end(self):
        """The index holds what the folder holds."""
        with Collection.open(self.index) as collection:
            assert {r.id: r.caption for r in collection.records(collection.ids)} == {
                record_id: f"seed {seed}" for record_id, seed in self.seeds.items()
            }
            assert check_snapshot(collection, random.Random(0)) == []


def check_snapshot(collection, choose):
    """What is wrong in a snapshot, in words; nothing should be."""
    wrong = []
    ids, rows = collection.ids, collection.rows()
    vectors = collection.vectors("image", ids)
    records = collection.records(ids)
    if not (rows.n == collection.count == len(ids) == len(records)):
        wrong.append(f"counts differ: {rows.n} rows, {collection.count} records, {len(ids)} ids")
    for record, vector in zip(records, vectors, strict=True):
        if not np.array_equal(vector, stored_vector(int(record.caption.split()[1]))):
            wrong.append(f"{record.id}: the vector is not that of {record.caption}")
    states = [file["id"] for file in collection.files() if file["state"] == "indexed"]
    if sorted(states) != ids:
        wrong.append("the ledger names other records than there are")
    exact = vectors.astype(np.float64).sum(axis=0) / max(len(ids), 1)
    if not np.array_equal(collection.image_mean, exact.astype(np.float32)):
        wrong.append("the mean is not that of the rows")
    return wrong + check_search(ids, rows, vectors, stored_vector(choose.randrange(SEEDS)))


def check_search(ids, rows, vectors, query):
    """Whether a search over the blocks on disk gives the order of a plain sort."""
    scores = np.full(len(ids), np.nan)
    for positions, matrix in rows.blocks(7):
        scores[positions] = (matrix.astype(np.float64) * query).sum(axis=1)
    order = sorted(range(len(ids)), key=lambda p: (-scores[p], p))
    plain = (vectors.astype(np.float64) * query).sum(axis=1)
    twin = sorted(range(len(ids)), key=lambda p: (-plain[p], ids[p]))
    return [] if order == twin else ["the search does not equal a plain sort"]


def read_for(folder, seconds, seed):
    """Opens, refreshes, holds and checks snapshots, ten at least; returns counts and what was wrong."""
    choose, began = random.Random(seed), time.monotonic()
    counts = {"snapshots": 0, "records": 0, "fresh": 0, "wrong": [], "open_seconds": []}
    collection = Collection.open(folder)
    while time.monotonic() - began < seconds or counts["snapshots"] < LEAST_SNAPSHOTS:
        opening = time.perf_counter()
        newest = collection.refresh() if choose.random() < 0.7 else Collection.open(folder)
        counts["open_seconds"].append(time.perf_counter() - opening)
        if newest is not collection:
            counts["fresh"] += newest.version != collection.version
            collection.close()
            collection = newest
        counts["wrong"] += check_snapshot(collection, choose)
        counts["snapshots"] += 1
        counts["records"] += collection.count
        time.sleep(choose.random() * 0.02)
        counts["wrong"] += check_snapshot(collection, choose)  # the same one again, however old it is by now
    collection.close()
    return counts


def start_readers(folder, number, seconds):
    """Reader processes; collect each with `result`."""
    return [
        subprocess.Popen(
            [sys.executable, __file__, folder, str(seconds), str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for seed in range(number)
    ]


def result(reader):
    """What a reader process found; raises when it crashed."""
    out, errors = reader.communicate()
    assert reader.returncode == 0, errors.decode()
    assert errors == b"", errors.decode()
    return json.loads(out)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_for(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))
