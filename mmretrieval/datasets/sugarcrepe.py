"""SugarCrepe: a caption and one that is nearly right (Hsieh et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Choice, Choices, Dataset
from mmretrieval.datasets._entries import Entry, read_json
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData

_PUBLISHED = MappingProxyType(
    {
        "add_att": 692,
        "add_obj": 2062,
        "replace_att": 788,
        "replace_obj": 1652,
        "replace_rel": 1406,
        "swap_att": 666,
        "swap_obj": 246,
    }
)
_COCO_CAPTIONS = "annotations/captions_val2017.json"


class SugarCrepe(Dataset):
    """SugarCrepe: which of two captions is right, when the other adds, replaces or swaps a word.

    Where captions_val2017.json of COCO lies beside it, the other captions of a picture are known, too.
    """

    paper = "arXiv 2306.14610"
    source = "https://github.com/RAIVNLab/sugar-crepe (folder data), images from https://cocodataset.org (val2017)"
    licence = "MIT; each photograph has its own on Flickr"
    splits = ("all", *_PUBLISHED)

    def _load(self, data: Path, split: str) -> Choices:
        reader = Reader(data, self.source)
        choices: list[Choice] = []
        for category in _PUBLISHED if split == "all" else (split,):
            choices += _choices(reader, category)
        pictures = {choice.image: f"val2017/{choice.image}.jpg" for choice in choices}
        images = reader.images(dict(sorted(pictures.items())))
        texts = _texts(reader, images)
        return Choices(self.name, split, tuple(choices), images, texts, tuple(reader.notes), self.licence)


def _choices(reader: Reader, category: str) -> list[Choice]:
    official = f"data/{category}.json"
    found: dict[str, Choice] = {}
    for entries, place in reader.json(official):
        outer = Entry(entries, place)
        for number in entries:
            choice = _choice(outer.entry(number), f"{category}:{number}", category)
            if choice.id in found:
                raise InvalidData(f"{place}: the entry '{number}' is in the other half already")
            found[choice.id] = choice
    reader.count(reader.need(official), len(found), _PUBLISHED[category], "pairs")
    same = [choice.id for choice in found.values() if choice.caption == choice.negative]
    if same:
        reader.notes.append(
            f"{category}: pairs whose two captions are the same, so that none is right: {', '.join(same)}"
        )
    return list(found.values())


def _texts(reader: Reader, images: Mapping[str, str]) -> dict[str, str]:
    """The captions of each picture in COCO's own file, one a line; none where that file is not here."""
    lines: dict[str, list[str]] = {}
    for file in reader.find_coco(_COCO_CAPTIONS):
        for each in Entry(read_json(file), str(file)).entries("annotations"):
            lines.setdefault(f"{each.number('image_id'):012d}", []).append(" ".join(each.text("caption").split()))
    return {image: "\n".join(lines[image]) for image in images if image in lines}


def _choice(entry: Entry, choice_id: str, category: str) -> Choice:
    file, caption, negative = entry.text("filename"), entry.text("caption"), entry.text("negative_caption")
    stem, _, ending = file.partition(".")
    if ending != "jpg" or not stem.isdecimal():
        raise InvalidData(f"{entry.place}: '{file}' is no picture of COCO")
    return Choice(choice_id, stem, caption, negative, category)
