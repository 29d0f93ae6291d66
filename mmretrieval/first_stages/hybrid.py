"""Hybrid search: pictures by their vectors, and captions and metadata by their words, in one ranking.

Several searches for the same thing are joined by OR: a picture may stand high for its looks, or for its caption. The
words of a query go to the captions, whatever else it holds goes to dense search alone; a query without words is a
dense search. A picture and a change to it are joined by AND, within dense search. The words of the change stand in the
captions of other pictures, too, and most of what is sought is in no word: so in a blend they weigh a fifth, and by
ranks, which cannot tell how sure a search is, they go to no caption (see assets/reports/hybrid-composed.md). Where a
rewriter describes the target, that description goes to the captions in their place, with full weight.

"rrf" adds 1 / (60 + rank) over the searches; it needs nothing to be known about their scores. "blend" adds calibrated
scores with weights that sum to 1, see `_evidence`; it keeps what ranks throw away, how much better the first is than
the second, and its weights can be fitted to judged queries. Bruch et al. (2023) found the blend better than ranks, in
and out of the domain it was fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._evidence import DEPTH, Channel, Collection, Evidence, Method, gathered
from mmretrieval.first_stages._words import A_CHANGE, NO_WORDS, words_of
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Query, Ranking, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What a blend weighs its channels with before anything was fitted: all alike. By assets/reports/hybrid.md that is about
# as good as fitted weights where the model knows the pictures and all have captions, or the caption channel takes part.
# Where few have captions and it does not, or the model knows nothing of the pictures, fit the weights.
WEIGHTS: Mapping[str, float] = MappingProxyType({"image": 0.5, "bm25": 0.5, "caption": 0.5})
CHANGE = 0.2  # of the weight of words where they are a change to a picture; chosen by assets/reports/hybrid-composed.md
METHODS: tuple[Method, ...] = ("rrf", "blend")
_SAID = {"image": "its looks", "bm25": "its words", "caption": "the sense of its caption"}


class WordSearch(Protocol):
    """A search for words that knows what a record scores that has them all."""

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]: ...

    def full_score(self, query: Query) -> float: ...


class Hybrid(FirstStage):
    """Dense search joined with BM25, and with the caption channel where there is one, by ranks or by a blend.

    Records that only one search found get their true score from the others. The score is the sum of what each channel
    adds, larger is better.
    """

    paper = "Cormack et al. 2009; Bruch et al. 2023, arXiv 2210.11934"

    def __init__(
        self,
        collection: Collection,
        dense: FirstStage,
        bm25: WordSearch,
        caption: FirstStage | None = None,
        *,
        method: Method = "rrf",
        weights: Mapping[str, float] | None = None,
        change: float = CHANGE,
    ) -> None:
        """`weights` are numbers from 0 for the channels "image", "bm25" and "caption", for the method "blend".

        There `change` is the share of their weight that words keep where they are a change to a picture. Raises
        UsageError for an unknown method, and for weights that are negative or all 0.
        """
        if method not in METHODS:
            raise UsageError(f"there is no hybrid search '{method}': choose one of: {', '.join(METHODS)}")
        self.collection = collection
        self.method = method
        self.change = change
        self.channels = [
            Channel("image", dense, needs_words=False),
            Channel("bm25", bm25, scale=bm25.full_score),
            *([] if caption is None else [Channel("caption", caption)]),
        ]
        self.weights = _checked({**WEIGHTS, **(weights or {})}, [channel.name for channel in self.channels])

    @property
    def scores_compare_queries(self) -> bool:
        """Ranks are the same for every query, calibrated scores are not."""
        return self.method == "blend"

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`; raises what the searches raise."""
        return [self._ranking(evidence, top_k) for evidence in self.evidence(queries, top_k)]

    def evidence(self, queries: Sequence[Query], top_k: int) -> list[Evidence]:
        """What each channel says about the records that any of them found, whatever the weights."""
        return gathered(self.channels, self.collection, queries, max(top_k, DEPTH), self.method, self.change)

    def _ranking(self, evidence: Evidence, top_k: int) -> Ranking:
        weights = evidence.weights(self.weights if self.method == "blend" else None)
        added = evidence.values * weights
        hits = [
            self._hit(evidence.hits[row], dict(zip(evidence.channels, added[row].tolist(), strict=True)), weights[row])
            for row in evidence.order(added)[:top_k]
        ]
        steps = [
            Step(channel.name, note=A_CHANGE if words_of(evidence.query) else NO_WORDS)
            for channel in self.channels
            if channel.name not in evidence.channels
        ]
        return Ranking(evidence.query, tuple(hits), tuple(steps), evidence.warnings)

    def _hit(self, hit: Hit, scores: dict[str, float], weights: NDArray[np.float64]) -> Hit:
        shares = {key: share * float(weights[0]) for key, share in hit.shares.items()}
        why = " ".join(f"{score:+.3f} for {_SAID[channel]}" for channel, score in scores.items())
        return replace(hit, by=self.name, score=sum(scores.values()), scores=scores, shares=shares, why=why)


def _checked(weights: Mapping[str, float], channels: Sequence[str]) -> dict[str, float]:
    own = {channel: float(weights[channel]) for channel in channels}
    if not all(0 <= weight < float("inf") for weight in own.values()) or not any(own.values()):
        raise UsageError(f"a blend cannot have the weights {own}: let all be 0 or more, and one above 0")
    return own
