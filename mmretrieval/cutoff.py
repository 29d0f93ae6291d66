"""Where matches end: a score that what is not there does not reach, learned for each kind of query without labels.

A ranking always has a best hit, also when nothing in the collection fits. Raw scores do not tell: words with pictures
score 0.3 where pictures with pictures score 0.7, and every model, collection and operator has its own scale. So the
collection is asked what the best of its unrelated pictures score. Stand-ins of the query are made from the collection
itself: its words become the caption of some record, its picture another record's picture, with the same weights,
operator and filter; what they were made of, and its near-duplicates, is left aside, and what then scores best is the
best of all that does not belong. With a picture and words, the words are the caption of a similar record, as a
change is wanted of something near. The cutoff is the score below which the share `strictness` of these best scores
lie: at 0.75 three of four queries whose answer is not there find nothing, if they are as far from all that is there
as a record is from the others; near-misses pass more often, see assets/reports/cutoff.md.

It works on the scores of the first stage, whatever index found them, before refiners and rerankers; what a refiner
brings later is not looked at. Scores of BM25 and of rank fusion mean nothing beyond their own query, so there is no
cutoff for them. Without captions the words of stand-ins are neutral sentences, and the cutoff is more lenient.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.stages import FirstStage
from mmretrieval.stand_ins import Collection, StandIn, StandIns, unlike_all
from mmretrieval.types import Query, Ranking, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRICTNESS = 0.75
FEWEST = 16  # scores, for a quantile that means something
_KEPT = 64  # kinds of queries remembered
_LOOKED_AT = 32  # best hits of a stand-in, among which there is one that does not belong


class Unrelated:
    """What the best unrelated records score, for each kind of query; measured once per kind, then remembered.

    The first query of a kind costs 128 more searches, with as many texts to encode, in one batch; other weights, or
    another filter, make another kind. It may be used from several threads.
    """

    def __init__(self, stage: FirstStage, collection: Collection) -> None:
        """Raises UsageError for a first stage whose scores mean nothing beyond their own query."""
        if not stage.scores_compare_queries:
            raise UsageError(
                f"there is no cutoff for '{stage.name}': its scores say nothing beyond their own query; search without "
                "--cutoff, or by vectors"
            )
        self._stage = stage
        self._collection = collection
        self._best: dict[Hashable, NDArray[np.float64]] = {}
        self._stand_ins = StandIns(stage, collection)
        self._lock = Lock()

    def best_scores(self, query: Query) -> NDArray[np.float64]:
        """The best scores of stand-ins of this query, rising, at most 128; fewer where little is allowed."""
        kind = _kind(query)
        with self._lock:
            if kind not in self._best:
                while len(self._best) >= _KEPT:
                    del self._best[next(iter(self._best))]
                self._best[kind] = self._measured(query)
            return self._best[kind]

    def _measured(self, query: Query) -> NDArray[np.float64]:
        stand_ins = self._stand_ins.of(query)
        rankings = self._stage.search([one.query for one in stand_ins], _LOOKED_AT) if stand_ins else []
        best = [self._best_unrelated(one, ranking) for one, ranking in zip(stand_ins, rankings, strict=True)]
        return np.sort(np.array([score for score in best if score is not None], dtype=np.float64))

    def _best_unrelated(self, stand_in: StandIn, ranking: Ranking) -> float | None:
        """None when all that was found belongs to the stand-in, as in a collection of nothing but copies."""
        scores = {hit.id: hit.score for hit in ranking.hits}
        others = unlike_all(self._collection, ranking.ids, stand_in.made_of)
        return scores[others[0]] if others else None


class Cutoff:
    """Takes away the hits that score no better than what does not belong; see the module."""

    def __init__(self, unrelated: Unrelated, strictness: float = STRICTNESS) -> None:
        """`strictness` is the share of queries without an answer that find nothing; UsageError outside 0 to 1."""
        if not 0 < strictness < 1:
            raise UsageError(f"the strictness of a cutoff is above 0 and below 1, and {strictness} was given")
        self.unrelated = unrelated
        self.strictness = strictness

    def __call__(self, rankings: Sequence[Ranking]) -> list[Ranking]:
        """For each ranking of the first stage what is left of it, with its step and a warning when that is nothing."""
        return [self._cut(ranking) for ranking in rankings]

    def floor(self, query: Query) -> float | None:
        """The score that a hit must reach; None where too few records may be returned to tell."""
        best = self.unrelated.best_scores(query)
        return float(np.quantile(best, self.strictness)) if len(best) >= FEWEST else None

    def _cut(self, ranking: Ranking) -> Ranking:
        began = perf_counter()
        query = ranking.query
        floor = self.floor(query)
        if floor is None:
            told = f"query '{query.id}': there are too few pictures to tell matches from the rest, so nothing was cut"
            step = Step("cutoff", perf_counter() - began, "fallback", note="too few pictures to learn from")
            return replace(ranking, steps=(step,), warnings=(told,))
        kept = tuple(hit for hit in ranking.hits if hit.score is not None and hit.score >= floor)
        note = f"{len(kept)} of {len(ranking.hits)} hits reach {floor:.4f}, at strictness {self.strictness:g}"
        step = Step("cutoff", perf_counter() - began, note=note)
        warnings: tuple[str, ...] = ()
        if ranking.hits and not kept:
            best = max(hit.score for hit in ranking.hits if hit.score is not None)
            told = f"the best picture scores {best:.4f}, and unrelated ones reach {floor:.4f} here"
            warnings = (f"query '{query.id}': nothing matches: {told}",)
        return replace(ranking, hits=kept, steps=(step,), warnings=warnings)


def _kind(query: Query) -> Hashable:
    """Equal for queries with the same stand-ins. What a query excludes is seldom much, and makes no other kind."""
    return (
        query.has_image,
        bool(query.text.strip()),
        query.target_share,
        tuple(sorted(query.weights.items())),
        tuple((bool(part.text), part.weight) for part in query.parts),
        len(query.like),
        len(query.unlike),
        query.compose,
        query.filter,
        query.within,
    )
