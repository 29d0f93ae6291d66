"""From ready vectors to committed records: compare a block, append what is new or changed, commit it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.changes import Changes
from mmretrieval.compaction import tidy
from mmretrieval.ready_vectors import GivenIds, blocks
from mmretrieval.segments import ROW_TYPE, Segment, append_rows, map_segment
from mmretrieval.storage import writing
from mmretrieval.vectors import half_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Halves = NDArray[np.float16]

_ROWS_PER_COMMIT = 32_768
_NUMBERS_PER_COMMIT = 2**24  # bounds the memory of a block where rows are long
_ROWS_AT_ONCE = 2_048  # made float16 together: what that needs stays in the processor's cache
_IDS_PER_QUERY = 500  # below SQLite's limit of bound values
_STORED = (
    "SELECT id, path, caption, meta, segment, row FROM records JOIN vectors ON record = number WHERE channel = 'image'"
)
_NO_RECORD = ("", "", "{}")  # path, caption, metadata
_log = logging.getLogger(__name__)

Stored = tuple[str, str, str, int, int]  # path, caption, metadata, segment, row


class VectorWriter:
    """One run over given rows and ids; `progress` is told how many rows are done, and the last id of them."""

    def __init__(
        self,
        catalog: Catalog,
        index: Path,
        matrix: NDArray[Any],
        ids: GivenIds,
        progress: Callable[[int, str], None],
        stop: Callable[[], bool],
    ) -> None:
        self.catalog, self.index, self.matrix, self.ids = catalog, index, matrix, ids
        self.progress, self.stop = progress, stop
        self.counts: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.interrupted = False
        ((self.dim,),) = catalog.rows("SELECT dim FROM channels WHERE name = 'image'")
        lengths = catalog.rows("SELECT number, rows FROM segments WHERE channel = 'image' ORDER BY number")
        segments = [Segment(*length) for length in lengths]
        self._last = segments[-1] if segments else None
        with writing(index):
            self._mapped = {each.number: map_segment(index, "image", each, self.dim) for each in segments}

    def go(self, facts: Mapping[str, Any]) -> None:
        """The whole run; Ctrl-C ends it between two transactions."""
        try:
            if facts:
                Changes(facts=dict(facts)).apply(self.catalog)
            self._write()
            if not self.interrupted:
                self._remove()
                if self.counts["indexed"] or self.counts["removed"]:
                    self.warnings += tidy(self.catalog, self.index)
                self.warnings += self.ids.strangers()
        except KeyboardInterrupt:
            _log.info("stopped by the keyboard; what was committed is kept")
            self.interrupted = True

    def _write(self) -> None:
        self.progress(0, "")
        size = max(1, min(_ROWS_PER_COMMIT, _NUMBERS_PER_COMMIT // self.dim))
        for start, part in blocks(self.matrix, size):
            if self.stop():
                self.interrupted = True
                return
            ids = self.ids.part(start, start + len(part))
            self._block(ids, part)
            self.progress(start + len(part), ids[-1])

    def _block(self, ids: Sequence[str], part: NDArray[Any]) -> None:
        rows = _halved(part)
        stored = self._stored(ids)
        same = self._same(ids, rows, stored)
        new = np.flatnonzero(~same).tolist()
        changes = Changes(records=self._records(ids, stored))
        segments: list[Segment] = []
        places: dict[str, NDArray[np.int64]] = {}
        if new:
            with writing(self.index):
                segments, at = append_rows(self.index, "image", self._last, rows[new])
            places = dict(zip((ids[number] for number in new), at, strict=True))
        if changes or places:
            changes.apply(self.catalog, "image", segments, places)
        self._last = segments[-1] if segments else self._last
        self.counts.update(indexed=len(new), unchanged=len(ids) - len(new))

    def _stored(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Those of the ids that the index has, with what it knows of them."""
        found: dict[str, Stored] = {}
        if not self._mapped:
            return found
        for start in range(0, len(ids), _IDS_PER_QUERY):
            part = ids[start : start + _IDS_PER_QUERY]
            marks = ",".join("?" * len(part))
            sql = f"{_STORED} AND id IN ({marks})"
            found.update(
                (record_id, (path, caption, meta, segment, row))
                for record_id, path, caption, meta, segment, row in self.catalog.rows(sql, part)
            )
        return found

    def _same(self, ids: Sequence[str], rows: Halves, stored: Mapping[str, Stored]) -> NDArray[np.bool_]:
        """Whether each row is, bit by bit, the one that the index has for its id."""
        known = np.array([at for at, record_id in enumerate(ids) if record_id in stored], dtype=np.int64)
        places = np.array([stored[ids[int(at)]][3:] for at in known], dtype=np.int64).reshape(-1, 2)
        same = np.zeros(len(ids), dtype=np.bool_)
        for number in np.unique(places[:, 0]):
            here = places[:, 0] == number
            old = np.asarray(self._mapped[int(number)])[places[here, 1]]
            same[known[here]] = (old.view(np.uint16) == rows[known[here]].view(np.uint16)).all(axis=1)
        return same

    def _records(self, ids: Sequence[str], stored: Mapping[str, Stored]) -> dict[str, tuple[str, str, str]]:
        """Records that are new, or of which the manifest now says something else."""
        described = self.ids.described(ids)
        wanted = {}
        for record_id in ids:
            old = stored.get(record_id)
            told = described.get(record_id, _NO_RECORD)
            if old is None or (self.ids.is_described and tuple(old[:3]) != told):
                wanted[record_id] = told
        return wanted

    def _remove(self) -> None:
        """Takes out the records whose ids are not given any more."""
        ((count,),) = self.catalog.rows("SELECT COUNT(*) FROM records")
        last = ""
        while count > self.ids.count:
            page = self.catalog.rows(
                "SELECT id FROM records WHERE id > ? ORDER BY id LIMIT ?", [last, _ROWS_PER_COMMIT]
            )
            if not page:
                return
            gone = self.ids.absent([record_id for (record_id,) in page])
            if gone:
                Changes(removed=set(gone)).apply(self.catalog)
            self.counts["removed"] += len(gone)
            count, last = count - len(gone), page[-1][0]


def _halved(part: NDArray[Any]) -> Halves:
    """Unit rows as they are stored."""
    rows = np.empty(part.shape, dtype=ROW_TYPE)
    for start in range(0, len(part), _ROWS_AT_ONCE):
        rows[start : start + _ROWS_AT_ONCE] = half_rows(part[start : start + _ROWS_AT_ONCE])
    return rows
