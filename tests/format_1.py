"""An index folder as the first format had it: the same tables, and no full text."""

import sqlite3

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
TABLES = ("meta", "channels", "segments", "records", "vectors", "files")


def take_back(index):
    """Writes the catalogue of an index folder anew in the first format, with all its rows."""
    now, old = index / "catalog.sqlite", index / "old.sqlite"
    connection = sqlite3.connect(old, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    connection.execute("ATTACH ? AS now", [str(now)])
    for table in TABLES:
        names = "number, id, path, COALESCE(given, caption), meta" if table == "records" else "*"
        connection.execute(f"INSERT INTO main.{table} SELECT {names} FROM now.{table}")
    connection.execute("UPDATE meta SET value = '1' WHERE key = 'format'")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    old.replace(now)
