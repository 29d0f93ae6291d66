"""CIRR: a photograph and a sentence that changes it lead to another photograph (Liu et al., ICCV 2021)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry, list_entries, refuse_doubles
from mmretrieval.datasets._reader import Reader, known
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

SET_SIZE = 6


class _Published(NamedTuple):
    queries: int
    images: int
    split_sha256: str
    captions_sha256: str  # empty where the published bytes are not known to us


_PUBLISHED = MappingProxyType(
    {
        "val": _Published(4181, 2297, "de36f7a7219c8bb06347a67748cfc68405be7dad62853a1e31846c98e491235b", ""),
        "test1": _Published(
            4148,
            2315,
            "bf2bb9ed0659c4aae35de72350652b9ab75d36a060211f826bec15c58ec12566",
            "26a2b2e7a5c96c903491aefc7d5f237f03d3cca97712e1b6bb3b231db5ff8001",
        ),
    }
)


class CIRR(Dataset):
    """CIRR: a reference photograph and a change lead to one target; its server keeps the answers of test1.

    The reference leaves the ranking. `subsets` holds the other five of the reference's set of six look-alikes, for
    Recall_subset. Soft targets are not used, as in the official measure. With the captions of WeiMoCIR
    (cirr_val_captions.jsonl) beside the annotations, the candidates have texts as well.
    """

    paper = "arXiv 2108.04024"
    source = "https://github.com/Cuberick-Orion/CIRR (branch cirr_dataset)"
    licence = "annotations MIT; the photographs are NLVR2's"
    splits = ("val", "test1")

    def _load(self, data: Path, split: str) -> Benchmark:
        reader, published = Reader(data, self.source), _PUBLISHED[split]
        images = _split_images(reader, split, published)
        captions = f"cirr/captions/cap.rc2.{split}.json"
        entries = reader.entries(captions, published.queries, "queries", published.captions_sha256)
        refuse_doubles(entries, lambda entry: entry.number("pairid"), "pairid")
        subsets = {str(entry.number("pairid")): _others(entry, images) for entry in entries}
        qrels = {} if split == "test1" else {str(entry.number("pairid")): _target(entry, subsets) for entry in entries}
        if split == "test1":
            reader.notes.append("the targets of test1 are not published: write a submission for the server")
        silent = [str(entry.number("pairid")) for entry in entries if not entry.text("caption", or_empty=True)]
        if silent:
            reader.notes.append(f"queries with an empty caption, which search by their reference: {', '.join(silent)}")
        texts = _texts(reader, split, images)
        return Benchmark(
            self.name,
            split,
            queries=tuple(map(_query, entries)),
            qrels=qrels,
            texts=texts,
            images=reader.images(images, "img_raw", "images"),
            measures=("R@1", "R@5", "R@10", "R@50"),
            notes=tuple(reader.notes),
            subsets=subsets,
            licence=self.licence,
        )


def _split_images(reader: Reader, split: str, published: _Published) -> dict[str, str]:
    official = f"cirr/image_splits/split.rc2.{split}.json"
    images: dict[str, str] = {}
    for found, place in reader.json(official):
        paths = Entry(found, place)
        images |= {name: paths.text(name).removeprefix("./") for name in found}
    reader.count(reader.need(official), len(images), published.images, "images", published.split_sha256)
    return images


def _query(entry: Entry) -> Query:
    reference = entry.text("reference")
    caption = entry.text("caption", or_empty=True)
    return Query(str(entry.number("pairid")), caption, image_id=reference, exclude=frozenset({reference}))


def _others(entry: Entry, images: Collection[str]) -> frozenset[str]:
    """The set of look-alikes without the reference."""
    members = entry.entry("img_set").texts("members")
    reference = known(entry.text("reference"), images, entry.place, "the split")
    for name in members:
        known(name, images, entry.place, "the split")
    if len(set(members)) != SET_SIZE or reference not in members:
        raise InvalidData(
            f"{entry.place}: its img_set must hold {SET_SIZE} images, the reference '{reference}' with them"
        )
    return frozenset(members) - {reference}


def _target(entry: Entry, subsets: Mapping[str, Collection[str]]) -> dict[str, int]:
    target = entry.text("target_hard")
    if target not in subsets[str(entry.number("pairid"))]:
        raise InvalidData(f"{entry.place}: the target '{target}' is the reference, or not in the reference's img_set")
    return {target: 1}


def _texts(reader: Reader, split: str, images: Collection[str]) -> dict[str, str]:
    """The captions that a language model wrote for WeiMoCIR, one a line; {} when the file is not there."""
    name = f"cirr_{split}_captions.jsonl"
    files = reader.find(name, f"../out-weimocir-cirr-captions/shared/{name}")
    entries = [entry for file in files for entry in list_entries(file)]
    refuse_doubles(entries, lambda entry: entry.text("candidate"), "candidate")
    texts = {
        known(entry.text("candidate"), images, entry.place, "the split"): "\n".join(entry.texts("captions"))
        for entry in entries
    }
    if texts:
        lacking = sorted(set(images) - texts.keys())
        reader.notes.append(f"{name}: {len(texts):,} images have captions; without are: {', '.join(lacking) or 'none'}")
    else:
        reader.notes.append(f"{name} is not here, so candidates have no text: https://github.com/whats2000/WeiMoCIR")
    return texts
