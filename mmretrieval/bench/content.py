"""What decides a result, as one hash: equal hashes, equal rankings; so whatever is kept is kept under its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmretrieval.benchmarks import Benchmark, Correlations
from mmretrieval.types import Part, Query


def digest(value: Any) -> str:
    """SHA-256 of a value of JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8")).hexdigest()


def query_facts(query: Query, data: Path) -> dict[str, Any]:
    """A query as JSON; a picture file counts by its place below `data` and its bytes, so that the folder may move."""
    return {
        "id": query.id,
        "text": query.text,
        "image": None if query.image is None else _picture(query.image, data),
        "image_id": query.image_id,
        "weights": dict(query.weights),
        "exclude": sorted(query.exclude),
        "within": None if query.within is None else sorted(query.within),
        "parts": [_part(part, data) for part in query.parts],
        "like": list(query.like),
        "unlike": list(query.unlike),
        "compose": query.compose,
        "filter": query.filter,
    }


def benchmark_hash(benchmark: Benchmark, data: Path) -> str:
    """Of queries, judgements, categories and candidates; pictures of candidates count by their paths alone."""
    return digest(
        {
            "name": benchmark.name,
            "split": benchmark.split,
            "queries": [query_facts(query, data) for query in benchmark.queries],
            "qrels": {query: dict(grades) for query, grades in benchmark.qrels.items()},
            "categories": dict(benchmark.categories),
            "texts": dict(benchmark.texts),
            "images": dict(benchmark.images),
            "groups": {name: sorted(queries) for name, queries in benchmark.groups.items()},
            "subsets": {query: sorted(ids) for query, ids in benchmark.subsets.items()},
            "dialogues": {name: list(queries) for name, queries in benchmark.dialogues.items()},
        }
    )


def correlations_hash(task: Correlations) -> str:
    """Of pairs with their marks, texts and places of pictures."""
    return digest(
        {
            "name": task.name,
            "split": task.split,
            "pairs": [[pair.id, pair.left, pair.right, pair.score] for pair in task.pairs],
            "texts": dict(task.texts),
            "images": dict(task.images),
        }
    )


def pictures_hash(images: Mapping[str, str], data: Path) -> str:
    """Of the size and time of every picture that is there: a changed file is seen without reading it."""
    seen = []
    for record_id, path in sorted(images.items()):
        told = (data / path).stat()
        seen.append([record_id, path, told.st_size, told.st_mtime_ns])
    return digest(seen)


def _part(part: Part, data: Path) -> list[Any]:
    return [part.text, None if part.image is None else _picture(part.image, data), part.image_id, part.weight]


def _picture(image: Any, data: Path) -> list[str]:
    if isinstance(image, Path):
        place = image.relative_to(data).as_posix() if image.is_relative_to(data) else image.name
        return [place, hashlib.sha256(image.read_bytes()).hexdigest() if image.is_file() else "absent"]
    return ["opened", hashlib.sha256(image.tobytes()).hexdigest()]
