"""Finds the files of one benchmark in the user's folder, checks them against what was published, and notes it all.

A file is looked for where its publisher keeps it, in any folder on the way there, in the user's folder itself, and
under `shared/`, each also packed as .gz.
Halves named `dev/NAME.part.json` and `holdout/NAME.part.json` are read as one file; where only one is there, the
benchmark has that many queries less, and a note says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mmretrieval.datasets._entries import Entry, csv_rows, list_entries, read_bytes, read_json
from mmretrieval.errors import InvalidData, NotFound

HALVES = ("dev", "holdout")
_COCO_BESIDE = "../ann-coco-captions-val2017"


class Reader:
    """The files of one benchmark; `notes` grows with each that is read."""

    def __init__(self, data: Path, source: str) -> None:
        if not data.is_dir():
            raise NotFound(f"there is no folder {data}; put the files of {source} into one, and name it")
        self.data = data
        self.source = source
        self.notes: list[str] = []

    def find(self, official: str, *others: str) -> tuple[Path, ...]:
        """The whole file, or its halves; () when neither is there. `others` are further places for it."""
        *_, name = steps = PurePosixPath(official).parts
        part = f"{PurePosixPath(name).stem}.part{PurePosixPath(name).suffix}"
        tails = ["/".join(steps[start:]) for start in range(len(steps))]
        for place in (*tails, *others, f"shared/{name}", *(f"{half}/{name}" for half in HALVES)):
            if whole := _there(self.data / place):
                return (whole,)
        halves = (_there(self.data / place) for place in (part, *(f"{half}/{part}" for half in HALVES)))
        return tuple(half for half in halves if half)

    def find_coco(self, official: str) -> tuple[Path, ...]:
        """A file of COCO, as `find` in the user's folder, else in a folder of COCO's captions beside it."""
        places = (self.data, self.data / _COCO_BESIDE)
        found = (Reader(place, self.source).find(official) for place in places if place.is_dir())
        return next(filter(None, found), ())

    def need(self, official: str, *others: str) -> tuple[Path, ...]:
        """As `find`; NotFound, naming the page that has it, instead of ()."""
        found = self.find(official, *others)
        if not found:
            raise NotFound(f"{self.data} has no {official}: get it from {self.source}")
        return found

    def entries(self, official: str, published: int | None, what: str, sha256: str = "") -> list[Entry]:
        """The objects of a list, counted and checked against the published number."""
        files = self.need(official)
        found = [entry for file in files for entry in list_entries(file)]
        self.count(files, len(found), published, what, sha256)
        return found

    def rows(
        self, official: str, columns: Sequence[str], published: int | None, what: str, sha256: str = ""
    ) -> list[Entry]:
        """The rows of a CSV file, counted and checked against the published number."""
        files = self.need(official)
        found = [row for file in files for row in csv_rows(file, columns)]
        self.count(files, len(found), published, what, sha256)
        return found

    def json(self, official: str, *others: str) -> list[tuple[Any, str]]:
        """The value and the name of the file, or of each of its halves."""
        return [(read_json(file), str(file)) for file in self.need(official, *others)]

    def count(self, files: Sequence[Path], found: int, published: int | None, what: str, sha256: str = "") -> None:
        """Compare with what was published: a wrong number is InvalidData, all else a note.

        Half a file is short by nature; its two halves together are not.
        """
        name = files[0].name
        is_half = len(files) == 1 and ".part." in name
        if published is None:
            self.notes.append(f"{name}: {found:,} {what}; there is no published number to compare with")
        elif is_half and found <= published:
            self.notes.append(f"{name}: {found:,} of the {published:,} published {what}, since only one half is here")
        elif found != published:
            raise InvalidData(
                f"{files[0]}: {found:,} {what} where {published:,} were published; fetch it again from {self.source}"
            )
        else:
            self.notes.append(f"{name}: {found:,} {what}, as published")
        if sha256 and ".part." not in name and hashlib.sha256(read_bytes(files[0])).hexdigest() != sha256:
            self.notes.append(f"{name}: not the published bytes (SHA-256 {sha256[:16]}… was expected)")

    def images(self, paths: dict[str, str], *folders: str) -> dict[str, str]:
        """The paths, with that one of `folders` in front which holds the first picture; a note when none does."""
        if not paths:
            return {}
        first = next(iter(paths.values()))
        for folder in ("", *folders):
            if (self.data / folder / first).is_file():
                return {name: str(PurePosixPath(folder, path)) for name, path in paths.items()}
        self.notes.append(f"the pictures are not here: {first}, the first of {len(paths):,}, is missing")
        return dict(paths)


def _there(path: Path) -> Path | None:
    packed = path.with_name(f"{path.name}.gz")
    return next((each for each in (path, packed) if each.is_file()), None)


def known(image: str, images: Any, place: str, where: str) -> str:
    """The image id itself; InvalidData when it is not among the images of the benchmark."""
    if image not in images:
        raise InvalidData(f"{place}: the image '{image}' is not among those of {where}")
    return image
