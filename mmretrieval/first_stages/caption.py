"""Search by the sense of captions: the words of a query against the encoded captions.

A record without a caption is not found here, so there may be fewer hits than were asked for; neither is anything for
a query without words. These scores are no measure beside those of pictures: with one model for both, words are nearer
to nearly all captions than to any picture. Hybrid search calibrates the two before it joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmretrieval.first_stages import _allowed
from mmretrieval.first_stages._allowed import alike, allowed
from mmretrieval.first_stages._words import no_words, words_of
from mmretrieval.protocols import Index, TextEncoder
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, ImageRecord, Query, Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]


class Collection(_allowed.Collection, Protocol):
    """What is read of a collection; position p belongs to `ids[p]`."""

    @property
    def ids(self) -> Sequence[str]: ...

    def members(self, channel: str) -> Positions:
        """The positions that have a row in the channel, rising."""
        ...

    def records(self, ids: Sequence[str]) -> list[ImageRecord]: ...


class Caption(FirstStage):
    """Pictures whose caption means what the words of the query mean, by an encoder of texts.

    The score is the cosine of the two texts, larger is nearer.
    """

    reads = frozenset({"caption"})

    def __init__(self, encoder: TextEncoder, collection: Collection, index: Index) -> None:
        """`index` must stand over `collection.rows("caption")`, which `encoder` made."""
        self.encoder = encoder
        self.collection = collection
        self.index = index

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`; the words of all queries are encoded together."""
        able = [query for query in queries if words_of(query)]
        texts = list(dict.fromkeys(words_of(query) for query in able))
        vectors = dict(zip(texts, self.encoder.encode_texts(texts), strict=True)) if texts else {}
        cut = dict(zip(texts, self.encoder.too_long(texts), strict=True)) if texts else {}
        found: dict[int, Ranking] = {}
        for numbers in alike(able):
            own = [able[number] for number in numbers]
            rankings = self._found(own, np.stack([vectors[words_of(query)] for query in own]), top_k, cut)
            found.update(zip(numbers, rankings, strict=True))
        in_order = iter([found[number] for number in range(len(able))])
        return [next(in_order) if words_of(query) else no_words(query, self.name) for query in queries]

    def _found(
        self, queries: Sequence[Query], vectors: NDArray[np.float32], top_k: int, cut: dict[str, bool]
    ) -> list[Ranking]:
        """For queries with the same restrictions."""
        may_come, members = allowed(queries[0], self.collection), self.collection.members("caption")
        within, exclude = (
            None if positions is None else np.flatnonzero(np.isin(members, positions, assume_unique=True))
            for positions in (may_come.within, may_come.exclude)
        )
        results = self.index.search(vectors, top_k, within=within, exclude=exclude)
        rankings = []
        for query, (rows, scores) in zip(queries, results, strict=True):
            warnings = may_come.warnings(query)
            if cut[words_of(query)]:
                warnings.append(f"query '{query.id}': its end was left out for the captions, since it is too long")
            rankings.append(Ranking(query, self._hits(members[rows], scores), warnings=tuple(warnings)))
        return rankings

    def _hits(self, positions: Positions, scores: NDArray[np.float32]) -> tuple[Hit, ...]:
        records = self.collection.records([self.collection.ids[position] for position in positions])
        return tuple(
            Hit(
                record.id,
                self.name,
                float(score),
                record.path,
                f"cosine {score:.2f} to the caption: {record.caption[:80]}",
                scores={"caption": float(score)},
            )
            for record, score in zip(records, scores, strict=True)
        )
