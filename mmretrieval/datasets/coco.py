"""COCO captions, with Karpathy's splits and as COCO's own validation set of 2017 (Lin et al., 2014)."""

from __future__ import annotations

from pathlib import Path

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._captions import KINDS, Captioned, asked, karpathy, parts
from mmretrieval.datasets._entries import Entry, refuse_doubles
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData

IMAGES, CAPTIONS = 5000, 25_010  # of Karpathy's test, and of his val
IMAGES_2017, CAPTIONS_2017 = 5000, 25_014


class COCO(Dataset):
    """COCO: each caption finds its photograph among 5,000 (Karpathy's test or val, or COCO's val2017).

    SPLIT-image-to-text turns it round, SPLIT-captions needs no photograph: the first caption seeks the other ones.
    """

    paper = "arXiv 1405.0312"
    source = (
        "https://cs.stanford.edu/people/karpathy/deepimagesent (dataset_coco.json); "
        "https://cocodataset.org (annotations and images)"
    )
    licence = "captions CC BY 4.0; each photograph has its own on Flickr"
    splits = tuple(f"{split}{kind}" for split in ("test", "val", "val2017") for kind in KINDS)

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        which, _ = parts(split)
        if which == "val2017":
            photographs = _val2017(reader)
        else:
            photographs = karpathy(reader, "dataset_coco.json", which, IMAGES, CAPTIONS)
        return asked(self.name, split, photographs, reader, self.licence, "images")


def _val2017(reader: Reader) -> list[Captioned]:
    official = "annotations/captions_val2017.json"
    images: list[Entry] = []
    captions: list[Entry] = []
    for found, place in reader.json(official):
        images += Entry(found, place).entries("images")
        captions += Entry(found, place).entries("annotations")
    refuse_doubles(images, lambda entry: entry.number("id"), "image id")
    refuse_doubles(captions, lambda entry: entry.number("id"), "caption id")
    files = reader.need(official)
    reader.count(files, len(images), IMAGES_2017, "images")
    reader.count(files, len(captions), CAPTIONS_2017, "captions")
    by_image: dict[int, dict[str, str]] = {image.number("id"): {} for image in images}
    for caption in sorted(captions, key=lambda entry: entry.number("id")):
        image = caption.number("image_id")
        if image not in by_image:
            raise InvalidData(f"{caption.place}: the image '{image}' is not among the images of the file")
        by_image[image][str(caption.number("id"))] = caption.text("caption")
    silent = next((image for image, own in by_image.items() if not own), None)
    if silent is not None:
        raise InvalidData(f"{files[0]}: the image '{silent}' has no caption")
    return [
        Captioned(str(image.number("id")), f"val2017/{image.text('file_name')}", by_image[image.number("id")])
        for image in images
    ]
