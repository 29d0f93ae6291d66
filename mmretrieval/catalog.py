"""The catalogue: one SQLite file that is the truth about an index folder.

What is in it counts; vectors and caches that it does not name do not exist. It is made whole in one rename, and after
that every change is one transaction, so a process killed at any moment leaves the state before or after a batch. The
write-ahead log needs memory that processes share: writers and readers of one index must be on the same machine.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from mmretrieval import features, full_text
from mmretrieval.errors import InvalidData, NotFound, StorageError
from mmretrieval.storage import primary_code, storage_error, sync_folder, writing

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = 3  # 1 had no full text, 2 no features; a writer adds them, and until then a reader does without
NAME = "catalog.sqlite"
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE channels (name TEXT PRIMARY KEY, dim INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (
    channel TEXT NOT NULL, number INTEGER NOT NULL, rows INTEGER NOT NULL, PRIMARY KEY (channel, number)
) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL, caption TEXT NOT NULL, meta TEXT NOT NULL
);
CREATE TABLE vectors (
    channel TEXT NOT NULL, record INTEGER NOT NULL, segment INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY (channel, record)
) WITHOUT ROWID;
CREATE TABLE files (
    key TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, hash BLOB NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, id TEXT NOT NULL
) WITHOUT ROWID;
"""
# A vector of a caption is worth nothing once the caption is another one; the next run of the indexer makes it anew.
STALE_CAPTIONS = """
CREATE TRIGGER caption_changed AFTER UPDATE OF caption ON records WHEN old.caption <> new.caption BEGIN
    DELETE FROM vectors WHERE channel = 'caption' AND record = old.number;
END
"""
_UNREADABLE_THERE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
_BUSY_SECONDS = 30.0
_PAUSES = (0.02, 0.1, 0.3)  # seconds
_MOST_COPIES = 10


