"""Annotation files as entries that know where they stand, so that an error can say which one is damaged, and how."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mmretrieval.errors import InvalidData

MAX_BYTES = 512 * 2**20  # unpacked; the largest known file (Karpathy's COCO) has 144 MB
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
}

K = TypeVar("K")


class Entry:
    """One JSON object or CSV row; its fields are asked for with their type, and `place` names file and entry."""

    __slots__ = ("_fields", "place")

    def __init__(self, fields: Any, place: str) -> None:
        if not isinstance(fields, dict):
            raise InvalidData(f"{place}: an object with named fields was expected, and {_kind(fields)} stands there")
        self._fields = fields
        self.place = place

    def _get(self, name: str, wanted: type, *, required: bool = True) -> Any:
        value = self._fields.get(name)
        if value is None and not required:
            return None
        if value is None:
            have = ", ".join(sorted(map(str, self._fields))) or "none"
            raise InvalidData(f"{self.place}: there is no '{name}'; the fields are: {have}")
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise InvalidData(f"{self.place}: '{name}' must be {_KINDS[wanted]}, and is {_kind(value)}")
        return value

    def text(self, name: str, *, or_empty: bool = False) -> str:
        """A text that is not blank; "" for a missing or blank one when `or_empty`."""
        value = self._get(name, str, required=not or_empty) or ""
        if not value.strip() and not or_empty:
            raise InvalidData(f"{self.place}: '{name}' is empty")
        return str(value).strip()

    def number(self, name: str) -> int:
        """A whole number, also one written as text, as every cell of a CSV is."""
        value = self._fields.get(name)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            return int(value)
        return int(self._get(name, int))

    def real(self, name: str, low: float, high: float) -> float:
        """A number between `low` and `high`, also one written as text."""
        value = self._fields.get(name)
        try:
            number = float(self._get(name, str) if isinstance(value, str) else self._get(name, type(value)))
        except (TypeError, ValueError):
            raise InvalidData(f"{self.place}: '{name}' must be a number, and is {_kind(value)}") from None
        if not low <= number <= high:  # also refuses NaN, which compares false
            raise InvalidData(f"{self.place}: '{name}' is {number:g}, outside of {low:g} to {high:g}")
        return number

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        return [self._each(name, value, str) for value in self._get(name, list)]

    def numbers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        return [self._each(name, value, int) for value in self._get(name, list)]

    def reals(self, name: str) -> list[float]:
        """A list of numbers, whole or not."""
        return [float(self._each(name, value, (int, float))) for value in self._get(name, list)]

    def entry(self, name: str) -> Entry:
        """An object inside this one."""
        return Entry(self._get(name, dict), f"{self.place}, {name}")

    def entries(self, name: str) -> list[Entry]:
        """A list of objects inside this one."""
        found = self._get(name, list)
        return [Entry(each, f"{self.place}, {name} {number}") for number, each in enumerate(found, start=1)]

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def _each(self, name: str, value: Any, wanted: type | tuple[type, ...]) -> Any:
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "text" if wanted is str else "whole numbers" if wanted is int else "numbers"
            raise InvalidData(f"{self.place}: '{name}' must hold {kind} only, and {_kind(value)} is in it")
        return value


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked when its name ends in .gz; InvalidData when it is too large or damaged."""
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed as file:
            content: bytes = file.read(MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InvalidData(f"{path}: not a whole gzip file ({error})") from error
    if len(content) > MAX_BYTES:
        raise InvalidData(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no file of this benchmark is")
    return content


def read_text(path: Path) -> str:
    """As `read_bytes`, decoded from UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_json(text: str, place: str) -> Any:
    """The value of a JSON text; InvalidData naming line and column."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidData(f"{place}: not JSON ({error.msg} at {where})") from error
    except (RecursionError, ValueError) as error:
        raise InvalidData(f"{place}: not JSON that can be read ({error})") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return parse_json(read_text(path), str(path))


def list_entries(path: Path) -> list[Entry]:
    """The objects of a file that holds one JSON list, or (with .jsonl in its name) one object a line."""
    if ".jsonl" in path.name:
        lines = [(number, line) for number, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
        return [Entry(parse_json(line, f"{path}, line {n}"), f"{path}, line {n}") for n, line in lines]
    found = read_json(path)
    if not isinstance(found, list):
        raise InvalidData(f"{path}: a JSON list was expected, and {_kind(found)} stands there")
    return [Entry(each, f"{path}, entry {number}") for number, each in enumerate(found, start=1)]


def csv_rows(path: Path, columns: Sequence[str]) -> list[Entry]:
    """The rows of a CSV file with a header that has at least `columns`."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True, restkey="", restval=None)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        have = ", ".join(filter(None, reader.fieldnames or ())) or "none"
        raise InvalidData(f"{path}: there is no column '{missing[0]}'; the columns are: {have}")
    rows = []
    try:
        for row in reader:
            if None in row.values() or isinstance(row.get(""), list):
                width = len(reader.fieldnames or ())
                raise InvalidData(
                    f"{path}, line {reader.line_num}: the row does not have the {width} columns of the header"
                )
            rows.append(Entry(row, f"{path}, line {reader.line_num}"))
    except csv.Error as error:
        raise InvalidData(f"{path}, line {reader.line_num + 1}: not CSV ({error})") from error
    return rows


def refuse_doubles(entries: Iterable[Entry], key: Callable[[Entry], K], what: str) -> None:
    """InvalidData naming the first entry whose key another one has already."""
    seen: dict[K, str] = {}
    for entry in entries:
        found = key(entry)
        if found in seen:
            raise InvalidData(f"{entry.place}: the {what} '{found}' is there already, in {seen[found]}")
        seen[found] = entry.place
