"""Vectors on disk: append-only files of little-endian float16 rows, one folder per channel.

    vectors/image/000000.f16      row r lies at byte r * dim * 2; there is no header

A row counts only once the catalogue names it. What lies beyond the committed length of a segment is the rest of an
interrupted run: readers never look at it, and the next writer cuts it off. A committed row never changes, so a reader
may keep a segment mapped for as long as it likes while a writer appends.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.storage import sync_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS_PER_SEGMENT = 1_000_000
ROW_TYPE = np.dtype("<f2")
_RESIDENT = 2 * 2**30  # bytes of mapped files that may count as this process's memory
_TOUCHED = 65_536  # bytes that the system maps around one row that is read
_PLACES = 262_144  # places looked at together, so that no table of all of them is made


class Segment(NamedTuple):
    """The committed length, in rows, of one segment file."""

    number: int
    rows: int


def segment_path(index: Path, channel: str, number: int) -> Path:
    """Where a segment lies in an index folder."""
    return index / "vectors" / channel / f"{number:06d}.f16"


def map_segment(index: Path, channel: str, segment: Segment, dim: int) -> NDArray[np.float16]:
    """The committed rows of a segment, (rows, dim), read from disk only where touched.

    Raises FileNotFoundError when a newer snapshot has replaced the file, InvalidData when it is shorter than committed.
    """
    if segment.rows == 0:
        return np.empty((0, dim), dtype=ROW_TYPE)
    path = segment_path(index, channel, segment.number)
    if path.stat().st_size < segment.rows * dim * ROW_TYPE.itemsize:
        raise _too_short(path, segment.rows)
    return np.memmap(path, dtype=ROW_TYPE, mode="r", shape=(segment.rows, dim))


def read_row(index: Path, channel: str, number: int, row: int, dim: int) -> NDArray[np.float16]:
    """One committed row, (dim,), whether or not a record still owns it; raises OSError."""
    with segment_path(index, channel, number).open("rb") as file:
        file.seek(row * dim * ROW_TYPE.itemsize)
        return np.frombuffer(file.read(dim * ROW_TYPE.itemsize), dtype=ROW_TYPE)


def append_rows(
    index: Path,
    channel: str,
    last: Segment | None,
    matrix: NDArray[np.float32 | np.float16],
    *,
    rows_per_segment: int = ROWS_PER_SEGMENT,
) -> tuple[list[Segment], NDArray[np.int64]]:
    """Writes the (n, dim) rows behind the committed length of the `last` segment and waits until they are on disk.

    Returns the new lengths of the segments touched, and the place (segment, row) of each row, (n, 2). Nothing counts
    until the catalogue has committed both. Raises OSError when the disk refuses.
    """
    number, start = (last.number, last.rows) if last else (0, 0)
    touched: list[Segment] = []
    places = np.empty((len(matrix), 2), dtype=np.int64)
    done = 0
    while done < len(matrix):
        if start >= rows_per_segment:
            number, start = number + 1, 0
        part = matrix[done : done + rows_per_segment - start]
        _write(segment_path(index, channel, number), start, part)
        places[done : done + len(part), 0] = number
        places[done : done + len(part), 1] = np.arange(start, start + len(part))
        start += len(part)
        done += len(part)
        touched.append(Segment(number, start))
    return touched, places


def _write(path: Path, start: int, rows: NDArray[np.float32 | np.float16]) -> None:
    data = np.ascontiguousarray(rows, dtype=ROW_TYPE)
    offset = start * data.shape[1] * ROW_TYPE.itemsize
    is_new = not path.exists()
    if (0 if is_new else path.stat().st_size) < offset:
        raise _too_short(path, start)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb" if is_new else "r+b", buffering=0) as file:
        file.truncate(offset)
        file.seek(offset)
        try:
            view = memoryview(data.tobytes())
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(offset)  # a full disk needs the room back more than we need half a batch
            raise
    if is_new:
        sync_folder(path.parent)


def _too_short(path: Path, rows: int) -> InvalidData:
    return InvalidData(
        f"{path}: shorter than the {rows} rows the catalogue counts; index the pictures again into a new folder"
    )


def _map_behind(matrix: Any) -> mmap.mmap | None:
    """The mapped file that an array looks into; None for one in memory."""
    while matrix is not None and not isinstance(matrix, mmap.mmap):
        matrix = getattr(matrix, "base", None)
    return matrix


class Rows:
    """The rows of one channel at one moment; it never changes, whatever a writer does meanwhile.

    Position p stands for the p-th id in sorted order, so a tie broken by position is a tie broken by id. A slot is
    where a row lies: slots count all stored rows, dead ones too, segment by segment. A later upsert moves positions but
    never slots, so what stands on slots (an index of FAISS) still holds after it; only compaction starts anew.
    """

    def __init__(
        self,
        segments: Sequence[tuple[int, NDArray[np.float16]]],
        places: NDArray[np.int64],
        *,
        dim: int,
        name: str,
    ) -> None:
        """`segments` are numbers, rising, with mapped rows; `places` the (segment, row) of each position, (n, 2).

        `name` tells channels of different collections apart.
        """
        self.n = len(places)
        self.dim = dim
        self._name = name
        self._places = places
        self._numbers = np.array([number for number, _ in segments], dtype=np.int64)
        self._matrices = [np.asarray(matrix) for _, matrix in segments]  # a mapped array is slow to cut, its base not
        self._maps = [mapped for _, matrix in segments if (mapped := _map_behind(matrix)) is not None]
        self._touched = 0
        self._starts = np.cumsum([0, *(len(matrix) for matrix in self._matrices)], dtype=np.int64)

    @property
    def stored(self) -> int:
        """How many slots there are: live rows and dead ones."""
        return int(self._starts[-1])

    @cached_property
    def key(self) -> str:
        """Equal keys mean equal content, also in another process; for naming caches."""
        digest = hashlib.blake2b(f"{self._name}\n{self.dim}\n".encode(), digest_size=16)
        for start in range(0, self.n, _PLACES):
            digest.update(np.ascontiguousarray(self._places[start : start + _PLACES], dtype="<i8").tobytes())
        return digest.hexdigest()

    def storage_key(self, slots: int) -> str:
        """A name for the content of the first `slots` slots, at most `stored`; later appends do not change it."""
        lengths = np.minimum(np.diff(self._starts), np.maximum(slots - self._starts[:-1], 0))
        parts = [f"{number}:{length}" for number, length in zip(self._numbers, lengths, strict=True) if length]
        text = f"{self._name}\n{self.dim}\n{' '.join(parts)}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @cached_property
    def owners(self) -> NDArray[np.int32]:
        """For each slot its position, (stored,); -1 where no record owns it any more."""
        owners = np.full(self.stored, -1, dtype=np.int32)
        for start in range(0, self.n, _PLACES):
            positions = np.arange(start, min(start + _PLACES, self.n))
            owners[self.slots(positions)] = positions
        return owners

    def slots(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the rows at these positions lie; raises NotFound for a position outside 0..n-1."""
        positions = np.asarray(positions, dtype=np.int64)
        if positions.size and (positions.min() < 0 or positions.max() >= self.n):
            raise NotFound(f"a position outside 0..{self.n - 1} was asked for: use positions of this snapshot only")
        places = self._places[positions]
        slots: NDArray[np.int64] = self._starts[np.searchsorted(self._numbers, places[:, 0])] + places[:, 1]
        return slots

    def stored_blocks(self, first: int = 0, rows_per_block: int = 65_536) -> Iterator[tuple[int, NDArray[np.float16]]]:
        """Every slot from `first` on, as pairs of a slot and the (m, dim) rows from it on, dead rows too.

        The matrix is a view into the mapped file; do not write to it.
        """
        for start, matrix in zip(self._starts.tolist(), self._matrices, strict=False):
            for row in range(max(first - start, 0), len(matrix), rows_per_block):
                block = matrix[row : row + rows_per_block]
                yield start + row, block
                self._has_touched(block.nbytes)

    def _has_touched(self, count: int) -> None:
        """Hands mapped pages back before they add up to more than a process should hold.

        They stay in the system's cache of files, where the next read finds them; only the count of this process falls.
        """
        self._touched += count
        if self._touched > _RESIDENT and hasattr(mmap, "MADV_DONTNEED"):
            self._touched = 0
            for mapped in self._maps:
                mapped.madvise(mmap.MADV_DONTNEED)

    def blocks(self, rows_per_block: int = 65_536) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Every live row once, as pairs of positions (m,) and rows (m, dim), m ≤ rows_per_block, in disk order.

        The matrix is a view into the mapped file where no row in between is dead; do not write to it.
        """
        for slot, matrix in self.stored_blocks(rows_per_block=rows_per_block):
            positions = self.owners[slot : slot + len(matrix)].astype(np.int64)
            live = positions >= 0
            if live.all():
                yield positions, matrix
            elif live.any():
                yield positions[live], matrix[live]

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """The rows at these positions, (len(positions), dim); unit up to the rounding of float16.

        Raises NotFound for a position outside 0..n-1.
        """
        return self.take_slots(self.slots(positions)).astype(np.float32)

    def take_slots(self, slots: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows in these slots as they are stored, (len(slots), dim)."""
        taken = np.empty((len(slots), self.dim), dtype=ROW_TYPE)
        segments = np.searchsorted(self._starts, slots, side="right") - 1
        for segment in np.unique(segments):
            here = segments == segment
            taken[here] = self._matrices[segment][slots[here] - self._starts[segment]]
        self._has_touched(len(slots) * _TOUCHED)
        return taken
