"""Gives back the room of vectors that no record owns any more: the live rows are written anew, in the order of ids."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.errors import StorageError
from mmretrieval.order import keep_order
from mmretrieval.segments import ROWS_PER_SEGMENT, Segment, append_rows, map_segment, segment_path
from mmretrieval.storage import writing

LEAST_DEAD = 4096  # below that the room is not worth the work
DEAD_SHARE = 0.25
_ROWS_AT_ONCE = 16_384
_log = logging.getLogger(__name__)


def tidy(catalog: Catalog, index: Path, channel: str = "image") -> list[str]:
    """After changes: removes what no record needs any more, where that is worth the work; returns warnings.

    It only saves room, so a disk that refuses is no reason to fail.
    """
    warnings = _made_room(catalog, index, channel)
    keep_order(catalog)
    return warnings


def _made_room(catalog: Catalog, index: Path, channel: str) -> list[str]:
    remove_orphans(catalog, index, channel)
    if is_due(catalog, channel):
        try:
            compact(catalog, index, channel)
        except StorageError as error:
            return [f"the room of removed pictures could not be given back: {error}"]
    return []


def is_due(catalog: Catalog, channel: str = "image") -> bool:
    """Whether more than a quarter of the rows on disk, and not just a few, are dead."""
    ((rows,),) = catalog.rows("SELECT COALESCE(SUM(rows), 0) FROM segments WHERE channel = ?", [channel])
    ((live,),) = catalog.rows("SELECT COUNT(*) FROM vectors WHERE channel = ?", [channel])
    return bool(rows - live > max(LEAST_DEAD, DEAD_SHARE * rows))


def compact(catalog: Catalog, index: Path, channel: str = "image", *, rows_per_segment: int = ROWS_PER_SEGMENT) -> None:
    """Writes new segments with the live rows alone and lets the catalogue name them instead of the old ones.

    Killed at any moment, either the old or the new ones count. Readers keep what they have mapped. Raises
    StorageError when there is no room for both, and then nothing has changed.
    """
    ((dim,),) = catalog.rows("SELECT dim FROM channels WHERE name = ?", [channel])
    old = [
        Segment(number, rows)
        for number, rows in catalog.rows("SELECT number, rows FROM segments WHERE channel = ?", [channel])
    ]
    sql = (
        "SELECT record, segment, row FROM vectors JOIN records ON records.number = record WHERE channel = ? ORDER BY id"
    )
    table = catalog.numbers(sql, [channel], columns=3)
    last = Segment(max((segment.number for segment in old), default=-1) + 1, 0)
    lengths = {last.number: 0}  # without a live row an empty segment stays, so that no number is ever used again
    with writing(index):
        mapped = {segment.number: map_segment(index, channel, segment, dim) for segment in old}
        for start in range(0, len(table), _ROWS_AT_ONCE):
            part = table[start : start + _ROWS_AT_ONCE]
            matrix = np.stack([mapped[number][row] for _, number, row in part.tolist()])
            touched, places = append_rows(index, channel, last, matrix, rows_per_segment=rows_per_segment)
            table[start : start + _ROWS_AT_ONCE, 1:] = places
            lengths.update(touched)
            last = touched[-1]
    with catalog.transaction():
        catalog.many("DELETE FROM segments WHERE channel = ? AND number = ?", [(channel, each.number) for each in old])
        catalog.many("INSERT INTO segments VALUES (?, ?, ?)", [(channel, *length) for length in lengths.items()])
        moved = ((int(segment), int(row), channel, int(record)) for record, segment, row in table)
        catalog.many("UPDATE vectors SET segment = ?, row = ? WHERE channel = ? AND record = ?", moved)
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    remove_orphans(catalog, index, channel)


def remove_orphans(catalog: Catalog, index: Path, channel: str = "image") -> None:
    """Deletes segment files that the catalogue does not name: what a killed run, or a compaction, left behind."""
    named = {number for (number,) in catalog.rows("SELECT number FROM segments WHERE channel = ?", [channel])}
    keep = {segment_path(index, channel, number) for number in named}
    for file in (index / "vectors" / channel).glob("*.f16"):
        if file not in keep:
            _log.info("removing %s, which the catalogue does not name", file)
            with suppress(OSError):  # a reader on Windows may hold it; the next run tries again
                file.unlink()
