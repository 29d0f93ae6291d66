"""The best of a few pictures, again and again: a heap brings the best k to the top.

Papers: setwise prompting (SIGIR 2024, arXiv 2310.09497), and Rank-R1 (2025, arXiv 2503.06034), which reasons before it
picks and is trained to. Runs untrained. Deviations: the pick is read from the log-probabilities of the labels, without
reasoning, so it is never malformed; a tie stays with the candidate that stood first, where Rank-R1 draws lots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from mmretrieval import list_prompts
from mmretrieval.asks import Ask, ScoreChoices
from mmretrieval.errors import UsageError
from mmretrieval.rerankers._asked import NOTHING_TO_ASK, Asked, asked
from mmretrieval.rerankers._blend import ALPHA, Join, blended, checked_alpha, falling
from mmretrieval.rerankers._orders import Asking
from mmretrieval.rerankers._picking import MOST_NUMBERED, best, log_probs, mean_scores
from mmretrieval.rerankers._pictures import Pictures, pictures
from mmretrieval.rerankers._sureness import sure_share_of_looks
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query
from mmretrieval.windows import top_by_heap

if TYPE_CHECKING:
    from PIL.Image import Image


class Setwise(Reranker):
    """Picks the best of `size` candidates at a time until the best `top` are known; the others keep their order.

    Needs a model that scores choices, and several pictures in one prompt. About depth / (size - 1) asks for the best
    one and a few for each further one, one after the other, twice that with `both_ways`.
    """

    paper: ClassVar[str] = "Setwise, arXiv 2310.09497"
    needs = frozenset({ScoreChoices})

    def __init__(
        self,
        depth: int = 20,
        size: int = 4,
        top: int = 3,
        both_ways: bool = False,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """`both_ways` shows each set in both directions, since models prefer what they see first.

        `alpha` and `join` are those of `_blend`; a model that holds all of a set nearly alike gets less than its share.
        """
        if not 2 <= size <= MOST_NUMBERED or top < 1:
            raise UsageError(
                f"setwise picks from 2 to {MOST_NUMBERED} pictures and finds a top of 1 or more: it was given {size} "
                f"and {top}"
            )
        self.depth, self.size, self.top, self.both_ways = depth, size, top, both_ways
        self.alpha, self.join = checked_alpha(alpha), join

    def calls(self, candidates: int) -> int:
        count = min(candidates, self.depth)
        return most_looks(count, self.top, self.size - 1) * (1 + self.both_ways)

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        sought = asked(query, candidates[0].collection)
        if not sought.said and sought.reference is None:
            return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ASK)
        opened = pictures(candidates)
        seen = opened.seen
        heap = top_by_heap(len(seen), self.top, self.size - 1)
        looks: list[list[float]] = []
        picked: int | None = None
        while True:
            try:
                places = next(heap) if picked is None else heap.send(picked)
            except StopIteration as end:
                return self._order(candidates, opened, [seen[place] for place in end.value], looks)
            scores = yield from self._look(sought, [opened.image(seen[place]) for place in places])
            looks += [scores] if scores else []
            picked = places[best(scores)] if scores else places[0]

    def _look(self, sought: Asked, images: Sequence[Image]) -> Asking[list[float] | None]:
        """The log-probability of each to be named best; None where the model does not say."""
        shown = [list(images), list(images)[::-1]][: 1 + self.both_ways]
        asks: list[Ask] = [list_prompts.best_of_list(each, sought) for each in shown]
        replies = yield asks
        said = [log_probs(reply) for reply in replies]
        rounds = [scores[::-1] if turn and scores else scores for turn, scores in enumerate(said)]
        return mean_scores(rounds)

    def _order(
        self, candidates: Sequence[Candidate], opened: Pictures, order: Sequence[int], looks: Sequence[Sequence[float]]
    ) -> Reranked:
        worth = dict(zip(order, falling(range(len(order))), strict=True))
        best_ones = {place: rank for rank, place in enumerate(order[: self.top], start=1)}
        return blended(
            self.name,
            candidates,
            [worth.get(place) for place in range(len(candidates))],
            alpha=sure_share_of_looks(self.alpha, looks),
            join=self.join,
            whys=[f"picked as number {best_ones[p]}" if p in best_ones else "" for p in range(len(candidates))],
            note=opened.note,
        )


def most_looks(count: int, top: int, children: int) -> int:
    """As many sets as a heap may have to look at, whatever the picks: every thing sinks to the bottom."""
    if count < 2:
        return 0

    def depth(node: int, end: int) -> int:
        levels = 0
        while children * node + 1 < end:
            node, levels = children * node + 1, levels + 1
        return levels

    built = sum(depth(node, count) for node in range((count - 2) // children + 1))
    return built + sum(depth(0, count - taken) for taken in range(1, min(top, count)))
