"""Full text of captions and metadata: an FTS5 table in the catalogue, kept in step with the records by triggers.

The text of a record is its caption and every text value of its metadata; names of fields are no part of it. Letters
count without case and accents (`unicode61 remove_diacritics 2`), and English endings are cut off (`porter`), since
captions and queries often differ in nothing else ("two dogs" and "a dog"): with one caption of each of 2,476 pictures
of COCO, another one finds its picture first for 21.2 % instead of 20.6 %, and for 61.2 % instead of 58.0 % among 47.
Words of other languages go through the same rules on both sides, so they still meet; now and then two of them fall
together. Scripts that are written without blanks are indexed sign by sign, since otherwise a whole sentence would be
one word.

A record without any word is not in the table, so that it counts in no statistic. The table keeps no copy of the
texts: SQLite takes a record out by its old text, hence a change of `searchable` needs a new format of the catalogue.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from typing import Any

from mmretrieval.errors import MissingPrerequisite

# Most collections have neither captions nor metadata: then the cheap look at both saves the call of a function.
SCHEMA = (
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='porter unicode61 remove_diacritics 2')",
    """CREATE TRIGGER words_of_new AFTER INSERT ON records WHEN new.caption <> '' OR new.meta <> '{}' BEGIN
        INSERT INTO words (rowid, text) SELECT new.number, searchable(new.caption, new.meta)
        WHERE searchable(new.caption, new.meta) <> '';
    END""",
    """CREATE TRIGGER words_of_gone AFTER DELETE ON records WHEN old.caption <> '' OR old.meta <> '{}' BEGIN
        INSERT INTO words (words, rowid, text) SELECT 'delete', old.number, searchable(old.caption, old.meta)
        WHERE searchable(old.caption, old.meta) <> '';
    END""",
    """CREATE TRIGGER words_of_changed AFTER UPDATE OF caption, meta ON records
    WHEN old.caption <> new.caption OR old.meta <> new.meta BEGIN
        INSERT INTO words (words, rowid, text) SELECT 'delete', old.number, searchable(old.caption, old.meta)
        WHERE searchable(old.caption, old.meta) <> '';
        INSERT INTO words (rowid, text) SELECT new.number, searchable(new.caption, new.meta)
        WHERE searchable(new.caption, new.meta) <> '';
    END""",
)
FILL = """INSERT INTO words (rowid, text) SELECT number, searchable(caption, meta) FROM records
    WHERE searchable(caption, meta) <> ''"""

_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


def searchable(caption: str, meta: str) -> str:
    """The words that a record is found by, given its metadata as JSON; empty when there is none."""
    texts = [caption, *_texts(json.loads(meta))]
    spaced = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", "\n".join(texts)))
    return spaced if _WORD.search(spaced) else ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def allow_words(connection: sqlite3.Connection) -> None:
    """Lets a connection write records; raises MissingPrerequisite where SQLite was built without FTS5."""
    try:
        connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchall()[0]
    except IndexError:
        raise MissingPrerequisite(
            f"SQLite {sqlite3.sqlite_version} of this Python has no full-text search (FTS5): use another build of it"
        ) from None
    connection.execute("PRAGMA trusted_schema = ON")  # some builds forbid triggers to call functions such as this one
    connection.create_function("searchable", 2, searchable, deterministic=True)


def query_words(text: str) -> list[str]:
    """The different words of a query, in order and without signs; whatever a user typed, each is safe to look up."""
    spaced = _UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", text))
    return list(dict.fromkeys(word.casefold() for word in _WORD.findall(spaced)))
