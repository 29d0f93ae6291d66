"""Search for words in captions and metadata, by BM25.

Found are only pictures whose caption or metadata has one of the words, so there may be fewer hits than were asked
for. Pictures, examples and what a query leads away from are no words: a query of nothing else finds nothing, with a
warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from mmretrieval.first_stages import _allowed
from mmretrieval.first_stages._allowed import allowed
from mmretrieval.first_stages._words import no_words, words_of
from mmretrieval.full_text import query_words
from mmretrieval.lexicon import MOST_WORDS, Lexicon, Word
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, ImageRecord, Query, Ranking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Collection(_allowed.Collection, Protocol):
    """What is read of a collection; position p belongs to `ids[p]`."""

    @property
    def lexicon(self) -> Lexicon: ...

    def records_at(self, positions: NDArray[np.int64]) -> list[ImageRecord]: ...


class Bm25(FirstStage):
    """Pictures whose caption or metadata has words of the query: rare words count more, long texts less.

    The score is that of BM25 with k1 1.2 and b 0.75, larger is better.
    """

    paper = "Okapi at TREC-3 (1994)"

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @property
    def scores_compare_queries(self) -> bool:
        """They grow with the number of words."""
        return False

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`; raises InvalidData for an index that was made before there was full text."""
        return [self._searched(query, top_k) for query in queries]

    def full_score(self, query: Query) -> float:
        """What a record of average length scores that has each word of the query once; 0 when no record has any."""
        return sum(word.weight for word in self.collection.lexicon.words(words_of(query)))

    def _searched(self, query: Query, top_k: int) -> Ranking:
        text = words_of(query)
        if not text:
            return no_words(query, self.name)
        words, may_come = self.collection.lexicon.words(text), allowed(query, self.collection)
        positions, scores = self.collection.lexicon.find(words, top_k, within=may_come.within, exclude=may_come.exclude)
        records = self.collection.records_at(positions)
        why = _why(words)
        hits = tuple(
            Hit(record.id, self.name, float(score), record.path, why, scores={"bm25": float(score)})
            for record, score in zip(records, scores, strict=True)
        )
        warnings = may_come.warnings(query)
        if not self.collection.lexicon.records:
            warnings.append("no picture of this index has a caption or metadata, so there are no words to search")
        if len(query_words(text)) > MOST_WORDS:
            warnings.append(f"query '{query.id}': of its words only the first {MOST_WORDS} were looked up")
        return Ranking(query, hits, warnings=tuple(warnings))


def _why(words: Sequence[Word]) -> str:
    known = sorted((word for word in words if word.weight), key=lambda word: -word.weight)
    return "its caption or metadata has some of: " + ", ".join(word.text for word in known)
