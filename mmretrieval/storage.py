"""What the system says when it cannot store something, as one sentence with a cure."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmretrieval.errors import InvalidData, MMRetrievalError, StorageError

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_FORBIDDEN_SQLITE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


@contextmanager
def writing(index: Path) -> Iterator[None]:
    """Turns refusals to write into the folder `index` into StorageError, and a broken catalogue into InvalidData."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise storage_error(index, error) from error


def storage_error(index: Path, error: sqlite3.Error | OSError, wanted: str = "written") -> MMRetrievalError:
    """The error of this package that says what `error` means for the index folder, which was to be read or written."""
    if isinstance(error, OSError):
        full, forbidden, broken = error.errno in _FULL, error.errno in _FORBIDDEN, False
    else:
        code = primary_code(error)
        full, forbidden = code in _FULL_SQLITE, code in _FORBIDDEN_SQLITE
        broken = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    if full:
        return StorageError(
            f"{index}: the disk is full or refuses to write ({error}); make room and run the same command again, "
            "all that was committed before is kept"
        )
    if forbidden:
        return StorageError(
            f"{index}: the index folder cannot be {wanted} ({error}); change its permissions or choose another"
        )
    if broken:
        return InvalidData(f"{index}: the catalogue is damaged ({error}); index the pictures again into a new folder")
    return StorageError(f"{index}: the catalogue or a vector file failed ({error}); run the same command again")


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, which an extended code carries in its lowest byte; -1 where none is told."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF


def sync_folder(folder: Path) -> None:
    """Makes the names of new files in a folder survive a power cut, where the system can open folders at all."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
