"""FashionIQ: a garment and two sentences on how another one differs (Wu et al., CVPR 2021)."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry
from mmretrieval.datasets._reader import Reader, known
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

# category: queries of val, images of its split, SHA-256 of the split
_PUBLISHED = MappingProxyType(
    {
        "dress": (2017, 3817, "21ff91d53c23859da91bfd49f3acc139b7f3a3dc944fc4e4a80194468cf14bab"),
        "shirt": (2038, 6346, "b82effbf7352a6f828b38c45eb32e53d726bd4d6fd81d6290c81eeb2c68e3234"),
        "toptee": (1961, 5373, "ee42b2505275dd7a19b11ddb88c9264aab2d77f4e59b075fb1c7c3095d02f412"),
    }
)
_VACUOUS = ("is the same", "is exactly the same", "are the same", "appears to be exactly the same", "same", "is same")


class FashionIQ(Dataset):
    """FashionIQ: a garment and how the sought one differs lead to that one; three categories, averaged.

    The two sentences become "First and second". A query ranks the val split of its category, not the union of all
    three, and the reference stays in the ranking: this is the protocol of the common code line, while others circulate.
    """

    paper = "arXiv 1905.12794"
    source = "https://github.com/XiaoxiaoGuo/fashion-iq, images from https://github.com/hongwang600/fashion-iq-metadata"
    licence = "captions and splits CDLA; the photographs are Amazon's"
    splits = ("val", *_PUBLISHED)

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        categories: dict[str, str] = {}
        qrels: dict[str, dict[str, int]] = {}
        queries: list[Query] = []
        images: dict[str, str] = {}
        for category in _PUBLISHED if split == "val" else (split,):
            pool = _pool(reader, category)
            for place, entry in enumerate(_entries(reader, category)):
                query = _query(entry, f"{category}:{place}", pool)
                queries.append(query)
                categories[query.id] = category
                qrels[query.id] = {known(entry.text("target"), pool, entry.place, f"split.{category}.val.json"): 1}
            images |= {name: f"{name}.png" for name in sorted(pool)}
        return Benchmark(
            self.name,
            split,
            queries=tuple(queries),
            qrels=qrels,
            categories=categories,
            images=reader.images(images, "images", "image_data"),
            measures=("R@10", "R@50"),
            notes=tuple(reader.notes),
            average="categories",
            licence=self.licence,
        )


def _pool(reader: Reader, category: str) -> frozenset[str]:
    _, published, sha256 = _PUBLISHED[category]
    official = f"image_splits/split.{category}.val.json"
    names: list[str] = []
    for found, place in reader.json(official):
        names += Entry({"images": found}, place).texts("images")
    reader.count(reader.need(official), len(set(names)), published, "images", sha256)
    return frozenset(names)


def _entries(reader: Reader, category: str) -> list[Entry]:
    published, *_ = _PUBLISHED[category]
    entries = reader.entries(f"captions/cap.{category}.val.json", published, "queries")
    vacuous = sum(all(_bare(each) in _VACUOUS for each in entry.texts("captions")) for entry in entries)
    if vacuous:
        reader.notes.append(
            f"cap.{category}.val.json: queries that only say that it is the same, and are kept: {vacuous}"
        )
    return entries


def _query(entry: Entry, query_id: str, pool: frozenset[str]) -> Query:
    captions = [_bare(each) for each in entry.texts("captions")]
    if len(captions) != 2:
        raise InvalidData(f"{entry.place}: it has {len(captions)} captions, and two are needed")
    text = " and ".join(filter(None, captions))
    reference = known(entry.text("candidate"), pool, entry.place, "the category's split")
    return Query(query_id, text[:1].upper() + text[1:], image_id=reference, within=pool)


def _bare(caption: str) -> str:
    return caption.strip().strip(".?, ").strip()
