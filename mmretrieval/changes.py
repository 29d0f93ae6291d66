"""What one transaction will change, gathered first and applied at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmretrieval.catalog import Catalog
from mmretrieval.ledger import FileRow
from mmretrieval.segments import Segment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass
class Changes:
    """Lines of the ledger, records and facts to store, and what to take out."""

    files: dict[str, FileRow] = field(default_factory=dict)  # by key
    dropped_files: set[str] = field(default_factory=set)  # keys
    records: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # id: path, caption, meta as JSON
    paths: dict[str, str] = field(default_factory=dict)  # id: where its picture lies now
    removed: set[str] = field(default_factory=set)  # ids
    facts: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.files, self.dropped_files, self.records, self.paths, self.removed, self.facts))

    def apply(
        self,
        catalog: Catalog,
        channel: str = "image",
        segments: Sequence[Segment] = (),
        places: Mapping[str, NDArray[np.int64]] | None = None,
    ) -> None:
        """Commits all of it in one transaction, with new segment lengths and the (segment, row) of records by id."""
        with catalog.transaction():
            self._remove(catalog)
            catalog.many(
                "INSERT INTO records (id, path, caption, meta) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET path = excluded.path, meta = excluded.meta,"
                " caption = CASE WHEN given IS NULL THEN excluded.caption ELSE caption END,"
                " given = CASE WHEN given IS NULL THEN NULL ELSE excluded.caption END",
                [(record_id, *values) for record_id, values in self.records.items()],
            )
            catalog.many("UPDATE records SET path = ? WHERE id = ?", [(path, id_) for id_, path in self.paths.items()])
            catalog.many(
                "INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", [(channel, *segment) for segment in segments]
            )
            catalog.many(
                "INSERT OR REPLACE INTO vectors SELECT ?, number, ?, ? FROM records WHERE id = ?",
                [(channel, int(s), int(r), record_id) for record_id, (s, r) in (places or {}).items()],
            )
            catalog.many("DELETE FROM files WHERE key = ?", [(key,) for key in self.dropped_files])
            catalog.many("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.files.values())
            catalog.set_meta(self.facts)
            catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def _remove(self, catalog: Catalog) -> None:
        ids = [(record_id,) for record_id in self.removed]
        # Channel by channel, since the table is ordered by them: else every row would be looked at for every id.
        sql = "DELETE FROM vectors WHERE channel = ? AND record = (SELECT number FROM records WHERE id = ?)"
        for (channel,) in catalog.rows("SELECT name FROM channels"):
            catalog.many(sql, [(channel, *each) for each in ids])
        catalog.many("DELETE FROM records WHERE id = ?", ids)
