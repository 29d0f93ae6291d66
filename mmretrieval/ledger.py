"""The ledger: what became of every file, or of every entry of a manifest."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from mmretrieval.catalog import Catalog

INDEXED, DUPLICATE, SKIPPED, IGNORED = "indexed", "duplicate", "skipped", "ignored"
LOOK_AGAIN = -1  # a time of change that no file has


class FileRow(NamedTuple):
    """One line of the ledger.

    `key` is the manifest's id, or the path where a folder was scanned. `mtime_ns` is LOOK_AGAIN where size and time
    cannot prove that nothing changed. `hash` is empty where the content could not be read. `id` is the record of an
    indexed file, the record with the same bytes of a duplicate, else empty.
    """

    key: str
    path: str
    size: int
    mtime_ns: int
    hash: bytes
    state: str
    reason: str
    id: str

    def is_same_file(self, path: str, size: int, mtime_ns: int) -> bool:
        """Whether the file at `path` is the one this line is about, as far as can be told without reading it."""
        return self.mtime_ns == mtime_ns and self.size == size and self.path == path


def read_ledger(catalog: Catalog) -> list[FileRow]:
    """All lines, in no particular order."""
    columns = ", ".join(FileRow._fields)
    make = partial(tuple.__new__, FileRow)  # as `_make`, which also counts the columns of every line
    return list(map(make, catalog.rows(f"SELECT {columns} FROM files")))  # noqa: S608 (own names)
