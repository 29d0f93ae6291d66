"""The query taken apart, every candidate judged by its parts, then one order of all.

Paper: CoTRR (arXiv 2509.14746): deconstruct the query, evaluate each picture, rank the list, in one call, with the
pictures one by one; for words, for a picture plus a change, and for a conversation. Runs untrained on a model that
reads many pictures and writes JSON.

Deviations: the reasoning stands before the ranking, where the paper's format has it behind; the verdict on each
candidate is kept; all candidates are ordered, not the first 10; the order is blended with the one before (`alpha=1` is
the paper). A small model cannot write such reasoning. For it (`mode=parts`) the program itself takes the query apart
and asks the model yes or no about every part of every candidate, so the chain is fixed, it costs a call for each
question, and the candidates are never seen together: that is no longer the paper's method, only its three steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Literal, Self

from mmretrieval import list_prompts
from mmretrieval.asks import MLLM, Generate, ScoreChoices, Text
from mmretrieval.errors import UsageError
from mmretrieval.rerankers._answers import read
from mmretrieval.rerankers._blend import ALPHA, Join, checked_alpha
from mmretrieval.rerankers._orders import Asking, Note, Pass, checked_orders
from mmretrieval.rerankers._requirements import judged, questions
from mmretrieval.rerankers._showing import Shown, side_by_side
from mmretrieval.rerankers._verdicts import Verdict, verdicts
from mmretrieval.rerankers._views import MOST, views
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query

Mode = Literal["cot", "direct", "parts"]


class Cotrr(Reranker):
    """One call takes the query apart, judges each candidate, and orders them all (CoTRR)."""

    paper = "arXiv 2509.14746"

    def __init__(
        self, depth: int = 15, mode: Mode | None = None, orders: int = 1, alpha: float = ALPHA, join: Join = "z"
    ) -> None:
        """`mode` is "cot", "direct" for the order alone, or "parts" for yes or no on every part of the query.

        Without one it is "cot", and "parts" for a small model. "cot" and "direct" cost one call for each of `orders`
        in which the candidates are shown, "parts" up to 7 for every candidate, whatever the order.
        """
        if mode not in (None, "cot", "direct", "parts"):
            raise UsageError(f"'cotrr' has no mode '{mode}': choose cot, direct or parts")
        self.depth, self.mode = depth, mode
        self.orders = checked_orders("cotrr", orders)
        self.alpha, self.join = checked_alpha(alpha), join
        self.needs = frozenset({ScoreChoices if mode == "parts" else Generate})

    def calls(self, candidates: int) -> int:
        count = min(candidates, self.depth)
        if count < 2:
            return 0
        return count * (1 + MOST) if self.mode == "parts" else self.orders

    def suited(self, mllm: MLLM) -> Self:
        """By parts for a small model, where no mode was asked for."""
        if not mllm.compact or self.mode is not None:
            return self
        small = copy(self)
        small.mode, small.needs = "parts", frozenset({ScoreChoices})
        return small

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        by_parts = self.mode == "parts"
        told = side_by_side(
            self.name,
            query,
            candidates,
            self._by_parts if by_parts else self._together,
            orders=1 if by_parts else self.orders,  # each is judged alone, so no order is better than another
            alpha=self.alpha,
            join=self.join,
        )
        return (yield from told)

    def _together(self, shown: Shown, places: list[int]) -> Asking[Pass]:
        """All in one call, in the order of `places`."""
        ask = list_prompts.direct_list if self.mode == "direct" else list_prompts.reasoned_list
        (reply,) = yield [ask([shown.images[place] for place in places], shown.sought)]
        said = verdicts(reply.text, len(places)) if isinstance(reply, Text) else {}
        notes = {places[at]: Note(verdict.why, verdict.details) for at, verdict in said.items()}
        if said and isinstance(reply, Text) and "ranking" not in reply.text:  # it broke off before that
            return Pass([_grade(said, places.index(place)) for place in range(len(places))], {"partial": 1}, notes)
        answer = read(reply, places)
        return Pass([answer.values.get(place) for place in range(len(places))], answer.parsed, notes)

    def _by_parts(self, shown: Shown, places: list[int]) -> Asking[Pass]:
        """Every part of the query asked of every candidate, all at once."""
        parts = views(shown.query, shown.sought)
        images = [shown.images[place] for place in places]
        replies = yield [ask for image in images for ask in questions(shown.sought, parts, image)]
        each = 1 + len(parts)
        values: list[float | None] = [None] * len(places)
        notes: dict[int, Note] = {}
        for at, place in enumerate(places):
            told = judged(shown.sought.said or "what the picture shows", parts, replies[at * each : (at + 1) * each])
            values[place], verdict = told
            if verdict is not None:
                notes[place] = Note(verdict.why, verdict.details)
        return Pass(values, notes=notes)


def _grade(said: Mapping[int, Verdict], at: int) -> float | None:
    return said[at].grade if at in said else None
