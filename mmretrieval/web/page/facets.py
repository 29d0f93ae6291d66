"""What a visitor can filter by: the fields of a collection with few values, and those that hold numbers or days."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.collection import Collection

_MOST_FIELDS = 6
_MOST_VALUES = 100
_LOOKED_AT = 5000  # records; of a larger collection, so many at even distances
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}([T ]|$)")


@dataclass(frozen=True, slots=True)
class Facet:
    """A field as a filter names it. A "choice" has its values, the most frequent first, with how many records have
    each; a "range" of numbers or "days" its lowest and highest value. `is_list` when a record may have several.
    """

    name: str
    kind: Literal["choice", "range", "days"]
    values: tuple[tuple[str, int], ...] = ()
    low: float | str | None = None
    high: float | str | None = None
    is_list: bool = False

    def chosen(self, values: Sequence[str]) -> str:
        """The condition for chosen values: all of them where a record may have several, else any; else nothing."""
        quoted = [_quoted(value) for value in values]
        if self.is_list:
            return " AND ".join(f"{self.name} = {value}" for value in quoted)
        if len(quoted) > 1:
            return f"{self.name} IN ({', '.join(quoted)})"
        return f"{self.name} = {quoted[0]}" if quoted else ""

    def between(self, low: str, high: str) -> str:
        """The condition for bounds as they were typed, both included; nothing for one that is empty.

        Raises UsageError for what should be a number and is none.
        """
        bounds = ((">=", low.strip()), ("<=", high.strip()))
        return " AND ".join(f"{self.name} {sign} {self._literal(bound)}" for sign, bound in bounds if bound)

    def _literal(self, bound: str) -> str:
        if self.kind == "days":
            return f"DATE {_quoted(bound)}"
        try:
            return f"{float(bound):.15g}"
        except ValueError:
            raise UsageError(f"{self.name}: '{bound}' is no number") from None


def facets(collection: Collection) -> tuple[Facet, ...]:
    """At most six, those that most records have first; reads the metadata of at most 5,000 records."""
    uses = [
        use for use in collection.fields() if use.name not in ("id", "path", "caption") and "object" not in use.kinds
    ]
    uses.sort(key=lambda use: -use.records)
    metas = _metas(collection)
    found = (
        _facet(use.name, use.is_list, [value for meta in metas for value in _values(meta, use.name)]) for use in uses
    )
    return tuple(facet for facet in found if facet is not None)[:_MOST_FIELDS]


def _facet(name: str, is_list: bool, values: Sequence[Any]) -> Facet | None:
    if not values:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) and not is_list:
        return Facet(name, "range", low=min(values), high=max(values))
    words = [value for value in values if isinstance(value, str)]
    if len(words) < len(values):
        return None
    if all(_DAY.match(word) for word in words) and not is_list:
        return Facet(name, "days", low=min(words)[:10], high=max(words)[:10])
    counts = Counter(words)
    if len(counts) > _MOST_VALUES or (len(counts) > 12 and len(counts) > len(words) / 2):
        return None  # nearly every record has its own, as with names of files
    return Facet(name, "choice", tuple(counts.most_common()), is_list=is_list)


def _metas(collection: Collection) -> list[Mapping[str, Any]]:
    step = max(1, collection.count // _LOOKED_AT)
    ids = [collection.ids[place] for place in range(0, collection.count, step)]
    return [record.meta for record in collection.records(ids)]


def _values(meta: Mapping[str, Any], name: str) -> list[Any]:
    value = meta.get(name.strip('"').replace('""', '"'))
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None else [value]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
