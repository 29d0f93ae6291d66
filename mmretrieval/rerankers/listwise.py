"""Candidates shown one behind another, each after its label, and ordered together, window by window.

Papers: RankGPT (arXiv 2304.09542) slides a window from the end of the list to its top; MM-R5 (arXiv 2506.12364) shows
pictures so, each behind its label. Runs untrained on any model that reads several pictures; MM-R5's weights are
trained for it. With `hints` the model is told what the search thinks of each candidate (InsertRank, arXiv 2506.14086).

Deviations: no reasoning before the answer (that is `cotrr`), an order of numbers in brackets in place of tags, and the
blend with the order before it (`alpha=1` is the paper).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from typing import Self

from mmretrieval import list_prompts
from mmretrieval.asks import MLLM, Generate
from mmretrieval.rerankers._answers import by_value, read
from mmretrieval.rerankers._blend import ALPHA, Join, checked_alpha, falling
from mmretrieval.rerankers._hints import hints
from mmretrieval.rerankers._orders import Asking, Pass, checked_orders
from mmretrieval.rerankers._showing import Shown, side_by_side
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query
from mmretrieval.windows import sliding

WINDOW, STRIDE = 20, 10  # as RankGPT has them
SMALL_WINDOW, SMALL_STRIDE = 6, 3  # the demo model has learned lists of two to six


class Listwise(Reranker):
    """A window slides up the list; each is one call that orders its pictures (RankGPT, MM-R5)."""

    paper = "arXiv 2304.09542"
    needs = frozenset({Generate})

    def __init__(
        self,
        depth: int = 20,
        window: int | None = None,
        stride: int | None = None,
        hints: bool = False,
        orders: int = 1,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """Windows of 20 pictures by steps of 10, for a small model of 6 by 3, unless numbers are given.

        `orders` goes through the list so many times, each from another order to begin with, and takes the mean.
        Costs orders * (1 + ceil((depth - window) / stride)) calls. UsageError unless 1 <= stride < window.
        """
        self.depth, self.hints = depth, hints
        self._given = (window, stride)
        self.window, self.stride = _filled(window, stride, WINDOW, STRIDE)
        sliding(2, self.window, self.stride)
        self.orders = checked_orders("listwise", orders)
        self.alpha, self.join = checked_alpha(alpha), join

    def calls(self, candidates: int) -> int:
        return self.orders * len(sliding(min(candidates, self.depth), self.window, self.stride))

    def suited(self, mllm: MLLM) -> Self:
        """With windows as long as a small model can read, where none were asked for."""
        if not mllm.compact:
            return self
        small = copy(self)
        small.window, small.stride = _filled(*self._given, SMALL_WINDOW, SMALL_STRIDE)
        return small

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        how = side_by_side(
            self.name, query, candidates, self._slide, orders=self.orders, alpha=self.alpha, join=self.join
        )
        return (yield from how)

    def _slide(self, shown: Shown, places: list[int]) -> Asking[Pass]:
        """From the end of the list to its top; what a window puts in front is shown again in the next."""
        told = hints(shown.candidates) if self.hints else []
        order, parsed, is_told = list(places), Counter[str](), False
        for start, end in sliding(len(order), self.window, self.stride):
            window = order[start:end]
            images = [shown.images[place] for place in window]
            ask = list_prompts.order_of_list(images, shown.sought, [told[place] for place in window if told])
            (reply,) = yield [ask]
            answer = read(reply, window)
            parsed.update(answer.parsed)
            if answer.values:
                is_told = True
                order[start:end] = by_value(window, answer.values)
        return Pass(falling(order) if is_told else [None] * len(order), parsed)


def _filled(window: int | None, stride: int | None, usual: int, step: int) -> tuple[int, int]:
    """What was not given: the usual window, and half of the window as its step."""
    window = usual if window is None else window
    return window, (min(step, max(1, window // 2)) if stride is None else stride)