class Catalog:
    """One connection to a catalogue. It may be used from several threads; calls wait for each other."""

    def __init__(
        self, connection: sqlite3.Connection, index: Path, copy: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.index = index
        self._connection = connection
        self._copy = copy
        self._lock = threading.RLock()

    @staticmethod
    def exists(index: Path) -> bool:
        return (index / NAME).is_file()

    @classmethod
    def open_snapshot(cls, index: Path) -> Catalog:
        """Opens for reading and stays on the state of this moment until closed, whatever a writer commits.

        Raises NotFound without an index, InvalidData for a damaged or newer one.
        """
        if not cls.exists(index):
            raise NotFound(
                f"{index}: there is no index here; make one with: mmretrieval index PICTURES --index {index}"
            )
        try:
            catalog = _snapshot(cls, index)
        except (sqlite3.Error, OSError) as error:
            raise storage_error(index, error, "read") from error
        return _checked(catalog)

    @classmethod
    def open_writer(cls, index: Path) -> Catalog:
        """Opens for writing; the caller holds the writer's lock. Raises StorageError where the folder is read-only."""
        with writing(index):
            connection = _connect(f"file:{quote(str(index / NAME))}?mode=rw")
            # FULL costs one more fsync per batch, beside the one for the vectors and seconds of encoding: then a
            # power cut, too, takes at most the batch in hand. NORMAL would be safe against SIGKILL only.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = WAL")
            full_text.allow_words(connection)
        catalog = _checked(cls(connection, index))
        try:
            _bring_up_to_date(catalog)
        except BaseException:
            catalog.close()
            raise
        return catalog

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT, or of a statement that has none. Raises StorageError, InvalidData when damaged."""
        with self._lock, writing(self.index):
            found: list[tuple[Any, ...]] = self._connection.execute(sql, tuple(values)).fetchall()
        return found

    @property
    def format(self) -> int:
        """The format of the file; `FORMAT` once a writer of this version has opened it."""
        return int(self.rows("PRAGMA user_version")[0][0])

    def numbers(self, sql: str, values: Iterable[Any] = (), *, columns: int) -> NDArray[np.int64]:
        """All rows of a SELECT of whole numbers as a table, (rows, columns), without a Python object for each."""
        with self._lock, writing(self.index):
            cursor = self._connection.execute(sql, tuple(values))
            return np.fromiter(chain.from_iterable(cursor), dtype=np.int64).reshape(-1, columns)

    def meta(self) -> dict[str, Any]:
        return {key: json.loads(value) for key, value in self.rows("SELECT key, value FROM meta")}

    def set_meta(self, facts: Mapping[str, Any]) -> None:
        """Inside a transaction."""
        self.many("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, to_json(value)) for key, value in facts.items()])

    def many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Runs one statement for every row; inside a transaction."""
        self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside counts, or nothing does. Raises StorageError where the disk refuses."""
        with self._lock, writing(self.index):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """A writer leaves no write-ahead log behind unless a reader still needs it."""
        with self._lock:
            self._connection.close()
            if self._copy is not None:
                self._copy.cleanup()


def create(index: Path, facts: Mapping[str, Any], channels: Mapping[str, int]) -> None:
    """Makes an empty catalogue appear in the folder, whole, by one rename.

    `facts` go into its meta table as JSON, `channels` give the dimension of each family of vectors.

    Raises StorageError where the folder cannot be written.
    """
    unfinished = index / (NAME + ".new")
    with writing(index):
        for rest in (unfinished, *(index / (unfinished.name + ending) for ending in ("-wal", "-shm", "-journal"))):
            rest.unlink(missing_ok=True)
        connection = _connect(f"file:{quote(str(unfinished))}")
        catalog = Catalog(connection, index)
        try:
            full_text.allow_words(connection)
            _fill(catalog, facts, channels)
        finally:
            catalog.close()
        unfinished.replace(index / NAME)
        sync_folder(index)


def _fill(catalog: Catalog, facts: Mapping[str, Any], channels: Mapping[str, int]) -> None:
    # The mode is kept in the file, and closing the only connection folds the log into it: one file is renamed.
    catalog.rows("PRAGMA journal_mode = WAL")
    with catalog.transaction():
        for statement in (*SCHEMA.split(";"), STALE_CAPTIONS, *full_text.SCHEMA, *features.SCHEMA):
            catalog.rows(statement)
        catalog.rows(f"PRAGMA user_version = {FORMAT}")
        catalog.set_meta(facts)
        catalog.many("INSERT INTO channels VALUES (?, ?)", channels.items())


def to_json(value: Any) -> str:
    """One spelling per value, so that equal values are equal strings."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)


def _snapshot(cls: type[Catalog], index: Path) -> Catalog:
    """Reading a WAL file needs its shared memory file; where none can be made, the state is read without it."""
    for pause in _PAUSES:
        try:
            return cls(_begin(f"file:{quote(str(index / NAME))}?mode=ro"), index)
        except sqlite3.OperationalError as error:
            if primary_code(error) not in _UNREADABLE_THERE:
                raise
        if not os.access(index, os.W_OK):
            break
        time.sleep(pause)  # a writer may just have been tidying up
    log = index / (NAME + "-wal")
    if not os.access(index, os.W_OK) and (not log.exists() or log.stat().st_size == 0):
        # Nobody can be writing and the file is complete: it may be read as if it could never change.
        return cls(_begin(f"file:{quote(str(index / NAME))}?mode=ro&immutable=1"), index)
    return _from_copy(cls, index, [index / NAME, *([log] if log.exists() else [])])


def _from_copy(cls: type[Catalog], index: Path, files: list[Path]) -> Catalog:
    """A snapshot of copies elsewhere, taken while nothing changed: for a full disk, or a log in a read-only folder."""
    for _ in range(_MOST_COPIES):
        copy = tempfile.TemporaryDirectory(prefix="mmretrieval-")
        try:
            before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            for file in files:
                shutil.copyfile(file, Path(copy.name) / file.name)
            if before == [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]:
                return cls(_begin(f"file:{quote(str(Path(copy.name) / NAME))}?mode=rw"), index, copy)
        except BaseException:
            copy.cleanup()
            raise
        copy.cleanup()
    raise StorageError(f"{index}: the catalogue changes too fast to be read without its shared memory; try again later")


def _begin(uri: str) -> sqlite3.Connection:
    connection = _connect(uri)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()  # the snapshot starts at the first read
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _bring_up_to_date(catalog: Catalog) -> None:
    """Gives a catalogue of an older format what it lacks, whole or not at all."""
    if catalog.format == FORMAT:
        return
    words = (STALE_CAPTIONS, *full_text.SCHEMA, full_text.FILL) if catalog.format < 2 else ()
    with catalog.transaction():
        for statement in (*words, *features.SCHEMA, f"PRAGMA user_version = {FORMAT}"):
            catalog.rows(statement)
        catalog.set_meta({"format": FORMAT})
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def _checked(catalog: Catalog) -> Catalog:
    """Refuses a file that is not a catalogue of a format that this version knows."""
    try:
        version = catalog.format
        if 1 <= version <= FORMAT:
            return catalog
        cure = "update mmretrieval" if version > FORMAT else "index the pictures again into a new folder"
        raise InvalidData(
            f"{catalog.index}: the catalogue has format {version}, this version reads up to {FORMAT}; {cure}"
        )
    except sqlite3.Error as error:
        catalog.close()
        raise storage_error(catalog.index, error) from error
    except InvalidData:
        catalog.close()
        raise


def folder_bytes(index: Path) -> dict[str, int]:
    """Bytes on disk of the catalogue and of the vectors."""
    catalog = sum(file.stat().st_size for file in index.glob(NAME + "*"))
    vectors = sum(file.stat().st_size for file in index.glob("vectors/*/*.f16"))
    return {"catalog": catalog, "vectors": vectors}


def is_ours(name: str) -> bool:
    """Whether a name in an index folder is one this package gives, or one that file managers leave behind."""
    return name.startswith((NAME, "replies.sqlite", "writer.", ".")) or name in ("vectors", "cache")
