"""Fused search: every picture is scored by its looks and by its own caption, in one sum.

See `fusion` for how the two are joined. Unlike hybrid search it looks at no words and calibrates only when told to: it
is the plain algebra of F4-ITS, turned towards the items, with the breakdown of each score. A query that is a picture
may carry its own caption as the target (see `rewriters.own_caption`), which is the query's side of the same fusion.

"late" and "standard" read all rows of both channels for every query, about twice what exact search costs; "early" is
one search in whatever index stands over the fused rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._allowed import Allowed, alike, allowed
from mmretrieval.first_stages._fused_scores import Collection, Told, cosines, fused_lengths, shares_of, tell
from mmretrieval.first_stages._parts import texts_of
from mmretrieval.first_stages._query_vectors import Sought, vectors_of
from mmretrieval.first_stages._words import words_of
from mmretrieval.fusion import Fusion
from mmretrieval.protocols import Encoder, Index, TextEncoder
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, ImageRecord, Query, Ranking
from mmretrieval.vectors import allowed as mask_of
from mmretrieval.vectors import best

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Scores = NDArray[np.float64]

_QUERIES_AT_ONCE = 16


class Fused(FirstStage):
    """Pictures by their looks and their captions; the score is the weighted sum of both, larger is nearer.

    A picture without a caption counts by its looks at full weight.
    """

    paper = "F4-ITS, arXiv 2508.17037"
    reads = frozenset({"image"})

    def __init__(
        self,
        encoder: Encoder,
        collection: Collection,
        fusion: Fusion | None = None,
        *,
        captions: TextEncoder | None = None,
        early: Index | None = None,
        choose: Callable[[Query], Fusion] | None = None,
    ) -> None:
        """`captions` made the channel of captions where `encoder` did not; `early` stands over `fusion.early_rows`.

        `choose` gives each query a fusion of its own; fused rows cannot follow it, so it goes without `early`.
        """
        self.encoder, self.collection, self.captions = encoder, collection, captions
        self.fusion = (fusion or Fusion()).shared()
        self.early = early
        self.choose = choose or (lambda _: self.fusion)
        if early is not None and (choose or captions):
            raise UsageError("early fusion has one weight for all queries and one encoder for both: fuse late instead")
        if (self.fusion.how == "early") != (early is not None):
            raise UsageError("early fusion, and no other, needs an index over the fused rows")

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`; raises as dense search does, and UsageError for a product, which is no sum."""
        if self.early is not None:
            return self._early(queries, top_k, self.early)
        parts = [queries[at : at + _QUERIES_AT_ONCE] for at in range(0, len(queries), _QUERIES_AT_ONCE)]
        return [self._ranking(told, top_k) for part in parts for told in self.told(part)]

    def told(self, queries: Sequence[Query]) -> list[Told]:
        """What both channels say of every record, whatever the weights; costs a pass over both."""
        sought = self._sought(queries)
        told = tell(self.collection, sought, self._for_captions(sought)) if sought else []
        return [one.standardised() if self.choose(one.sought.query).how == "standard" else one for one in told]

    def _sought(self, queries: Sequence[Query]) -> list[Sought]:
        for query in queries:
            if query.compose == "product":
                raise UsageError(f"query '{query.id}': a product cannot be fused with captions: use the sum")
        return vectors_of(queries, self.encoder, self.collection)

    def _for_captions(self, sought: Sequence[Sought]) -> list[NDArray[np.float32] | None]:
        """The vectors to ask captions with: the query's own, or its words by the captions' encoder."""
        if self.captions is None:
            return [one.vector for one in sought]
        words = [words_of(one.query) for one in sought]
        texts = list(dict.fromkeys(text for text in words if text))
        made = dict(zip(texts, self.captions.encode_texts(texts), strict=True)) if texts else {}
        return [made.get(text) for text in words]

    def _ranking(self, told: Told, top_k: int) -> Ranking:
        """The best by exact scores: those that rounding could bring among them are scored again, row by row."""
        query, fusion = told.sought.query, self.choose(told.sought.query).shared()
        may = allowed(query, self.collection)
        fused = fusion.joined(*told.joinable)
        mask = mask_of(len(fused), may.within, may.exclude)
        here = np.arange(len(fused)) if mask is None else np.flatnonzero(mask)
        if not len(here):
            return Ranking(query, warnings=self._warnings(told.sought, may))
        wanted = min(top_k, len(here))
        least = np.partition(fused[here], len(here) - wanted)[len(here) - wanted]
        close = here[fused[here] >= least - 2 * told.slack]
        looks, captions = told.calibrated(*cosines(self.collection, told.sought.vector, told.caption_vector, close))
        looks = np.where(np.isnan(captions), 1.0, fusion.image) * looks
        return self._placed(told.sought, may, close, looks, fusion.caption * captions, top_k, fusion)

    def _early(self, queries: Sequence[Query], top_k: int, index: Index) -> list[Ranking]:
        sought = self._sought(queries)
        weights = self.fusion.image, self.fusion.caption
        found: dict[int, Ranking] = {}
        for numbers in alike(queries):
            may = allowed(queries[numbers[0]], self.collection)
            vectors = np.stack([sought[number].vector for number in numbers])
            results = index.search(vectors, top_k, within=may.within, exclude=may.exclude)
            for number, (positions, _) in zip(numbers, results, strict=True):
                one, lengths = sought[number], fused_lengths(self.collection, weights, positions)
                looks, captions = cosines(self.collection, one.vector, one.vector, positions)
                looks = np.where(np.isnan(captions), 1.0, weights[0]) * looks / lengths
                captions = weights[1] * captions / lengths
                found[number] = self._placed(one, may, positions, looks, captions, top_k, self.fusion)
        return [found[number] for number in range(len(queries))]

    def _placed(
        self,
        sought: Sought,
        may: Allowed,
        positions: Positions,
        looks: Scores,
        captions: Scores,
        top_k: int,
        fusion: Fusion,
    ) -> Ranking:
        """The best of the records at these positions, given what each channel adds to their scores."""
        order = best(looks + np.nan_to_num(captions), positions, top_k)
        records = self.collection.records_at(positions[order])
        rows = self.collection.rows("image").take(positions[order]).astype(np.float64)
        hits = tuple(
            # a standardised score counts from a mean, which no part of the query adds
            self._hit(
                record, looks[at], captions[at], {} if fusion.how == "standard" else shares_of(sought, row, looks[at])
            )
            for record, row, at in zip(records, rows, order, strict=True)
        )
        return Ranking(sought.query, hits, warnings=self._warnings(sought, may))

    def _hit(self, record: ImageRecord, looks: float, caption: float, shares: Mapping[str, float]) -> Hit:
        scores = {"image": float(looks)} | ({} if np.isnan(caption) else {"caption": float(caption)})
        told = "no caption" if np.isnan(caption) else f"{caption:+.3f} for its caption: {record.caption[:80]}"
        why = f"{looks:+.3f} for its looks, {told}"
        return Hit(record.id, self.name, sum(scores.values()), record.path, why, scores=scores, shares=shares)

    def _warnings(self, sought: Sought, may: Allowed) -> tuple[str, ...]:
        query = sought.query
        told = [*sought.warnings, *may.warnings(query)]
        texts = texts_of(query)
        if texts and any(self.encoder.too_long(texts)):
            told.append(f"query '{query.id}': the text is longer than the model can read, and its end was left out")
        if self.captions is not None and not words_of(query):
            told.append(f"query '{query.id}': it has no words, so captions say nothing of it")
        return tuple(told)
