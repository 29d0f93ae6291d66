"""The records of a snapshot: their ids in order, and what the catalogue tells of each."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mmretrieval.catalog import Catalog
from mmretrieval.errors import NotFound
from mmretrieval.order import LEAST_RECORDS, Ids, Order, rows_by_number
from mmretrieval.types import ImageRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IDS_PER_QUERY = 500  # below SQLite's limit of bound values


class Records:
    """All records at the moment of a catalogue's snapshot; a position is the rank of an id."""

    index: Path
    _catalog: Catalog
    _order: Order

    @cached_property
    def ids(self) -> Sequence[str]:
        """All ids, sorted; those of a large collection stay in the catalogue until they are asked for."""
        if self.count >= LEAST_RECORDS:
            return Ids(self._catalog, self._numbers)
        return [record_id for (record_id,) in self._catalog.rows("SELECT id FROM records ORDER BY id")]

    def ids_at(self, positions: NDArray[np.int64]) -> list[str]:
        """The ids at these positions, in their order."""
        ids = self.ids
        return ids.at(positions) if isinstance(ids, Ids) else [ids[position] for position in positions.tolist()]

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self._numbers)

    def position(self, record_id: str) -> int:
        """Where the id stands in `ids`; raises NotFound."""
        if isinstance(self.ids, Ids):
            found = self._catalog.rows("SELECT number FROM records WHERE id = ?", [record_id])
            if found:
                return self._order.position_of(found[0][0])
        else:
            position = bisect_left(self.ids, record_id)
            if position < len(self.ids) and self.ids[position] == record_id:
                return position
        raise NotFound(
            f"{self.index}: no picture has the id '{record_id}'; list them with: "
            f"mmretrieval info --index {self.index} --files"
        )

    def record(self, record_id: str) -> ImageRecord:
        return self.records([record_id])[0]

    def records(self, ids: Sequence[str]) -> list[ImageRecord]:
        """The records in the order of `ids`, fetched in batches; raises NotFound for the first unknown one."""
        found: dict[str, ImageRecord] = {}
        for start in range(0, len(ids), _IDS_PER_QUERY):
            part = ids[start : start + _IDS_PER_QUERY]
            marks = ",".join("?" * len(part))
            sql = f"SELECT id, path, caption, meta FROM records WHERE id IN ({marks})"  # noqa: S608 (only marks)
            for record_id, path, caption, meta in self._catalog.rows(sql, part):
                found[record_id] = ImageRecord(record_id, path, caption, json.loads(meta))
        for record_id in ids:
            if record_id not in found:
                self.position(record_id)  # tells which one is missing
        return [found[record_id] for record_id in ids]

    def records_at(self, positions: NDArray[np.int64]) -> list[ImageRecord]:
        """The records at these positions, in their order; quicker than by their ids."""
        numbers = self._numbers[positions].tolist()
        found = {
            number: ImageRecord(record_id, path, caption, json.loads(meta))
            for number, record_id, path, caption, meta in rows_by_number(
                self._catalog, "id, path, caption, meta", numbers
            )
        }
        return [found[number] for number in numbers]

    def captions(self, most: int) -> list[str]:
        """At most so many captions that are not empty, from all over the collection, in the order of their ids."""
        step = max(1, self.count // max(most, 1))
        sql = "SELECT caption FROM records WHERE caption != '' AND number % ? = 0 ORDER BY id LIMIT ?"
        return [caption for (caption,) in self._catalog.rows(sql, [step, most])]

    @property
    def _numbers(self) -> NDArray[np.int64]:
        """The catalogue's number of each record, in the order of `ids`."""
        return self._order.numbers
