"""The order of the ids: which record stands at each position, and where its vectors lie.

    cache/order/<version>-records     the catalogue's number of each record, in the order of ids
    cache/order/<version>-<channel>   segment and row of each record's vector, in the same order
    cache/order/<version>-by-number   all numbers, rising, and then the position of each

SQLite would need seconds to tell this of millions of records, and Python gigabytes to hold it. So it is kept in files
that are mapped into memory, named by the state of the index they are about, believed only after a check, and made
anew when they are missing. Where they cannot be written, the same numbers stand in memory. A small collection needs
no files.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from uuid import uuid4

import numpy as np

from mmretrieval.catalog import Catalog

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

LEAST_RECORDS = 50_000  # fewer are read from the catalogue each time, in some tens of milliseconds
_HEADER = struct.Struct("<8sqqq")  # mark, rows, columns, checksum
_MARK = b"mmorder1"
_TYPE = np.dtype("<i8")
_KEPT_FILES = 6  # of older states, and of other channels
_PART = 1 << 20  # bytes
_AT_ONCE = 500  # below SQLite's limit of bound values
_PAGE = 16_384
_log = logging.getLogger(__name__)


class Order:
    """Numbers and places of all records at the moment of a catalogue's snapshot."""

    def __init__(self, catalog: Catalog, version: str, least_records: int = LEAST_RECORDS) -> None:
        """`version` names the state: equal versions mean equal contents."""
        self._catalog = catalog
        self._version = version
        self._least = least_records
        self._some: dict[str, tuple[Numbers, Numbers]] = {}

    @cached_property
    def numbers(self) -> Numbers:
        """The catalogue's number of the record at each position, (n,)."""

        def made() -> Numbers:
            return self._catalog.numbers("SELECT number FROM records ORDER BY id", columns=1)

        return self._kept("records", 1, made).reshape(-1)

    def position_of(self, number: int) -> int:
        """Where the record with this number stands."""
        rising, positions = self._by_number
        return int(positions[np.searchsorted(rising, number)])

    @cached_property
    def _by_number(self) -> Numbers:
        def made() -> Numbers:
            positions = np.argsort(self.numbers)
            return np.stack([self.numbers[positions], positions])

        return self._kept("by-number", len(self.numbers), made)

    def places(self, channel: str) -> Numbers:
        """Segment and row of each record's vector, (n, 2), in the order of positions."""

        def made() -> Numbers:
            sql = "SELECT record, segment, row FROM vectors WHERE channel = ? ORDER BY record"
            table = self._catalog.numbers(sql, [channel], columns=3)
            return table[np.searchsorted(table[:, 0], self.numbers), 1:]

        return self._kept(channel, 2, made)

    def some(self, channel: str) -> tuple[Numbers, Numbers]:
        """Of a channel in which not every record has a vector: positions, (m,), rising, and their places, (m, 2)."""
        if channel not in self._some:
            sql = "SELECT record, segment, row FROM vectors WHERE channel = ?"
            table = self._catalog.numbers(sql, [channel], columns=3)
            rising = np.argsort(self.numbers)
            positions = rising[np.searchsorted(self.numbers, table[:, 0], sorter=rising)]
            order = np.argsort(positions)
            self._some[channel] = positions[order], table[order, 1:]
        return self._some[channel]

    def _kept(self, name: str, columns: int, make: Callable[[], Numbers]) -> Numbers:
        file = self._catalog.index / "cache" / "order" / f"{self._version}-{name}"
        found = _load(file, columns)
        if found is not None:
            return found
        table = make()
        if max(table.shape) >= self._least and _save(file, table):
            found = _load(file, columns)
        return table if found is None else found


class Ids(Sequence[str]):
    """All ids, sorted, read from the catalogue when they are asked for: millions take no memory."""

    def __init__(self, catalog: Catalog, numbers: Numbers) -> None:
        """`numbers` are the catalogue's numbers of the records, by position."""
        self._catalog = catalog
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self.at(np.arange(*place.indices(len(self))))
        ((record_id,),) = self._catalog.rows(
            "SELECT id FROM records WHERE number = ?", [int(self._numbers[int(place)])]
        )
        return str(record_id)

    def at(self, positions: NDArray[np.int64]) -> list[str]:
        """The ids at these positions, in their order."""
        numbers = self._numbers[positions].tolist()
        found = dict(rows_by_number(self._catalog, "id", numbers))
        return [found[number] for number in numbers]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _PAGE):
            yield from self.at(np.arange(start, min(start + _PAGE, len(self))))

    def __contains__(self, record_id: object) -> bool:
        return isinstance(record_id, str) and bool(
            self._catalog.rows("SELECT 1 FROM records WHERE id = ?", [record_id])
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str) or len(self) != len(other):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # compared by value, as a list


def version_of(meta: Mapping[str, Any]) -> str:
    """Which index in which state; equal versions mean equal contents."""
    return f"{meta['uid']}-{meta['generation']}"


def keep_order(catalog: Catalog) -> None:
    """Makes the files for the state that was just committed, so that the first reader need not; by the sole writer."""
    order = Order(catalog, version_of(catalog.meta()))
    if order.places("image").size and len(order.numbers) >= LEAST_RECORDS:
        order.position_of(int(order.numbers[0]))


def rows_by_number(catalog: Catalog, columns: str, numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Number and `columns` of the records with these numbers, in no particular order."""
    for start in range(0, len(numbers), _AT_ONCE):
        part = numbers[start : start + _AT_ONCE]
        marks = ",".join("?" * len(part))
        yield from catalog.rows(f"SELECT number, {columns} FROM records WHERE number IN ({marks})", part)  # noqa: S608 (own names)


def _load(file: Path, columns: int) -> Numbers | None:
    """What the file holds, mapped; None where there is none, or a damaged one."""
    try:
        with file.open("rb") as data:
            mark, rows, width, checksum = _HEADER.unpack(data.read(_HEADER.size))
            found, size = 0, 0
            while part := data.read(_PART):
                found, size = zlib.crc32(part, found), size + len(part)
    except FileNotFoundError:
        return None
    except (OSError, struct.error) as error:
        _log.warning("%s: the order of the ids cannot be read (%s) and is made again", file, error)
        return None
    if (mark, width, size, checksum) != (_MARK, columns, rows * columns * _TYPE.itemsize, found) or not rows:
        _log.warning("%s: the order of the ids is damaged and is made again", file)
        return None
    return np.asarray(np.memmap(file, dtype=_TYPE, mode="r", offset=_HEADER.size, shape=(rows, columns)))


def _save(file: Path, table: Numbers) -> bool:
    """Whether it could be kept; where the folder cannot be written, readers do without."""
    data = np.ascontiguousarray(table, dtype=_TYPE)
    columns = 1 if data.ndim == 1 else data.shape[1]
    unfinished = file.with_name(f"{uuid4().hex}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as out:
            out.write(_HEADER.pack(_MARK, len(data), columns, zlib.crc32(data.data.cast("B"))))
            out.write(data.data.cast("B"))
        unfinished.replace(file)
        _tidy(file)
    except OSError as error:
        _log.info("%s: the order of the ids cannot be kept (%s), so it stays in memory", file, error)
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        return False
    return True


def _tidy(current: Path) -> None:
    """Removes all but the newest files; a process that has one mapped keeps what it mapped."""
    others = [file for file in current.parent.iterdir() if file != current]
    others.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    for file in others[_KEPT_FILES - 1 :]:
        file.unlink(missing_ok=True)
