"""Flickr30k with Karpathy's splits (Young et al., 2014; Karpathy and Fei-Fei, 2015)."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._captions import KINDS, Captioned, asked, karpathy, parts
from mmretrieval.datasets._entries import Entry, list_entries, refuse_doubles
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData

_PUBLISHED = MappingProxyType({"test": (1000, 5000), "val": (1014, 5070)})
_MULTI30K = MappingProxyType({"test": "holdout", "val": "dev"})


class Flickr30k(Dataset):
    """Flickr30k: each caption finds its photograph among 1,000 (test) or 1,014 (val), the split of Karpathy.

    SPLIT-image-to-text turns it round, SPLIT-captions needs no photograph: the first caption seeks the other ones.
    In place of dataset_flickr30k.json, a file captions.jsonl per split (`image`, five `captions_en`), as in Multi30k,
    is read from `dev/` (val) and `holdout/` (test).
    """

    paper = "arXiv 1412.2306"
    source = (
        "https://cs.stanford.edu/people/karpathy/deepimagesent (dataset_flickr30k.json); "
        "https://shannon.cs.illinois.edu/DenotationGraph (images, on request)"
    )
    licence = "non-commercial research and education; each photograph has its own on Flickr"
    splits = tuple(f"{split}{kind}" for split in _PUBLISHED for kind in KINDS)

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        which, _ = parts(split)
        own = reader.find("dataset_flickr30k.json")
        photographs = (
            karpathy(reader, "dataset_flickr30k.json", which, *_PUBLISHED[which]) if own else _multi30k(reader, which)
        )
        return asked(
            self.name, split, photographs, reader, self.licence, "flickr30k-images", "flickr30k_images", "images"
        )


def _multi30k(reader: Reader, split: str) -> list[Captioned]:
    files = reader.find(f"{_MULTI30K[split]}/captions.jsonl")
    if not files or files[0].parent.name != _MULTI30K[split]:
        files = reader.need("dataset_flickr30k.json")  # raises, and names the page
    entries = list_entries(files[0])
    refuse_doubles(entries, lambda entry: entry.text("image"), "image")
    images, captions = _PUBLISHED[split]
    reader.count(files, len(entries), images, f"images of {split}")
    photographs = [_photograph(entry) for entry in entries]
    reader.count(files, sum(len(each.captions) for each in photographs), captions, f"captions of {split}")
    return photographs


def _photograph(entry: Entry) -> Captioned:
    file, captions = entry.text("image"), entry.texts("captions_en")
    if not all(caption.strip() for caption in captions) or not captions:
        raise InvalidData(f"{entry.place}: one of the {len(captions)} captions of '{file}' is empty")
    name = file.partition(".")[0]
    return Captioned(name, file, {f"{name}#{number}": caption for number, caption in enumerate(captions)})
