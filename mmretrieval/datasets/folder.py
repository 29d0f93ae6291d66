"""Any folder of photographs with queries and judgements."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.full_text import searchable
from mmretrieval.manifest import DEFAULT_NAME, Entry, read_manifest

_FILES = MappingProxyType(
    {
        "queries": ("queries.jsonl", "qrels.tsv"),
        "composed": ("composed_queries.jsonl", "composed_qrels.tsv"),
        "image": ("image_queries.jsonl", "image_qrels.tsv"),
    }
)
_SHOWN = 3


class Folder(Dataset):
    """Any folder with manifest.jsonl, queries.jsonl and qrels.tsv; composed_* and image_* are further splits.

    A query has a `qid`, and a `text`, a `reference` (an id) or both; its reference is never an answer. Candidates are
    all images of the manifest. Their texts are its `caption` or `captions`, or the other texts of the manifest when no
    image has any. The types of queries are categories.
    """

    source = "a folder of yours (manifest.jsonl, queries.jsonl, qrels.tsv)"
    licence = "as the folder says"
    splits = tuple(_FILES)

    def _load(self, data: Path, split: str) -> Benchmark:
        manifest = data / DEFAULT_NAME
        if not manifest.is_file():
            below = next((f", as {each.parent} does" for each in sorted(data.glob(f"*/{DEFAULT_NAME}"))), "")
            raise NotFound(f"{data} has no {DEFAULT_NAME}: name a folder that has one{below}")
        entries = read_manifest(manifest)
        queries_file, qrels_file = (data / name for name in _FILES[split])
        rows, qrels = read_queries(queries_file), read_qrels(qrels_file)
        images = {entry.id: entry.path for entry in entries}
        notes = [f"{manifest.name}: {len(images):,} images", f"{queries_file.name}: {len(rows):,} queries"]
        notes += _doubts(data, rows, qrels, images)
        texts, remarks = _texts(entries, manifest)
        asked = {row.query.id for row in rows}
        return Benchmark(
            self.name,
            split,
            queries=tuple(row.query for row in rows),
            qrels={qid: judged for qid, judged in qrels.items() if qid in asked},
            categories={row.query.id: row.type for row in rows if row.type},
            texts=texts,
            images=images,
            measures=("nDCG@10", "R@1", "R@5", "R@10"),
            notes=(*notes, *remarks),
            licence=self.licence,
        )


def _doubts(data: Path, rows: list[QueryRow], qrels: Qrels, images: dict[str, str]) -> list[str]:
    """What does not fit together but leaves something to measure; InvalidData for an unknown image."""
    for row in rows:
        if row.query.image_id is not None and row.query.image_id not in images:
            raise InvalidData(f"{data}: the reference '{row.query.image_id}' of query '{row.query.id}' is not an image")
    for qid, judged in qrels.items():
        stranger = next((image for image in judged if image not in images), None)
        if stranger is not None:
            raise InvalidData(f"{data}: the image '{stranger}', judged for query '{qid}', is not in {DEFAULT_NAME}")
    asked = {row.query.id for row in rows}
    unjudged = [row.query.id for row in rows if not any(grade >= 1 for grade in qrels.get(row.query.id, {}).values())]
    doubts = [
        (unjudged, "queries have no relevant image and are left out"),
        (sorted(qrels.keys() - asked), "judged queries are not asked"),
        ([image for image, path in images.items() if not (data / path).is_file()], "images are not in the folder"),
    ]
    return [f"{len(names):,} {remark}: {_some(names)}" for names, remark in doubts if names]


def _some(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    return ", ".join(shown) + (", …" if len(names) > _SHOWN else "")


def _texts(entries: Sequence[Entry], manifest: Path) -> tuple[dict[str, str], list[str]]:
    """Texts by id, and a note when they are metadata."""
    captions = {entry.id: text for entry in entries if (text := _captions(entry, manifest))}
    if captions:
        return captions, []
    texts = {entry.id: text for entry in entries if (text := searchable("", entry.meta))}
    return texts, ["there are no captions: texts are all metadata, labels among them, that full-text search reads"]


def _captions(entry: Entry, manifest: Path) -> str:
    if entry.caption:
        return entry.caption
    captions = json.loads(entry.meta).get("captions", [])
    if not isinstance(captions, list) or not all(isinstance(each, str) for each in captions):
        raise InvalidData(f"{manifest}:{entry.line}: 'captions' must be a list of texts")
    return "\n".join(captions)
