"""Query files: one JSON object a line, `qid` with `text`, with `reference` (an image id), or with both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.types import Query


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query and the type its author gave it, which may be empty."""

    query: Query
    type: str = ""


def read_queries(path: Path) -> list[QueryRow]:
    """All queries of a file, in order.

    A row with a `reference` searches with that image, and its `text` is the change; the reference itself is never
    an answer, so it is excluded. Raises NotFound without the file, InvalidData naming the line otherwise.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise NotFound(f"there is no query file {path}") from None
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    rows = [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    seen: set[str] = set()
    for row in rows:
        if row.query.id in seen:
            raise InvalidData(f"{path} holds the query '{row.query.id}' twice: give each its own qid")
        seen.add(row.query.id)
    if not rows:
        raise InvalidData(f'{path} holds no query: each line should read {{"qid": …, "text": …}}')
    return rows


def _row(line: str, place: str) -> QueryRow:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidData(f"{place}: no JSON object, {error.msg} at column {error.colno}") from error
    if not isinstance(fields, dict):
        raise InvalidData(f"{place}: a JSON object was expected, and {type(fields).__name__} stands there")
    qid, text = _string(fields, "qid", place), _string(fields, "text", place)
    reference = _string(fields, "reference", place)
    if not qid.strip() or qid != qid.strip() or any(character in qid for character in "\t\n\r"):
        raise InvalidData(f"{place}: the qid {qid!r} is empty, or holds tabs or blanks at its ends")
    if not text.strip() and not reference:
        raise InvalidData(f"{place}: query '{qid}' has neither a text nor a reference")
    exclude = frozenset({reference} if reference else ())
    return QueryRow(Query(qid, text, image_id=reference or None, exclude=exclude), _string(fields, "type", place))


def _string(fields: dict[str, Any], name: str, place: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidData(f"{place}: {name} is {json.dumps(value)[:60]}, and it should be a text")
    return str(value)
