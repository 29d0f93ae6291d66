"""Finds the pictures in a folder and says what everything else is."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from mmretrieval.errors import NotFound
from mmretrieval.ledger import IGNORED, SKIPPED, FileRow
from mmretrieval.sniff import FORMAT_OF_ENDING, HEAD_BYTES, RAW_ENDINGS, format_of

NO_FILE = "a pipe, socket or device, not a file"
LOOP = "a symbolic link that leads to itself"


class Found(NamedTuple):
    """A file below the source folder: a picture to be, or with a `state` and `reason` what is settled already."""

    path: str
    size: int
    mtime_ns: int
    state: str = ""
    reason: str = ""


@dataclass
class Scan:
    """What lies below a folder, sorted by path, and the folders that could not be looked into.

    `same` are the lines of the ledger whose files are as they were; all else is `found`.
    """

    found: list[Found] = field(default_factory=list)
    same: list[FileRow] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def scan(root: Path, index: Path, known: Mapping[str, FileRow]) -> Scan:
    """Everything below `root`, an absolute path without links; the folder `index` is left out.

    A file whose name is no picture's is opened and its first bytes are looked at, unless `known` (by path) holds it
    unchanged. Links to files inside the root are followed, links to folders are not: what they lead to is found
    where it really lies. Raises NotFound when the root cannot be read.
    """
    walk = _Walk(root, str(index), known)
    folders = [""]
    while folders:
        folders.extend(walk.folder(folders.pop()))
    walk.scan.found.sort()
    walk.scan.same.sort(key=attrgetter("path"))
    return walk.scan


class _Walk:
    def __init__(self, root: Path, index: str, known: Mapping[str, FileRow]) -> None:
        self.root, self.index, self.known = str(root), index, known
        self.inside = self.root.rstrip(os.sep) + os.sep
        self.scan = Scan()

    def folder(self, folder: str) -> Iterator[str]:
        """Looks at the entries of one folder; yields the folders among them."""
        try:
            entries = list(os.scandir(self.inside + folder))
        except OSError as error:
            if not folder:
                raise NotFound(f"{self.root}: the folder of pictures cannot be read: {error.strerror}") from error
            self.scan.closed.append(folder)
            self._settle(folder, SKIPPED, f"a folder that cannot be read: {error.strerror}")
            return
        prefix = folder + "/" if folder else ""
        known, same = self.known, self.scan.same
        for entry in entries:
            path = prefix + entry.name
            row = known.get(path)
            if row is not None and _is_unchanged(entry, row):
                same.append(row)
            elif self._leads_on(entry, path):
                yield path

    def _leads_on(self, entry: os.DirEntry[str], path: str) -> bool:
        """Settles an entry, unless it is a folder to look into."""
        if entry.name[0] == ".":
            self._settle(path, IGNORED, "hidden")
        elif not _is_text(path):
            self._settle(_readable(path), SKIPPED, "the name is not valid UTF-8")
        elif entry.is_symlink():
            self._link(path)
        elif not entry.is_dir():
            self._entry(entry, path)
        elif self.inside + path != self.index:
            if _ending(path) in FORMAT_OF_ENDING:
                self._settle(path, IGNORED, "a folder with the name of a picture; what is in it was looked at")
            return True
        return False

    def _entry(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            self._file(path, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            self._settle(path, SKIPPED, "vanished while the folder was looked at")
        except OSError as error:
            self._settle(path, SKIPPED, f"cannot be looked at: {error.strerror}")

    def _link(self, path: str) -> None:
        state = SKIPPED if _ending(path) in FORMAT_OF_ENDING else IGNORED
        try:
            facts = os.stat(self.inside + path)  # noqa: PTH116 - one call for what pathlib would wrap
        except FileNotFoundError:
            return self._settle(path, state, "a link to something that is not there")
        except OSError as error:
            return self._settle(path, state, LOOP if error.errno == errno.ELOOP else f"a link: {error.strerror}")
        target = os.path.realpath(self.inside + path)
        is_inside = (target + os.sep).startswith(self.inside)
        if stat.S_ISDIR(facts.st_mode):
            return self._link_to_folder(path, target, is_inside=is_inside)
        if not is_inside:
            return self._settle(path, state, "a link to a file outside the source folder")
        return self._file(path, facts)

    def _link_to_folder(self, path: str, target: str, *, is_inside: bool) -> None:
        if (self.inside + path).startswith(target.rstrip(os.sep) + os.sep):
            self._settle(path, SKIPPED, "a link to a folder that contains it (a loop), not entered")
        elif is_inside:
            self._settle(path, IGNORED, "a link to a folder of the source; its pictures are found where they lie")
        else:
            self._settle(path, SKIPPED, "a link to a folder outside the source folder, not entered")

    def _file(self, path: str, facts: os.stat_result) -> None:
        ending = _ending(path)
        if not stat.S_ISREG(facts.st_mode):
            self._settle(path, SKIPPED if ending in FORMAT_OF_ENDING else IGNORED, NO_FILE)
            return
        found = Found(path, facts.st_size, facts.st_mtime_ns)
        if ending not in FORMAT_OF_ENDING:
            row = self.known.get(path)
            if row is not None and row.is_same_file(*found[:3]):
                if row.state == IGNORED:
                    found = Found(*found[:3], IGNORED, row.reason)
            elif reason := _why_no_picture(self.inside + path, ending):
                found = Found(*found[:3], IGNORED, reason)
        self.scan.found.append(found)

    def _settle(self, path: str, state: str, reason: str) -> None:
        self.scan.found.append(Found(path, 0, 0, state, reason))


def _is_unchanged(entry: os.DirEntry[str], row: FileRow) -> bool:
    """Whether a regular file is as the ledger knows it; most are, so this comes before all other questions."""
    try:
        facts = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return (
        row.mtime_ns == facts.st_mtime_ns
        and row.size == facts.st_size
        and row.state != IGNORED
        and stat.S_ISREG(facts.st_mode)
    )


def _why_no_picture(path: str, ending: str) -> str:
    """Why a file with a foreign name is no picture; empty when its content is one after all."""
    if ending in RAW_ENDINGS:
        return "a raw camera file; export it as JPEG or PNG to index it"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a string is at hand
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"not named as a picture, and cannot be read: {error.strerror}"
    return "" if format_of(head) else "not a picture"


def look_below(root: Path) -> Callable[[str], tuple[int, int] | str]:
    """Size and time of change of files by their path below `root`, or why one cannot be taken."""
    inside = str(root).rstrip(os.sep) + os.sep

    @lru_cache(maxsize=4096)
    def is_inside(folder: str) -> bool:
        return (os.path.realpath(folder) + os.sep).startswith(inside)

    def look(path: str) -> tuple[int, int] | str:
        whole = inside + path
        try:
            facts = os.lstat(whole)
            target = whole
            if stat.S_ISLNK(facts.st_mode):
                facts, target = os.stat(whole), os.path.realpath(whole)  # noqa: PTH116 - strings are at hand
        except FileNotFoundError:
            return "listed in the manifest, but not there"
        except OSError as error:
            return f"listed in the manifest, but cannot be looked at: {error.strerror}"
        if not is_inside(os.path.dirname(target)):  # noqa: PTH120
            return "a link to a file outside the source folder"
        return _special_reason(facts) or (facts.st_size, facts.st_mtime_ns)

    return look


def _special_reason(facts: os.stat_result) -> str:
    """Why this is no regular file, in words; empty when it is one."""
    if stat.S_ISREG(facts.st_mode):
        return ""
    return "a folder, not a picture" if stat.S_ISDIR(facts.st_mode) else NO_FILE


def _ending(path: str) -> str:
    stem, _, ending = path.rpartition(".")
    return ending.lower() if stem and stem[-1] != "/" and "/" not in ending else ""


def _is_text(path: str) -> bool:
    if path.isascii():
        return True
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _readable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
