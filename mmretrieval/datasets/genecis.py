"""GeneCIS: what is alike under a condition (Vaze et al., CVPR 2023)."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

# task: queries, images of the gallery without the target
_PUBLISHED = MappingProxyType(
    {
        "focus_attribute": (2000, 9),
        "change_attribute": (2112, 14),
        "focus_object": (1960, 14),
        "change_object": (1960, 14),
    }
)


class GeneCIS(Dataset):
    """GeneCIS: a photograph and a condition single out one of a small gallery; four tasks, averaged.

    A query ranks its gallery and target alone. The files put the target first, so ties must not be broken by that
    order: candidates here are sorted by id. The attribute tasks are about cut-out boxes of Visual Genome, whose ids
    are IMAGE_X_Y_W_H and whose pictures you cut yourself, dilated by 0.7 and padded to squares as the authors do.
    """

    paper = "arXiv 2306.07969"
    source = (
        "https://github.com/facebookresearch/genecis, images from https://cocodataset.org (val2017) and Visual Genome"
    )
    licence = "CC BY-NC 4.0; each photograph has its own on Flickr"
    splits = ("objects", "all", *_PUBLISHED)

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        tasks = {"all": tuple(_PUBLISHED), "objects": ("focus_object", "change_object")}.get(split, (split,))
        queries: list[Query] = []
        qrels: dict[str, dict[str, int]] = {}
        categories: dict[str, str] = {}
        images: dict[str, str] = {}
        for task in tasks:
            for place, entry in enumerate(reader.entries(f"genecis/{task}.json", _PUBLISHED[task][0], "queries")):
                number = entry.number("index") if entry.has("index") else place
                query, target, paths = _query(entry, task, f"{task}:{number}", reader)
                queries.append(query)
                qrels[query.id] = {target: 1}
                categories[query.id] = task
                images |= paths
        return Benchmark(
            self.name,
            split,
            queries=tuple(queries),
            qrels=qrels,
            categories=categories,
            images=reader.images(dict(sorted(images.items()))),
            measures=("R@1", "R@2", "R@3"),
            notes=tuple(reader.notes),
            average="categories",
            licence=self.licence,
        )


def _query(entry: Entry, task: str, query_id: str, reader: Reader) -> tuple[Query, str, dict[str, str]]:
    """The query, its target, and the paths of all its pictures by id."""
    size = _PUBLISHED[task][1]
    reference, target = _picture(entry.entry("reference"), task), _picture(entry.entry("target"), task)
    gallery = [_picture(each, task) for each in entry.entries("gallery")]
    if len(gallery) != size:
        raise InvalidData(f"{entry.place}: its gallery has {len(gallery)} images, and {size} are needed")
    pool = dict([target, *gallery])
    if reference[0] in pool:
        reader.notes.append(f"{query_id}: the reference '{reference[0]}' stands in its own gallery")
    if len(pool) <= size:
        reader.notes.append(f"{query_id}: an image stands twice in the gallery, which leaves {len(pool)} candidates")
    query = Query(query_id, entry.text("condition"), image_id=reference[0], within=frozenset(pool))
    return query, target[0], dict([reference]) | pool


def _picture(entry: Entry, task: str) -> tuple[str, str]:
    """Id and path."""
    if task.endswith("_object"):
        number = entry.number("val_image_id")
        return str(number), f"val2017/{number:012d}.jpg"
    box = entry.reals("instance_bbox")
    if len(box) != 4:
        raise InvalidData(f"{entry.place}: 'instance_bbox' must be x, y, width and height")
    name = "_".join([str(entry.number("image_id")), *(f"{side:g}" for side in box)])
    return name, f"VG_100K_cut/{name}.jpg"
