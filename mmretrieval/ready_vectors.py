"""Ready vectors and their ids as files, checked before anything is made of them, in bounded memory.

The vectors are a .npy file of (n, dim) numbers, the ids a text file, UTF-8, with one id a line, in the order of the
rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.ids import is_fit
from mmretrieval.manifest import MAX_ID_LENGTH, Entry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

_NUMBERS_AT_ONCE = 2**21  # of a matrix; bounds the memory of a check to some tens of megabytes
_IDS_PER_QUERY = 500  # below SQLite's limit of bound values


def open_vectors(vectors: Path | NDArray[Any]) -> Floats:
    """The (n, dim) rows of a .npy file, mapped into memory, or of an array; their values are checked by `check_rows`.

    Raises NotFound without the file, InvalidData for anything but a table of float16, float32 or float64.
    """
    name = str(vectors) if isinstance(vectors, Path) else "the vectors"
    matrix = _mapped(vectors) if isinstance(vectors, Path) else np.asarray(vectors)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InvalidData(f"{name}: a table of rows is needed, one a picture, and the shape is {matrix.shape}")
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        raise InvalidData(f"{name}: numbers of float16, float32 or float64 are needed, and these are {matrix.dtype}")
    return matrix


def _mapped(file: Path) -> NDArray[Any]:
    if not file.is_file():
        raise NotFound(f"{file}: there is no such file of vectors")
    try:
        matrix = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InvalidData(
            f"{file}: no .npy file of plain numbers, or a cut-off one; write the table of vectors with numpy.save"
        ) from error
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise InvalidData(f"{file}: an archive of several arrays; write the one table of vectors with numpy.save")
    return matrix


def blocks(matrix: Floats, rows_per_block: int | None = None) -> Iterator[tuple[int, Floats]]:
    """The first row's number and the rows of each block, in order."""
    size = rows_per_block or max(1, _NUMBERS_AT_ONCE // matrix.shape[1])
    for start in range(0, len(matrix), size):
        yield start, np.asarray(matrix[start : start + size])


def check_rows(matrix: Floats, name: str, seen: Callable[[int], None]) -> None:
    """Raises InvalidData naming the first row, counted from 1, that is not finite or zero; tells `seen` rows."""
    for start, part in blocks(matrix):
        lengths = np.linalg.norm(part.astype(np.float64), axis=1)
        bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
        if bad.size:
            state = "is zero" if lengths[bad[0]] == 0 else "holds a number that is not finite"
            raise InvalidData(f"{name}: row {start + bad[0] + 1} {state}, so it has no direction; leave it out")
        seen(start + len(part))


class GivenIds:
    """Ids in the order of their rows, unique and fit for run files; kept in a private file, so memory stays small.

    Use it as a context manager, or close it.
    """

    def __init__(self, ids: Path | Sequence[str]) -> None:
        """Raises NotFound without the file, InvalidData naming the line of what is no id or stands there twice."""
        self.name = str(ids) if isinstance(ids, Path) else "the ids"
        self.is_described = False
        self._table = sqlite3.connect("", isolation_level=None)  # a file that SQLite makes and deletes by itself
        try:
            self._table.execute("PRAGMA cache_size = -65536")
            self._table.execute("CREATE TABLE given (line INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)")
            self.count = self._fill(_lines(ids) if isinstance(ids, Path) else iter(ids))
        except BaseException:
            self.close()
            raise

    def _fill(self, ids: Iterator[str]) -> int:
        line, value = 0, ""

        def checked() -> Iterator[tuple[int, str]]:
            nonlocal line, value
            for line, value in enumerate(ids, start=1):
                self._check(value, line)
                yield line, value

        self._table.execute("BEGIN")
        try:
            self._table.executemany("INSERT INTO given VALUES (?, ?)", checked())
        except sqlite3.IntegrityError as error:
            ((first,),) = self._table.execute("SELECT line FROM given WHERE id = ?", (value,))
            raise InvalidData(f"{self.name}:{line}: the id '{value}' stands in line {first} already") from error
        self._table.execute("COMMIT")
        return line

    def _check(self, value: str, line: int) -> None:
        if not value:
            raise InvalidData(f"{self.name}:{line}: an id is needed on every line, and there is none")
        if len(value) > MAX_ID_LENGTH:
            raise InvalidData(f"{self.name}:{line}: the id has {len(value)} characters, the limit is {MAX_ID_LENGTH}")
        if not is_fit(value):
            told = "holds blanks or control characters, which run files cannot hold"
            raise InvalidData(f"{self.name}:{line}: the id {value!r} {told}")

    def part(self, start: int, stop: int) -> list[str]:
        """The ids of rows start..stop-1, rows counted from 0."""
        found = self._table.execute("SELECT id FROM given WHERE line > ? AND line <= ? ORDER BY line", (start, stop))
        return [record_id for (record_id,) in found]

    def describe(self, entries: Iterable[Entry]) -> None:
        """Keeps what a manifest says of the ids. Raises InvalidData naming the line of an id that it has twice."""
        self.is_described = True
        self._table.execute(
            "CREATE TABLE described (id TEXT PRIMARY KEY, path TEXT, caption TEXT, meta TEXT, line INTEGER)"
        )
        self._table.execute("BEGIN")
        for entry in entries:
            try:
                self._table.execute("INSERT INTO described VALUES (?, ?, ?, ?, ?)", entry)
            except sqlite3.IntegrityError as error:
                ((first,),) = self._table.execute("SELECT line FROM described WHERE id = ?", (entry.id,))
                raise InvalidData(
                    f"the manifest, line {entry.line}: the id '{entry.id}' stands in line {first} already"
                ) from error
        self._table.execute("COMMIT")

    def described(self, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """Path, caption and metadata of those of the ids that the manifest names."""
        if not self.is_described:
            return {}
        sql = "SELECT id, path, caption, meta FROM described WHERE id IN"
        return {record_id: (path, caption, meta) for record_id, path, caption, meta in self._among(sql, ids)}

    def captions(self, most: int) -> list[str]:
        """Some captions, in the order of their ids."""
        if not self.is_described:
            return []
        sql = "SELECT caption FROM described WHERE caption != '' ORDER BY id LIMIT ?"
        return [caption for (caption,) in self._table.execute(sql, (most,))]

    def strangers(self) -> list[str]:
        """A warning where the manifest names ids that have no vector."""
        if not self.is_described:
            return []
        sql = "SELECT COUNT(*), MIN(id) FROM described WHERE id NOT IN (SELECT id FROM given)"
        ((count, first),) = self._table.execute(sql)
        return [f"the manifest names ids that have no vector, such as '{first}': {count}"] if count else []

    def _among(self, sql: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(ids), _IDS_PER_QUERY):
            part = ids[start : start + _IDS_PER_QUERY]
            yield from self._table.execute(f"{sql} ({','.join('?' * len(part))})", part)

    def absent(self, ids: Sequence[str]) -> list[str]:
        """Those of `ids` that are not given, in their order."""
        here = {record_id for (record_id,) in self._among("SELECT id FROM given WHERE id IN", ids)}
        return [record_id for record_id in ids if record_id not in here]

    def close(self) -> None:
        self._table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lines(file: Path) -> Iterator[str]:
    if not file.is_file():
        raise NotFound(f"{file}: there is no such file of ids")
    limit = 4 * MAX_ID_LENGTH + 8  # bytes; no id takes more
    with file.open("rb") as lines:
        number = 0
        while text := lines.readline(limit):
            number += 1
            if len(text) == limit:
                raise InvalidData(f"{file}:{number}: longer than any id, the limit is {MAX_ID_LENGTH} characters")
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            try:
                yield text.rstrip(b"\r\n").decode("utf-8")
            except UnicodeDecodeError as error:
                raise InvalidData(f"{file}:{number}: not UTF-8 text ({error.reason})") from error
