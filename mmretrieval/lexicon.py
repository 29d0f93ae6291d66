"""Search for words: the full text of a catalogue, asked with any text and answered with BM25 scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.errors import InvalidData
from mmretrieval.full_text import query_words
from mmretrieval.vectors import best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Found = tuple[NDArray[np.int64], NDArray[np.float64]]

MOST_WORDS = 128  # of one query; what comes behind them is not looked up
_LEAST_WEIGHT = 1e-6  # SQLite's weight of a word that half of the records, or more, have


class Word(NamedTuple):
    """A word of a query; its `weight` is the idf of BM25, 0 when no record has it."""

    text: str
    weight: float


class Lexicon:
    """The words of one snapshot of a catalogue."""

    def __init__(self, catalog: Catalog, numbers: NDArray[np.int64]) -> None:
        """`numbers` are the catalogue's numbers of the records, by position."""
        self._catalog = catalog
        self._numbers = numbers

    @cached_property
    def records(self) -> int:
        """How many records have any words; raises as `words` does."""
        if self._catalog.format < 2:
            index = self._catalog.index
            raise InvalidData(
                f"{index}: made by an earlier version, so its words cannot be searched yet; bring it up to date with: "
                f"mmretrieval index PICTURES --index {index}"
            )
        return int(self._catalog.rows("SELECT COUNT(*) FROM words")[0][0])

    def words(self, text: str) -> list[Word]:
        """The first `MOST_WORDS` different words of a text with their weights.

        Raises InvalidData for an index that was made before there was full text.
        """
        records = self.records
        weighed = []
        for word in query_words(text)[:MOST_WORDS]:
            ((having,),) = self._catalog.rows("SELECT COUNT(*) FROM words WHERE words MATCH ?", [f'"{word}"'])
            weight = max(log((records - having + 0.5) / (having + 0.5)), _LEAST_WEIGHT) if having else 0.0
            weighed.append(Word(word, weight))
        return weighed

    def find(
        self,
        words: Sequence[Word],
        top_k: int | None = None,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> Found:
        """Positions of the records with any of the words, and their BM25 scores (k1 1.2, b 0.75), best first.

        `within` and `exclude` are positions. At most `top_k` come, all of them for None; equal scores stand by
        position. Words that most records have are left out while there are others: their weight is a millionth, and
        they would make the search visit nearly every record.
        """
        telling = [word for word in words if word.weight > _LEAST_WEIGHT] or [word for word in words if word.weight]
        if not telling:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64)
        wanted = " OR ".join(f'"{word.text}"' for word in telling)
        found = self._catalog.rows("SELECT rowid, -bm25(words) FROM words WHERE words MATCH ?", [wanted])
        numbers, scores = (np.array(column) for column in zip(*found, strict=True))
        rising, positions = self._by_number
        positions = positions[np.searchsorted(rising, numbers)]
        if within is not None or exclude is not None:
            keep = np.ones(len(positions), dtype=bool) if within is None else np.isin(positions, within)
            keep &= ~np.isin(positions, () if exclude is None else exclude)
            positions, scores = positions[keep], scores[keep]
        order = best(scores, positions, len(positions) if top_k is None else top_k)
        return positions[order], scores[order]

    @cached_property
    def _by_number(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The numbers of all records, rising, and their positions."""
        order = np.argsort(self._numbers)
        return self._numbers[order], order
