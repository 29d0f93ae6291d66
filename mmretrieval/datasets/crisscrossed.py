"""Crisscrossed Captions: how alike people found captions and photographs of COCO (Parekh et al., EACL 2021)."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Correlations, Dataset, Pair
from mmretrieval.datasets._entries import Entry, read_json, refuse_doubles
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData

# task: the two columns, rows of val, SHA-256 of val; the numbers of test are not known to us
_TASKS = MappingProxyType(
    {
        "sts": (
            ("caption1", "caption2"),
            44_009,
            "36d4fbdb88aed1ea90463f95ce40a4c081d25874fb6badd2dfaa62a28b25170b",
        ),
        "sis": (
            ("image1", "image2"),
            42_767,
            "f31ed6a1369e3799b7ef3411b1d612e2a5639591612d170ce57d2d4b2de44a24",
        ),
        "sits": (
            ("caption", "image"),
            44_722,
            "482d996eb91998e0a6fbaf8c70f1e2cb127370a05346720caef1c0bbd3139a0f",
        ),
    }
)
_COCO_FILES = (
    "dataset_coco.json",
    "annotations/captions_val2014.json",
    "annotations/captions_val2017.json",
)


class Crisscrossed(Dataset):
    """Crisscrossed Captions: do similarities follow people's marks from 0 to 5, for captions, images, or both?

    The words come from COCO (dataset_coco.json, captions_val2014.json, or captions_val2017.json, which has a part of
    them). Pairs with a caption that is in none of these files are left out, and counted in the notes.
    """

    paper = "arXiv 2004.15020"
    source = "https://github.com/google-research-datasets/Crisscrossed-Captions, captions from https://cocodataset.org"
    licence = "free for any use, acknowledge Google LLC; captions CC BY 4.0; photographs as on Flickr"
    splits = tuple(f"{task}-{split}" for split in ("val", "test") for task in _TASKS)

    def _load(self, data: Path, split: str) -> Correlations:
        reader = Reader(data, self.source)
        task, _, which = split.partition("-")
        columns, published, sha256 = _TASKS[task]
        official = f"data/{task}_{which}.csv"
        needed = (*columns, "agg_score", "sampling_method")
        rows = reader.rows(official, needed, *((published, "pairs", sha256) if which == "val" else (None, "pairs")))
        refuse_doubles(rows, lambda row: (row.text(columns[0]), row.text(columns[1])), "pair")
        known = _captions(reader) if task != "sis" else {}
        pairs = [_pair(row, columns, number) for number, row in enumerate(rows)]
        kept = [pair for pair in pairs if all(_is_image(side) or side in known for side in (pair.left, pair.right))]
        if not kept:
            raise InvalidData(f"{data}: no pair of {official} has its captions in the COCO files that are here")
        if len(kept) < len(pairs):
            reader.notes.append(
                f"{len(kept):,} of {len(pairs):,} pairs have their captions in the COCO files that are here; "
                "the others are left out"
            )
        sides = dict.fromkeys(side for pair in kept for side in (pair.left, pair.right))
        pictures = {side: f"val2014/{side}.jpg" for side in sorted(sides) if _is_image(side)}
        return Correlations(
            self.name,
            split,
            pairs=tuple(kept),
            texts={side: known[side] for side in sides if side in known},
            images=reader.images(pictures, "images"),
            notes=tuple(reader.notes),
            licence=self.licence,
        )


def _is_image(side: str) -> bool:
    return side.startswith("COCO_val2014_")


def _pair(row: Entry, columns: tuple[str, str], number: int) -> Pair:
    left, right = (_side(row, column) for column in columns)
    return Pair(f"{row.text('sampling_method')}:{number}", left, right, row.real("agg_score", 0, 5))


def _side(row: Entry, column: str) -> str:
    """COCO's number of a caption, or the name of an image without its ending."""
    value, is_caption = row.text(column), column.startswith("caption")
    before, after = ("COCO_val2014:sentid:", "") if is_caption else ("COCO_val2014_", ".jpg")
    number = value.removeprefix(before).removesuffix(after)
    if f"{before}{number}{after}" != value or not number.isdecimal():
        raise InvalidData(f"{row.place}: '{value}' in {column} does not read {before}NUMBER{after}")
    return number if is_caption else before + number


def _captions(reader: Reader) -> dict[str, str]:
    """All captions of the COCO files that are here, by their number."""
    texts: dict[str, str] = {}
    for official in _COCO_FILES:
        for file in reader.find_coco(official):
            found = Entry(read_json(file), str(file))
            texts |= _from_karpathy(found) if official == _COCO_FILES[0] else _from_coco(found)
    if not texts:
        reader.need(_COCO_FILES[0])  # raises, and names the page
    return texts


def _from_karpathy(found: Entry) -> dict[str, str]:
    sentences = (sentence for image in found.entries("images") for sentence in image.entries("sentences"))
    return {str(each.number("sentid")): each.text("raw") for each in sentences}


def _from_coco(found: Entry) -> dict[str, str]:
    return {str(each.number("id")): each.text("caption") for each in found.entries("annotations")}
