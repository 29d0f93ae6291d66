"""Queries and judgements from the marks of one's own searches: lines of {"query": …, "id": …, "mark": …}.

A mark is a whole number from -3 to 3, true, or false: 1 and more is right, and larger is better; all else is wrong. The
query is its text; a `reference` (an id) makes it a change to that picture. The same mark given again counts once. When
a picture is marked otherwise later, the later mark holds, for people change their minds; such changes are counted.

What was never marked is not wrong, it is only not known. Marks are made on what some system showed, so they favour that
system: compare settings of one collection with them, and no two papers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Qrels
from mmretrieval.types import Query

MOST = 3


@dataclass(frozen=True, slots=True)
class Marks:
    """The queries in the order in which they were first marked, and their judgements; grades below 1 are wrong."""

    rows: tuple[QueryRow, ...]
    qrels: Qrels
    repeated: int = 0
    changed: tuple[str, ...] = ()  # "query: id" for each mark that a later one replaced by another

    @property
    def notes(self) -> list[str]:
        """What a user should know of these marks, as sentences."""
        hopeless = [row.query.id for row in self.rows if max(self.qrels[row.query.id].values()) < 1]
        told = []
        if self.repeated:
            told.append(f"{self.repeated} marks were given again and count once")
        if self.changed:
            told.append(f"{len(self.changed)} marks were changed later, and the later ones hold: {_some(self.changed)}")
        if hopeless:
            told.append(f"{len(hopeless)} queries have no right picture and measure nothing: {_some(hopeless)}")
        return told


def read_marks(path: Path) -> Marks:
    """All marks of a file. Raises NotFound without it, InvalidData naming the line of what is no mark."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise NotFound(f"there is no file of marks {path}") from None
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    marks = [_mark(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
    if not marks:
        raise InvalidData(f'{path} holds no mark: each line should read {{"query": …, "id": …, "mark": 1}}')
    return _gathered(marks)


def write_queries(path: Path, marks: Marks) -> None:
    """The queries as a file that `mmretrieval eval` reads."""
    rows = []
    for row in marks.rows:
        query = row.query
        fields = {"qid": query.id, "text": query.text, "reference": query.image_id}
        rows.append(json.dumps({name: value for name, value in fields.items() if value}, ensure_ascii=False))
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def _gathered(marks: list[tuple[Query, str, int]]) -> Marks:
    rows: dict[str, QueryRow] = {}
    qrels: Qrels = {}
    repeated, changed = 0, []
    for query, image, grade in marks:
        rows.setdefault(query.id, QueryRow(query))
        known = qrels.setdefault(query.id, {}).get(image)
        repeated += known == grade
        if known is not None and known != grade:
            changed.append(f"{query.id}: {image}")
        qrels[query.id][image] = grade
    return Marks(tuple(rows.values()), qrels, repeated, tuple(dict.fromkeys(changed)))


def _mark(line: str, place: str) -> tuple[Query, str, int]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidData(f"{place}: no JSON object, {error.msg} at column {error.colno}") from error
    if not isinstance(fields, dict):
        raise InvalidData(f"{place}: a JSON object was expected, and {type(fields).__name__} stands there")
    text, reference, image = (_text(fields, name, place) for name in ("query", "reference", "id"))
    if not image:
        raise InvalidData(f"{place}: there is no id of the picture that is marked")
    mark = fields.get("mark")
    if not isinstance(mark, int) or not -MOST <= mark <= MOST:
        raise InvalidData(f"{place}: the mark is {json.dumps(mark)[:40]}: give true, false, or a number from -3 to 3")
    exclude = frozenset({reference} if reference else ())
    name = f"{text} + {reference}" if text and reference else text or f"like {reference}"
    try:
        return Query(name, text, image_id=reference or None, exclude=exclude), image, int(mark)
    except UsageError:
        raise InvalidData(f"{place}: there is neither a query nor a reference") from None


def _text(fields: Mapping[str, Any], name: str, place: str) -> str:
    """Without blanks at its ends, and each run of blanks one: the same words typed twice are one query."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidData(f"{place}: {name} is {json.dumps(value)[:60]}, and it should be a text")
    return " ".join(value.split()) if name == "query" else value


def _some(names: tuple[str, ...] | list[str], at_most: int = 3) -> str:
    return ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")
