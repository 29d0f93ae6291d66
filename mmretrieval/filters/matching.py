"""Filters over one snapshot of a catalogue: which records they keep, and which fields there are."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.filters.fields import FieldUse, fields, misfits, missing, unknown
from mmretrieval.filters.parser import parse
from mmretrieval.filters.sql import compiled
from mmretrieval.filters.syntax import Expression
from mmretrieval.order import Order

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT = 16  # answers remembered, since every query of a run, and every stage, asks the same


class Filters:
    """What filters keep of one snapshot. It may be used from several threads.

    A filter costs one pass over the metadata, whose JSON SQLite reads anew for every record: 2 to 3 µs for a short
    object, 5 µs where a list is looked into, so 2 to 5 seconds for a million records; on `id`, `path` and `caption`
    alone 0.2 to 0.5. The answer is remembered.
    """

    def __init__(self, catalog: Catalog, order: Order, version: str, cache: Path) -> None:
        """`order` tells which record stands at each position; `cache` may vanish between runs."""
        self._catalog = catalog
        self._order = order
        self._version = version
        self._cache = cache
        self._found: dict[str, NDArray[np.int64]] = {}
        self._lock = Lock()

    def matching(self, text: str) -> NDArray[np.int64]:
        """Positions of all records for which the filter is true, rising.

        Raises FilterError for text that is no filter, UsageError for a field that no record has.
        """
        with self._lock:
            if text not in self._found:
                found = self._searched(parse(text))
                found.setflags(write=False)
                while len(self._found) >= _KEPT:
                    del self._found[next(iter(self._found))]
                self._found[text] = found
            return self._found[text]

    def misfits(self, text: str) -> list[str]:
        """For a filter that keeps nothing, what can be seen from the kinds of its fields alone."""
        return misfits(parse(text), self.fields)

    @cached_property
    def fields(self) -> tuple[FieldUse, ...]:
        """All fields that a filter can name, with the kinds of their values."""
        return fields(self._catalog, self._version, self._cache)

    def _searched(self, expression: Expression) -> NDArray[np.int64]:
        sql = compiled(expression)
        if self._catalog.rows("SELECT EXISTS (SELECT 1 FROM records)") == [(0,)]:
            return np.empty(0, dtype=np.int64)
        for field in missing(expression, self._catalog):
            raise unknown(field, self.fields)
        # One text with all numbers takes a tenth of the memory that a row for each would.
        ((listed,),) = self._catalog.rows(
            f"SELECT group_concat(number) FROM records WHERE {sql.text}",  # noqa: S608 (made of constants)
            sql.values,
        )
        found = np.fromstring(str(listed), dtype=np.int64, sep=",") if listed else np.empty(0, dtype=np.int64)
        order, rising = self._places
        return np.sort(order[np.searchsorted(rising, found)])

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in the order of their records' numbers, and those numbers."""
        numbers = self._order.numbers
        order = np.argsort(numbers).astype(np.int64)
        return order, numbers[order]
