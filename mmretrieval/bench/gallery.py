"""The candidates of a benchmark as an index folder, made once and kept.

Where pictures are there, they are indexed with their texts as captions. Where only texts are there, the vectors of a
candidate's texts (the mean of its lines) take the place of its picture's, so that the same pipelines run. A pipeline
that reads no vectors needs no model: then one constant number stands for each candidate, and the pictures that are
there can still be shown to a language model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmretrieval.bench.content import digest, pictures_hash
from mmretrieval.benchmarks import Benchmark
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.encoders import DEFAULT_ENCODER, open_encoder
from mmretrieval.errors import MMRetrievalError, NotFound
from mmretrieval.indexing_vectors import index_vectors
from mmretrieval.making import index as index_pictures
from mmretrieval.protocols import Encoder
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

Medium = Literal["pictures", "texts", "words"]
_TEXTS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Gallery:
    """An index folder of candidates; `key` names what it holds, `fingerprint` what made its vectors.

    `pictures` says how many of the candidates can be looked at.
    """

    index: Path
    medium: Medium
    count: int
    key: str
    fingerprint: Mapping[str, Any]
    notes: tuple[str, ...]
    pictures: int = 0


def build(
    benchmark: Benchmark,
    data: Path,
    cache: Path,
    encoder: str | Encoder | None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Gallery:
    """The index of a benchmark's candidates; nothing is encoded when it stands already and no file has changed.

    `encoder` None means that no vectors are wanted. Raises NotFound when neither pictures nor texts are there.
    """
    encoder = DEFAULT_ENCODER if encoder == "default" else encoder
    present = {each: path for each, path in benchmark.images.items() if (data / path).is_file()}
    medium = _medium(benchmark, present, data, wants_vectors=encoder is not None)
    held = present if medium == "pictures" else benchmark.texts
    seen = {each: path for each, path in present.items() if each in held}
    facts = {
        "medium": medium,
        "encoder": encoder.spec if isinstance(encoder, Encoder) else encoder,
        "texts": {each: text for each, text in benchmark.texts.items() if each in held},
        "files": pictures_hash(seen, data) if seen else "",
    }
    key = digest(facts)
    # Changed pictures are brought up to date in the same folder; anything else is another gallery.
    folder = cache / digest({**facts, "files": ""})[:16]
    stamp = folder / "complete.json"
    is_whole = stamp.is_file() and Catalog.exists(folder / "index")
    if not is_whole or json.loads(stamp.read_text("utf-8")) != key:
        stamp.unlink(missing_ok=True)
        _fill(medium, benchmark, held, seen, data, folder, encoder, device, progress)
        stamp.write_text(json.dumps(key), "utf-8")
    with Collection.open(folder / "index") as collection:
        notes = _notes(benchmark, medium, collection.count)
        return Gallery(folder / "index", medium, collection.count, key, dict(collection.fingerprint), notes, len(seen))


def _medium(benchmark: Benchmark, present: Mapping[str, str], data: Path, *, wants_vectors: bool) -> Medium:
    if present and wants_vectors:
        return "pictures"
    if benchmark.texts:
        return "texts" if wants_vectors else "words"
    if present:
        raise NotFound(f"the candidates of {benchmark.name} have no texts, so words alone cannot find them")
    example = next(iter(benchmark.images.values()), "none is named")
    raise NotFound(
        f"none of the {len(benchmark.images):,} pictures of {benchmark.name} is below {data}, as {example}, and its "
        "candidates have no texts: put the pictures there"
    )


def _fill(
    medium: Medium,
    benchmark: Benchmark,
    held: Mapping[str, str],
    seen: Mapping[str, str],
    data: Path,
    folder: Path,
    encoder: str | Encoder | None,
    device: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.jsonl"
    ids = sorted(held)
    rows = [{"id": each, "caption": benchmark.texts.get(each, "").replace("\n", " ")} for each in ids]
    rows = [{**row, "path": seen[row["id"]]} if row["id"] in seen else row for row in rows]
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    told = progress or (lambda *_: None)
    if medium == "pictures":
        assert encoder is not None
        report = index_pictures(
            data, folder / "index", encoder, manifest, device=device, progress=lambda now: told(now.done, now.total)
        )
        if report.interrupted:
            raise MMRetrievalError("indexing was stopped; run the same command again to go on")
        return
    opened = open_encoder(encoder, device=device) if isinstance(encoder, str) else encoder
    vectors = np.ones((len(ids), 1)) if opened is None else _encoded([held[each] for each in ids], opened, told)
    index_vectors(vectors, ids, folder / "index", opened, manifest=manifest, pictures=data if seen else None)


def _encoded(texts: list[str], encoder: Encoder, told: Callable[[int, int], None]) -> NDArray[np.float32]:
    """The mean of the unit rows of each text's lines, made a unit row again."""
    lines = [line for text in texts for line in (text.splitlines() or [""])]
    counts = [len(text.splitlines() or [""]) for text in texts]
    rows = []
    for start in range(0, len(lines), _TEXTS_AT_ONCE):
        rows.append(np.asarray(encoder.encode_texts(lines[start : start + _TEXTS_AT_ONCE]), np.float64))
        told(min(start + _TEXTS_AT_ONCE, len(lines)), len(lines))
    sums = np.add.reduceat(np.concatenate(rows), np.concatenate([[0], np.cumsum(counts)[:-1]]))
    return unit_rows(sums)


def _notes(benchmark: Benchmark, medium: Medium, count: int) -> tuple[str, ...]:
    stands_for = "a picture, none of which was seen" if benchmark.images else "a candidate"
    told = {
        "pictures": "candidates are pictures",
        "texts": f"candidates are texts: the mean vector of its lines stands for {stands_for}",
        "words": "candidates are the words of their texts; no vector was made",
    }[medium]
    lacking = len(benchmark.candidates) - count
    return (told, f"{lacking:,} of {len(benchmark.candidates):,} candidates are not here") if lacking else (told,)
