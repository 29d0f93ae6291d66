"""What was said of a picture besides the manifest: captions, ingredients and aspects, by a model or by hand.

One row per record and kind, with its state and where it comes from. The caption that searches see is `records.caption`;
triggers keep it in step: one that was made or corrected counts first, then the manifest's, then planned aspects. The
manifest's own is kept in `records.given` while another stands in its place, so nothing is ever lost. What a model said
goes when the bytes of the picture change, and a model's caption goes when the manifest brings a new one; what a hand
wrote stays until that hand takes it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mmretrieval.catalog import Catalog

State = Literal["ok", "cut", "refused", "failed"]
KINDS = ("caption", "ingredients", "aspects")
EDITED, MANIFEST = "edited", "manifest"
_NO_DETAILS: Mapping[str, Any] = MappingProxyType({})
_IDS_AT_ONCE = 500  # below SQLite's limit of bound values

TABLE = """CREATE TABLE features (
    record INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    origin TEXT NOT NULL, hash BLOB NOT NULL, details TEXT NOT NULL, PRIMARY KEY (record, kind)
) WITHOUT ROWID"""
GIVEN = "ALTER TABLE records ADD COLUMN given TEXT"  # the manifest's caption; NULL where it is the caption itself


# COALESCE(given, caption) is what the manifest says of the record.
_SETTLE = """BEGIN
    UPDATE records SET
        caption = COALESCE(
            (SELECT text FROM features WHERE record = NUMBER AND kind = 'caption' AND text <> ''),
            NULLIF(COALESCE(given, caption), ''),
            (SELECT text FROM features WHERE record = NUMBER AND kind = 'aspects' AND text <> ''),
            ''
        ),
        given = CASE WHEN EXISTS (
            SELECT 1 FROM features WHERE record = NUMBER AND text <> ''
            AND (kind = 'caption' OR (kind = 'aspects' AND COALESCE(records.given, records.caption) = ''))
        ) THEN COALESCE(given, caption) END
    WHERE number = NUMBER;
END"""

SCHEMA = (
    TABLE,
    GIVEN,
    "CREATE TRIGGER feature_new AFTER INSERT ON features WHEN new.kind <> 'ingredients' "
    + _SETTLE.replace("NUMBER", "new.record"),
    "CREATE TRIGGER feature_gone AFTER DELETE ON features WHEN old.kind <> 'ingredients' "
    + _SETTLE.replace("NUMBER", "old.record"),
    """CREATE TRIGGER given_changed AFTER UPDATE OF given ON records
    WHEN new.given <> '' AND old.given <> new.given BEGIN
        DELETE FROM features WHERE record = new.number AND kind <> 'ingredients' AND origin <> 'edited';
    END""",
    """CREATE TRIGGER features_of_gone AFTER DELETE ON records BEGIN
        DELETE FROM features WHERE record = old.number;
    END""",
    """CREATE TRIGGER picture_changed AFTER INSERT ON files
    WHEN new.state = 'indexed' AND EXISTS (SELECT 1 FROM features) BEGIN
        DELETE FROM features WHERE record = (SELECT number FROM records WHERE id = new.id)
        AND origin <> 'edited' AND hash <> new.hash AND hash <> x'';
    END""",
)


@dataclass(frozen=True, slots=True)
class Feature:
    """What stands in the catalogue of one kind for one record; `text` is empty where nothing usable came.

    `origin` is "edited", or the model and the version of the prompt. `hash` is that of the picture it was made of,
    empty where that is not known. `details` are JSON-ready, as the single aspects with their scores.
    """

    kind: str
    text: str
    state: State = "ok"
    reason: str = ""
    origin: str = EDITED
    hash: bytes = b""
    details: Mapping[str, Any] = field(default_factory=lambda: _NO_DETAILS)

    def to_dict(self) -> dict[str, Any]:
        told = {"text": self.text, "state": self.state, "reason": self.reason, "origin": self.origin}
        return {**told, **({"details": dict(self.details)} if self.details else {})}


def read_features(catalog: Catalog, ids: Sequence[str]) -> dict[str, dict[str, Feature]]:
    """For each id that has any, its features by kind."""
    found: dict[str, dict[str, Feature]] = {}
    if catalog.format < 3:
        return found
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        marks = ",".join("?" * len(part))
        sql = f"""SELECT id, kind, text, state, reason, origin, hash, details FROM features
            JOIN records ON number = record WHERE id IN ({marks})"""  # noqa: S608 (only marks)
        for record_id, kind, text, state, reason, origin, digest, details in catalog.rows(sql, part):
            feature = Feature(kind, text, state, reason, origin, digest, json.loads(details))
            found.setdefault(record_id, {})[kind] = feature
    return found


def write_features(catalog: Catalog, features: Iterable[tuple[str, Feature]]) -> None:
    """Stores them by record id, in one transaction; a record of that id that is gone by now is passed over."""
    with catalog.transaction():
        catalog.many(
            "INSERT OR REPLACE INTO features SELECT number, ?, ?, ?, ?, ?, ?, ? FROM records WHERE id = ?",
            [
                (
                    f.kind,
                    f.text,
                    f.state,
                    f.reason,
                    f.origin,
                    f.hash,
                    json.dumps(dict(f.details), ensure_ascii=False, sort_keys=True),
                    record_id,
                )
                for record_id, f in features
            ],
        )
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def drop_feature(catalog: Catalog, record_id: str, kind: str) -> None:
    """Takes one out, so that what it covered counts again."""
    with catalog.transaction():
        catalog.many(
            "DELETE FROM features WHERE kind = ? AND record = (SELECT number FROM records WHERE id = ?)",
            [(kind, record_id)],
        )
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def count_features(catalog: Catalog) -> dict[str, dict[str, int]]:
    """How many there are, by kind and state."""
    counts: dict[str, dict[str, int]] = {}
    if catalog.format >= 3:
        for kind, state, count in catalog.rows("SELECT kind, state, COUNT(*) FROM features GROUP BY kind, state"):
            counts.setdefault(kind, {})[state] = count
    return counts


def picture_hashes(catalog: Catalog, ids: Sequence[str]) -> Mapping[str, bytes]:
    """The hash of each picture's bytes; empty for those of ready vectors."""
    marks = ",".join("?" * len(ids))
    sql = f"SELECT id, hash FROM files WHERE state = 'indexed' AND id IN ({marks})"  # noqa: S608 (only marks)
    return dict.fromkeys(ids, b"") | dict(catalog.rows(sql, ids))
