"""The collection that the serving benchmark searches: real encodings of drawn pictures, copied with noise.

Drawing and encoding 100,000 pictures would take an hour, and a search costs the same whatever a vector shows. So some
thousand pictures are drawn and encoded by the demo model, and each becomes many records: its vector plus noise, its
caption, its picture file, and fields to filter by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mmretrieval as mm
from mmretrieval.demo.sample import sample
from mmretrieval.demo.write import word_queries, write_world

DRAWN = 1_000
NOISE = 0.5  # length of the noise beside a unit vector: a copy has a cosine of about 0.89 with its picture
SEED_OF_QUERIES = 77  # of scenes that are not in the collection


def make(folder: Path, n: int) -> Path:
    """The index folder with `n` records below `folder`; what stands there already is used again."""
    index = folder / f"index-{n}"
    if (index / "catalog.sqlite").exists():
        return index
    write_world(folder / "world", seed=1, images=DRAWN)
    mm.index(folder / "world", folder / "drawn", "demo")
    with mm.Searcher.open(folder / "drawn") as drawn:
        vectors = drawn.collection.vectors("image", drawn.ids)
        records = {record.id: record for record in drawn.collection.records(drawn.ids)}
        sources = [records[record_id] for record_id in drawn.ids]
    rng = np.random.default_rng(0)
    origin = np.arange(n) % len(sources)
    noise = rng.standard_normal((n, vectors.shape[1]), dtype=np.float32) * NOISE / vectors.shape[1] ** 0.5
    np.save(folder / "vectors.npy", vectors[origin] + noise)
    ids = [f"{sources[at].id}.{number // len(sources):03d}" for number, at in enumerate(origin.tolist())]
    (folder / "ids.txt").write_text("\n".join(ids) + "\n", encoding="utf-8")
    with (folder / "manifest.jsonl").open("w", encoding="utf-8") as lines:
        for number, (record_id, at) in enumerate(zip(ids, origin.tolist(), strict=True)):
            lines.write(json.dumps(_entry(record_id, sources[at], number)) + "\n")
    files = {"manifest": folder / "manifest.jsonl", "pictures": folder / "world"}
    mm.index_vectors(folder / "vectors.npy", folder / "ids.txt", index, "demo", **files)
    return index


def _entry(record_id: str, source: Any, number: int) -> dict[str, Any]:
    """A line of the manifest; several records show the same picture file."""
    kind = source.id.partition("-")[0]
    return {
        "id": record_id,
        "path": source.path,
        "caption": source.caption,
        "domain": kind,
        "stars": 1 + number % 5,
        "year": 1990 + number % 35,
    }


def texts() -> Iterator[str]:
    """Queries like those of users, no two alike, without end."""
    seen: set[str] = set()
    number = 0
    while True:
        for query in word_queries([sample(SEED_OF_QUERIES, each) for each in range(number, number + 8)]):
            if query.text not in seen:
                seen.add(query.text)
                yield query.text
        number += 8
