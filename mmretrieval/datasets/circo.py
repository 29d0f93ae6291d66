"""CIRCO: composed queries over COCO with all their answers (Baldrati et al., ICCV 2023)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry, read_json, read_text, refuse_doubles
from mmretrieval.datasets._reader import Reader, known
from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.types import Query

GALLERY = 123_403
PICTURES = "COCO2017_unlabeled/unlabeled2017"
GALLERY_FILE = "COCO2017_unlabeled/annotations/image_info_unlabeled2017.json"
_PUBLISHED = MappingProxyType(
    {"val": (220, ""), "test": (800, "2f7c37e89220c990b6b0525d6f3ed63d3fc02e03ce336aa42a3b822841b14886")}
)


class CIRCO(Dataset):
    """CIRCO: a photograph and a change lead to several photographs of COCO; its server keeps the answers of test.

    The target people chose has grade 2, the further ground truths grade 1. `groups` are the nine semantic aspects.
    The reference stays in the ranking, as the official evaluator has it. The shared concept is not part of the query.
    """

    paper = "arXiv 2303.15247"
    source = "https://github.com/miccunifi/CIRCO, and the unlabeled images of 2017 at https://cocodataset.org"
    licence = "annotations CC BY-NC 4.0; each photograph has its own on Flickr"
    splits = ("val", "test")

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        gallery = _gallery(reader)
        queries, sha256 = _PUBLISHED[split]
        entries = reader.entries(f"CIRCO/annotations/{split}.json", queries, "queries", sha256)
        refuse_doubles(entries, lambda entry: entry.number("id"), "id")
        qrels = {} if split == "test" else {str(entry.number("id")): _targets(entry, gallery) for entry in entries}
        if split == "test":
            reader.notes.append("the targets of test are not published: write a submission for the server")
        groups: dict[str, set[str]] = {}
        for entry in entries:
            for aspect in entry.texts("semantic_aspects") if split == "val" else ():
                groups.setdefault(f"aspect: {aspect}", set()).add(str(entry.number("id")))
        return Benchmark(
            self.name,
            split,
            queries=tuple(_query(entry, gallery) for entry in entries),
            qrels=qrels,
            images=reader.images({name: f"{PICTURES}/{int(name):012d}.jpg" for name in sorted(gallery, key=int)}),
            measures=("APmin@5", "APmin@10", "APmin@25", "APmin@50"),
            notes=tuple(reader.notes),
            groups={name: frozenset(ids) for name, ids in sorted(groups.items())},
            licence=self.licence,
        )


def _gallery(reader: Reader) -> frozenset[str]:
    """The ids of COCO's unlabeled images: from its own file, or from a plain list of ids, one a line."""
    files = reader.find(GALLERY_FILE)
    plain = reader.find("coco2017_unlabeled_ids.txt")
    if files:
        ids = [str(image.number("id")) for image in Entry(read_json(files[0]), str(files[0])).entries("images")]
    elif plain:
        files, ids = plain, read_text(plain[0]).split()
        wrong = next((each for each in ids if not each.isdecimal()), None)
        if wrong is not None:
            raise InvalidData(f"{plain[0]}: '{wrong[:40]}' is no COCO id")
    else:
        raise NotFound(f"{reader.data} has no {GALLERY_FILE}: get it from https://cocodataset.org")
    reader.count(files, len(set(ids)), GALLERY, "images")
    return frozenset(str(int(each)) for each in ids)


def _query(entry: Entry, gallery: Collection[str]) -> Query:
    reference = known(str(entry.number("reference_img_id")), gallery, entry.place, "COCO's unlabeled set")
    return Query(str(entry.number("id")), entry.text("relative_caption"), image_id=reference)


def _targets(entry: Entry, gallery: Collection[str]) -> dict[str, int]:
    target, truths = entry.number("target_img_id"), entry.numbers("gt_img_ids")
    if target not in truths or len(set(truths)) != len(truths):
        raise InvalidData(f"{entry.place}: its gt_img_ids must hold the target {target}, and each image once")
    truths.sort(key=lambda each: each != target)  # the target first, the others in their order
    return {known(str(each), gallery, entry.place, "COCO's unlabeled set"): 1 + (each == target) for each in truths}
