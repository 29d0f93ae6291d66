"""Replies of language models, kept by what was asked: one SQLite file that may be deleted at any time.

Several processes and threads may use it at once; writers and readers must be on the same machine, as for the
catalogue. A damaged file is set aside, a folder that cannot be written is done without, and both are told.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar
from urllib.parse import quote

from mmretrieval.asks import Failed, Reply
from mmretrieval.errors import InvalidData
from mmretrieval.storage import primary_code
from mmretrieval.transcript import key_of, reply_facts, reply_of, to_line

T = TypeVar("T")

NAME = "replies.sqlite"
FORMAT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS models (model TEXT PRIMARY KEY, facts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replies (
    model TEXT NOT NULL, ask TEXT NOT NULL, kind TEXT NOT NULL, tokens INTEGER NOT NULL, reply TEXT NOT NULL,
    PRIMARY KEY (model, ask)
) WITHOUT ROWID;
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY_SECONDS = 30.0
_AT_ONCE = 500  # keys in one question to SQLite, which takes a limited number


class ReplyCache:
    """The replies kept in a folder, for the model of the fingerprint given; `spec` is its name, for people.

    It never fails for what happens to its file: it goes on without, and says so in `warnings`. Raises InvalidData for
    a file that a newer version of this package made.
    """

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], spec: str = "") -> None:
        self.file = folder / NAME
        self.warnings: list[str] = []
        self._facts = {"spec": spec, "fingerprint": fingerprint}
        self._model = key_of(fingerprint)
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._is_read_only = False
        self._safely(lambda _: None, None)

    def find(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The replies that are kept for these keys."""
        wanted = list(dict.fromkeys(keys))
        return self._safely(lambda connection: self._found(connection, wanted), {})

    def keep(self, kind: str, replies: Mapping[str, Reply]) -> None:
        """Keep replies by their keys; they are safe from a kill when this returns. `Failed` is never kept."""
        rows = [
            (self._model, key, kind, reply.tokens, to_line(reply_facts(reply)))
            for key, reply in replies.items()
            if not isinstance(reply, Failed)
        ]
        if rows and not self._is_read_only:
            self._safely(lambda connection: self._write(connection, rows), None)

    def mean_tokens(self, kinds: Iterable[str]) -> tuple[int, float]:
        """How many replies of these kinds are kept, and how many tokens they took on average."""
        wanted = sorted(kinds)
        sql = f"SELECT COUNT(*), AVG(tokens) FROM replies WHERE model = ? AND kind IN ({_marks(wanted)})"  # noqa: S608

        def asked(connection: sqlite3.Connection) -> tuple[int, float]:
            count, mean = connection.execute(sql, (self._model, *wanted)).fetchone()
            return int(count), float(mean or 0.0)

        return self._safely(asked, (0, 0.0))

    def close(self) -> None:
        """Close the file. The last one to do so folds the write-ahead log into it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _found(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Reply]:
        found: dict[str, Reply] = {}
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            sql = f"SELECT ask, reply FROM replies WHERE model = ? AND ask IN ({_marks(part)})"  # noqa: S608
            for key, told in connection.execute(sql, (self._model, *part)):
                with suppress(ValueError, InvalidData):  # a reply that is no longer understood is asked for again
                    found[key] = reply_of(json.loads(told), cached=True)
        return found

    def _write(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        with connection:  # one transaction
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT OR IGNORE INTO models VALUES (?, ?)", (self._model, to_line(self._facts)))
            connection.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", rows)

    def _safely(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` gives. A damaged file is set aside and the work done again on a new one; else `otherwise`."""
        with self._lock:
            for _ in range(2):
                try:
                    return work(self._opened())
                except sqlite3.Error as error:
                    if primary_code(error) not in _DAMAGED:
                        self._warn(
                            f"{self.file}: replies of the language model are not kept ({error}): make room on disk, "
                            "or delete what stands there; nothing but kept replies is lost with it"
                        )
                        return otherwise
                    self._set_aside(error)
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if os.access(self.file.parent, os.W_OK) and (not self.file.exists() or os.access(self.file, os.W_OK)):
            return _prepared(self.file)
        self._is_read_only = True
        self._warn(
            f"{self.file.parent} cannot be written: replies of the language model are not kept there, and the next run "
            "asks again; change its permissions, or give --record to keep them elsewhere"
        )
        there = f"file:{quote(str(self.file))}?mode=ro&immutable=1" if self.file.exists() else ":memory:"
        connection = sqlite3.connect(there, uri=True, isolation_level=None, check_same_thread=False)
        if not self.file.exists():
            connection.executescript(SCHEMA)
        return connection

    def _set_aside(self, error: sqlite3.Error) -> None:
        self.close()
        place = next(p for n in range(1, 1000) if not (p := self.file.with_name(f"{NAME}.damaged-{n}")).exists())
        # The log goes first: a new file must never find the log of the old one.
        for ending in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):  # another process was quicker
                self.file.with_name(NAME + ending).replace(place.with_name(place.name + ending))
        self._warn(
            f"{self.file} is damaged ({error}) and was set aside as {place.name}: what was kept in it is asked again; "
            "delete it"
        )

    def _warn(self, told: str) -> None:
        if told not in self.warnings:
            self.warnings.append(told)


def _prepared(file: Path) -> sqlite3.Connection:
    """The file, made if there is none; InvalidData for a newer format."""
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # safe from a kill; a power cut may cost the last replies
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > FORMAT:
            raise InvalidData(
                f"{file}: replies kept in format {version}, and this version reads {FORMAT}: update mmretrieval, or "
                "delete the file, which makes the model be asked again"
            )
        if version < FORMAT:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def kept_replies(folder: Path) -> dict[str, Any]:
    """What `mmretrieval info` tells: bytes on disk, and how many replies of which models; empty without a file."""
    file = folder / NAME
    if not file.is_file():
        return {}
    size = sum(each.stat().st_size for each in folder.glob(f"{NAME}*"))
    sql = "SELECT facts, COUNT(*) FROM replies JOIN models USING (model) GROUP BY model ORDER BY facts"
    try:
        connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        try:
            models = [(str(json.loads(facts)["spec"]), int(count)) for facts, count in connection.execute(sql)]
        finally:
            connection.close()
    except (sqlite3.Error, ValueError, KeyError) as error:
        return {"bytes": size, "unreadable": str(error)}
    names = dict.fromkeys(name for name, _ in models)
    return {"bytes": size, "models": {name: sum(count for each, count in models if each == name) for name in names}}


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
