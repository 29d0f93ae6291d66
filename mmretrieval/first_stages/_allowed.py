"""Which records a query may return: those within its ids and its filter, but for the excluded ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from mmretrieval.errors import NotFound
from mmretrieval.types import Query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]

Restrictions: TypeAlias = tuple[frozenset[str] | None, frozenset[str], str]


class Collection(Protocol):
    """What has to be asked of a collection."""

    def position(self, record_id: str) -> int: ...

    def matching(self, expression: str) -> Positions:
        """Positions of the records that a filter keeps, rising."""
        ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """Positions for `Index.search`, rising, at most one of the two not None, and what the user should know."""

    within: Positions | None
    exclude: Positions | None
    remarks: tuple[str, ...] = ()

    def holds(self, position: int) -> bool:
        """Whether the record there may be returned."""
        if self.within is not None:
            return _has(self.within, position)
        return self.exclude is None or not _has(self.exclude, position)

    def warnings(self, query: Query) -> list[str]:
        """The remarks, as said of one of the queries with these restrictions."""
        return [f"query '{query.id}': {remark}" for remark in self.remarks]


def restrictions(query: Query) -> Restrictions:
    """Equal for queries that may return the same records. A counter-example was seen and judged wrong."""
    return query.within, query.exclude.union(query.unlike), query.filter


def alike(queries: Sequence[Query]) -> list[list[int]]:
    """Numbers of the queries, those with the same restrictions together."""
    groups: dict[Restrictions, list[int]] = {}
    for number, query in enumerate(queries):
        groups.setdefault(restrictions(query), []).append(number)
    return list(groups.values())


def allowed(query: Query, collection: Collection) -> Allowed:
    """The records that the query may return; ids that the collection does not have are told in the remarks.

    Raises FilterError for text that is no filter, UsageError for a field that no record has. Costs a pass over the
    metadata for a filter that was not asked lately, see `filters.matching`.
    """
    ids, left_out, expression = restrictions(query)
    remarks: list[str] = []
    within = None if ids is None else _positions(ids, "search within", collection, remarks)
    exclude = _positions(left_out, "leave out", collection, remarks)
    if expression:
        kept = collection.matching(expression)
        if not len(kept):
            remarks.append(f"no record matches the filter {expression}")
        within = kept if within is None else np.intersect1d(within, kept, assume_unique=True)
    if within is None:
        return Allowed(None, exclude if len(exclude) else None, tuple(remarks))
    return Allowed(np.setdiff1d(within, exclude, assume_unique=True), None, tuple(remarks))


def _positions(ids: Iterable[str], purpose: str, collection: Collection, remarks: list[str]) -> Positions:
    here, unknown = [], []
    for record_id in ids:
        try:
            here.append(collection.position(record_id))
        except NotFound:
            unknown.append(record_id)
    if unknown:
        remarks.append(f"{len(unknown)} of the ids to {purpose} are not in this collection, such as '{min(unknown)}'")
    return np.array(sorted(here), dtype=np.int64)


def _has(positions: Positions, position: int) -> bool:
    at = int(np.searchsorted(positions, position))
    return at < len(positions) and int(positions[at]) == position
