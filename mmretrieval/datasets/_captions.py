"""Captioned photographs (Flickr30k, COCO): caption to photograph, photograph to caption, or words to words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmretrieval.benchmarks import Benchmark
from mmretrieval.datasets._entries import Entry, refuse_doubles
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

TO_IMAGE, TO_TEXT, BY_TEXT = "", "-image-to-text", "-captions"
KINDS = (TO_IMAGE, TO_TEXT, BY_TEXT)


@dataclass(frozen=True, slots=True)
class Captioned:
    """A photograph by id and path, with its captions by their ids, in the order of the file."""

    id: str
    path: str
    captions: dict[str, str]


def parts(split: str) -> tuple[str, str]:
    """What is asked of which images: "test-captions" gives "test" and "-captions"."""
    kind = next((each for each in (TO_TEXT, BY_TEXT) if split.endswith(each)), TO_IMAGE)
    return split.removesuffix(kind), kind


def karpathy(reader: Reader, official: str, split: str, images: int, captions: int) -> list[Captioned]:
    """The photographs of one split of Karpathy's files; the counts are those of the split."""
    every = (entry for found, place in reader.json(official) for entry in Entry(found, place).entries("images"))
    entries = [entry for entry in every if entry.text("split") == split]
    refuse_doubles(entries, lambda entry: entry.text("filename"), "filename")
    photographs = [_photograph(entry) for entry in entries]
    files = reader.need(official)
    reader.count(files, len(photographs), images, f"images of {split}")
    reader.count(files, sum(len(each.captions) for each in photographs), captions, f"captions of {split}")
    return photographs


def _photograph(entry: Entry) -> Captioned:
    file = entry.text("filename")
    name = str(entry.number("cocoid")) if entry.has("cocoid") else file.partition(".")[0]
    sentences = {str(each.number("sentid")): each.text("raw") for each in entry.entries("sentences")}
    if not sentences:
        raise InvalidData(f"{entry.place}: the image has no caption")
    return Captioned(name, "/".join(filter(None, [entry.text("filepath", or_empty=True), file])), sentences)


def asked(
    dataset: str, split: str, photographs: Sequence[Captioned], reader: Reader, licence: str, *folders: str
) -> Benchmark:
    """The benchmark of a split such as "test", "test-image-to-text" or "test-captions"."""
    _, kind = parts(split)
    build = {TO_IMAGE: _to_image, TO_TEXT: _to_text, BY_TEXT: _by_text}[kind]
    paths = {each.id: each.path for each in photographs}
    if len(paths) != len(photographs):
        raise InvalidData(f"{reader.data}: two images of {split} have the same id")
    images = paths if kind == BY_TEXT else reader.images(paths, *folders)
    queries, qrels, texts = build(photographs, {name: reader.data / path for name, path in images.items()}, reader)
    return Benchmark(
        dataset,
        split,
        queries=tuple(queries),
        qrels=qrels,
        texts=texts,
        images=images if kind == TO_IMAGE else {},
        notes=tuple(reader.notes),
        licence=licence,
    )


Parts = tuple[list[Query], dict[str, dict[str, int]], dict[str, str]]


def _to_image(photographs: Sequence[Captioned], paths: dict[str, Path], reader: Reader) -> Parts:
    del paths, reader
    queries = [Query(number, text) for each in photographs for number, text in each.captions.items()]
    return queries, {number: {each.id: 1} for each in photographs for number in each.captions}, {}


def _to_text(photographs: Sequence[Captioned], paths: dict[str, Path], reader: Reader) -> Parts:
    del reader
    queries = [Query(each.id, image=paths[each.id]) for each in photographs]
    texts = {number: text for each in photographs for number, text in each.captions.items()}
    return queries, {each.id: dict.fromkeys(each.captions, 1) for each in photographs}, texts


def _by_text(photographs: Sequence[Captioned], paths: dict[str, Path], reader: Reader) -> Parts:
    """The first caption seeks the others, which stand for the photograph; one alone cannot be sought."""
    del paths
    several = [each for each in photographs if len(each.captions) > 1]
    queries = [Query(f"first:{each.id}", next(iter(each.captions.values()))) for each in several]
    texts = {each.id: "\n".join(list(each.captions.values())[1:]) for each in several}
    reader.notes.append(
        f"no image is used: the first caption of each of the {len(several):,} images seeks its other captions"
    )
    return queries, {f"first:{each.id}": {each.id: 1} for each in several}, texts
