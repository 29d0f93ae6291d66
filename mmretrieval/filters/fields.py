"""Which fields the records have, with the kinds of their values."""

from __future__ import annotations

import difflib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmretrieval.catalog import Catalog, to_json
from mmretrieval.errors import UsageError
from mmretrieval.filters.sql import COLUMNS, json_path
from mmretrieval.filters.syntax import Between, Comparison, Condition, Expression, Field, OneOf, conditions, kind_of

MAX_FIELDS = 1000
MAX_DEPTH = 8  # of objects within objects
_CHUNK = 20_000  # records read at once
_SHOWN = 40
_COMPARABLE = {"text": {"text"}, "day": {"text"}, "number": {"number", "text"}, "truth": {"truth", "text"}}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FieldUse:
    """A field as a filter names it: how many records have it, and what kinds of values ("text", "number", "truth",
    "object"); `is_list` when some are lists, whose members' kinds are then told.
    """

    name: str
    kinds: tuple[str, ...]
    records: int
    is_list: bool = False


def fields(catalog: Catalog, version: str, cache: Path) -> tuple[FieldUse, ...]:
    """All fields, sorted by name, `id`, `path` and `caption` first; at most 1,000 of the metadata.

    Reads all metadata once, 4 to 8 seconds for a million records, and keeps what it found in the folder `cache`,
    where that can be written, for the same version of the index.
    """
    kept = cache / "fields.json"
    found = _kept(kept, version)
    if found is None:
        found = _counted(catalog)
        _keep(kept, version, found)
    return found


def missing(expression: Expression, catalog: Catalog) -> list[Field]:
    """The fields of a filter that no record has; one look per field, which for a common one is over at once."""
    wanted = {condition.field for condition in conditions(expression) if condition.field.path not in _COLUMN_PATHS}
    sql = "SELECT EXISTS (SELECT 1 FROM records WHERE json_type(meta, ?) IS NOT NULL)"
    return [field for field in sorted(wanted, key=str) if catalog.rows(sql, [json_path(field)]) == [(0,)]]


def unknown(field: Field, known: Sequence[FieldUse]) -> UsageError:
    """The error for a field that no record has."""
    names = [use.name for use in known]
    near = difflib.get_close_matches(str(field), names, n=1)
    guess = f", perhaps {near[0]} is meant;" if near else ";"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return UsageError(f"no record has the field {field}{guess} the fields are: {', '.join(names[:_SHOWN])}{more}")


def misfits(expression: Expression, known: Sequence[FieldUse]) -> list[str]:
    """For a filter that keeps nothing: comparisons that cannot be true, since the field holds another kind."""
    uses = {use.name: use for use in known}
    remarks = []
    for condition in conditions(expression):
        use = uses.get(str(condition.field))
        given = _given(condition)
        if use is None or not use.kinds or not given:
            continue
        if not set(use.kinds) & set().union(*(_COMPARABLE[kind] for kind in given)):
            remarks.append(f"{use.name} holds {_listed(use.kinds)}, which is never compared with {_listed(given)}")
    return list(dict.fromkeys(remarks))


_COLUMN_PATHS = {(name,) for name in COLUMNS}


def _given(condition: Condition) -> list[str]:
    if isinstance(condition, Comparison):
        return [kind_of(condition.value)]
    if isinstance(condition, Between):
        return [kind_of(condition.low)]
    if isinstance(condition, OneOf):
        return sorted({kind_of(value) for value in condition.values})
    return []


def _listed(kinds: Sequence[str]) -> str:
    words = {"text": "text", "day": "days", "number": "numbers", "truth": "true and false", "object": "objects"}
    return " and ".join(words[kind] for kind in kinds)


def _counted(catalog: Catalog) -> tuple[FieldUse, ...]:
    counts: dict[tuple[str, ...], int] = {}
    kinds: dict[tuple[str, ...], set[str]] = {}
    lists: set[tuple[str, ...]] = set()
    for meta in _metas(catalog):
        for path, value in _walked(meta, ()):
            if path not in counts and len(counts) >= MAX_FIELDS:
                continue
            counts[path] = counts.get(path, 0) + 1
            if isinstance(value, list):
                lists.add(path)
            members = value if isinstance(value, list) else [value]
            kinds.setdefault(path, set()).update(_KINDS[type(member)] for member in members if type(member) in _KINDS)
    columns = _columns(catalog)
    return (
        *columns,
        *sorted(
            (FieldUse(str(Field(p)), tuple(sorted(kinds[p])), counts[p], p in lists) for p in counts),
            key=lambda use: use.name,
        ),
    )


_KINDS = {str: "text", int: "number", float: "number", bool: "truth", dict: "object"}


def _columns(catalog: Catalog) -> tuple[FieldUse, ...]:
    ((records, captions),) = catalog.rows("SELECT COUNT(*), COALESCE(SUM(caption != ''), 0) FROM records")
    uses = {"id": records, "path": records, "caption": captions}
    return tuple(FieldUse(name, ("text",), uses[name]) for name in COLUMNS)


def _metas(catalog: Catalog) -> Iterator[dict[str, Any]]:
    last = -1
    while part := catalog.rows(
        "SELECT number, meta FROM records WHERE number > ? ORDER BY number LIMIT ?", [last, _CHUNK]
    ):
        last = part[-1][0]
        for _, meta in part:
            if meta != "{}":
                yield json.loads(meta)


def _walked(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in values.items():
        if value is None:
            continue
        yield (*path, name), value
        if isinstance(value, dict) and len(path) + 1 < MAX_DEPTH:
            yield from _walked(value, (*path, name))


def _kept(file: Path, version: str) -> tuple[FieldUse, ...] | None:
    try:
        told = json.loads(file.read_text("utf-8"))
        if told["version"] != version:
            return None
        return tuple(FieldUse(**{**use, "kinds": tuple(use["kinds"])}) for use in told["fields"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:  # a cache may be damaged and is then made anew
        log.warning("%s cannot be used and is made anew: %s", file, error)
        return None


def _keep(file: Path, version: str, found: Sequence[FieldUse]) -> None:
    partial = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(to_json({"version": version, "fields": [asdict(use) for use in found]}), "utf-8")
        partial.replace(file)
    except OSError as error:  # an index may lie in a folder that cannot be written
        log.info("%s cannot be kept, so the fields are read again next time: %s", file, error)
