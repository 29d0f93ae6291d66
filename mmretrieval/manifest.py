"""Manifests: which pictures a collection holds, with ids and captions, as JSON lines, CSV or Parquet.

    {"id": "dish-1", "path": "images/dish-1.jpg", "caption": "noodles with tofu", "cuisine": "thai"}

`id` and `path` are required, `caption` is optional, every further field becomes metadata and keeps its JSON value (in
a CSV all values are text). Paths are relative to the folder of pictures and stay inside it.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mmretrieval.catalog import to_json
from mmretrieval.errors import InvalidData, MissingExtra, NotFound, UsageError
from mmretrieval.ids import is_fit

DEFAULT_NAME = "manifest.jsonl"
MAX_BYTES = 4 * 2**30
MAX_LINE_BYTES = 4 * 2**20
MAX_ID_LENGTH = 512
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Entry(NamedTuple):
    """One picture of a manifest; `meta` is a JSON object in one spelling, `line` counts from 1."""

    id: str
    path: str
    caption: str
    meta: str
    line: int


def read_manifest(file: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> list[Entry]:
    """All entries in their order. The kind is told by the name: .jsonl or .ndjson, .csv or .tsv, .parquet.

    Raises NotFound without the file, UsageError for another kind, MissingExtra for Parquet without pyarrow, and
    InvalidData naming file and line for whatever is wrong inside.
    """
    entries: list[Entry] = []
    lines: dict[str, int] = {}
    for entry in each_entry(file, max_line_bytes=max_line_bytes):
        if entry.id in lines:
            raise InvalidData(f"{file}:{entry.line}: the id '{entry.id}' stands in line {lines[entry.id]} already")
        lines[entry.id] = entry.line
        entries.append(entry)
    return entries


def each_entry(file: Path, *, needs_path: bool = True, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Entry]:
    """One entry after the other, so that memory stays small; an id may come twice. Raises as `read_manifest` does.

    Where no path is needed, an entry without one has an empty path.
    """
    readers = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
        ".parquet": _parquet_rows,
    }
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise UsageError(f"{file}: a manifest is a file ending in {', '.join(readers)}")
    if not file.is_file():
        raise NotFound(f"{file}: there is no such manifest")
    if file.stat().st_size > MAX_BYTES:
        raise InvalidData(f"{file}: larger than {MAX_BYTES >> 30} GiB; split the collection into several indexes")
    needed = ("id", "path") if needs_path else ("id",)
    for line, fields in reader(file, max_line_bytes):
        yield _entry(fields, needed, f"{file}:{line}", line)


def _entry(fields: Mapping[str, Any], needed: Sequence[str], where: str, line: int) -> Entry:
    for name in needed:
        if name not in fields:
            have = ", ".join(sorted(map(str, fields))) or "none"
            raise InvalidData(f"{where}: there is no '{name}'; the fields are: {have}")
    caption = fields.get("caption")
    if caption is not None and not isinstance(caption, str):
        raise InvalidData(f"{where}: 'caption' must be text, not {_kind(caption)}; keep several under another name")
    meta = {name: value for name, value in fields.items() if name not in ("id", "path", "caption")}
    has_path = "path" in needed or fields.get("path") not in (None, "")
    path = _path(fields["path"], where) if has_path else ""
    entry = Entry(_id(fields["id"], where), path, caption or "", to_json(meta), line)
    try:
        "".join(entry[:4]).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidData(f"{where}: half a surrogate pair stands in the text, which is no character") from error
    return entry


def _id(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise InvalidData(f"{where}: 'id' must be text or a whole number, and is {_kind(value)}")
    if len(value) > MAX_ID_LENGTH:
        raise InvalidData(f"{where}: the id has {len(value)} characters, the limit is {MAX_ID_LENGTH}")
    if not is_fit(value):
        raise InvalidData(f"{where}: the id {value!r} holds blanks or control characters, which run files cannot hold")
    return value


def _path(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidData(f"{where}: 'path' must be text, and is {_kind(value)}")
    path = PurePosixPath(value)
    if path.is_absolute() or _DRIVE.match(value) or value.startswith("\\"):
        raise InvalidData(f"{where}: the path {value!r} is absolute; give it relative to the folder of pictures")
    if ".." in path.parts or ".." in re.split(r"[\\/]", value):
        raise InvalidData(f"{where}: the path {value!r} leaves the folder of pictures")
    if "\0" in value or str(path) == ".":
        raise InvalidData(f"{where}: the path {value!r} names no file")
    return str(path)


def _kind(value: Any) -> str:
    names = {str: "empty text", type(None): "null", bool: "true or false", list: "a list", dict: "an object"}
    return names.get(type(value), f"the number {value}")


def _json_lines(file: Path, max_line_bytes: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open("rb") as lines:
        number = 0
        while text := lines.readline(max_line_bytes + 1):
            number += 1
            where = f"{file}:{number}"
            if len(text) > max_line_bytes:
                raise InvalidData(f"{where}: the line is longer than {max_line_bytes} bytes")
            if number == 1:
                text = text.removeprefix(b"\xef\xbb\xbf")
            if text.strip():
                yield number, _json_object(text, where)


def _json_object(text: bytes, where: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidData(f"{where}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{where}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InvalidData(f"{where}: a JSON object is needed on every line, and this is {_kind(value)}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _csv_rows(file: Path, max_line_bytes: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True, restkey="", restval=None)
        try:
            for fields in reader:
                where = f"{file}:{reader.line_num}"
                if "" in fields or None in fields.values():
                    raise InvalidData(
                        f"{where}: the row does not have the {len(reader.fieldnames or ())} columns of the header"
                    )
                if sum(map(len, fields.values())) > max_line_bytes:
                    raise InvalidData(f"{where}: the row is longer than {max_line_bytes} characters")
                yield reader.line_num, fields
        except csv.Error as error:
            raise InvalidData(f"{file}:{reader.line_num + 1}: not CSV ({error})") from error
        except UnicodeDecodeError as error:
            raise InvalidData(f"{file}:{reader.line_num + 1}: not UTF-8 text ({error.reason})") from error


def _parquet_rows(file: Path, max_line_bytes: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """A line is a row here, counted from 1."""
    del max_line_bytes  # rows have no text form to measure; batches bound the memory
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtra(f"reading {file.name}", "pyarrow", "scale") from error
    number = 0
    try:
        with ParquetFile(file) as table:
            for batch in table.iter_batches(1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: _json_value(value, f"{file}:{number}", name) for name, value in row.items()}
    except (ArrowException, OSError) as error:
        raise InvalidData(f"{file}: not a Parquet file that can be read ({error})") from error


def _json_value(value: Any, where: str, name: str) -> Any:
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # tables mark missing numbers so
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, list):
        return [_json_value(part, where, name) for part in value]
    if isinstance(value, dict):
        return {str(key): _json_value(part, where, name) for key, part in value.items()}
    raise InvalidData(
        f"{where}: the column '{name}' holds {type(value).__name__}, which is no JSON value; leave it out"
    )
