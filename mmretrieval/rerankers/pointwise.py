"""Each candidate judged alone: does it show what is asked for? One word of answer, read as log-odds.

Papers: INQUIRE (NeurIPS 2024, arXiv 2411.02537) asks yes or no of every candidate; the Qwen3-VL reranker (report of
Qwen3-VL-Embedding, 2026) takes z(yes) - z(no) of a model trained for it; MM-Embed (ICLR 2025) asks true or false,
ProRank (2025) 1 or 0, ERank (2025) for a grade. Runs untrained: any model that scores choices, one that was trained
for such a question is better at it.

Deviations: log-odds instead of the probability, whose rounding makes ties of all that is sure; a grade is the mean of
the digits 0 to 9 under their probabilities and costs no thinking. Questions about each part are inspired by MVP, whose
view tokens are trained; crops by MaxP of "Pretrained Transformers for Text Ranking" (2021); the early stop by the
sufficient evidence of natural-logic retrieval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mmretrieval import prompts
from mmretrieval.asks import Ask, ScoreChoices
from mmretrieval.errors import UsageError
from mmretrieval.rerankers._asked import NOTHING_TO_ASK, Asked, asked
from mmretrieval.rerankers._blend import ALPHA, Join, blended, checked_alpha
from mmretrieval.rerankers._crops import check_tiles, tiles
from mmretrieval.rerankers._hints import hints
from mmretrieval.rerankers._judgement import Judgement, best_of
from mmretrieval.rerankers._orders import Asking
from mmretrieval.rerankers._pictures import LONG_SIDE, pictures
from mmretrieval.rerankers._sureness import sure_share
from mmretrieval.rerankers._views import MOST, View, views
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query

if TYPE_CHECKING:
    from PIL.Image import Image


class Pointwise(Reranker):
    """Asks of each candidate whether it shows what is asked for, and orders by the log-odds of yes.

    Needs a model that scores choices. One ask a candidate, all at once; with `parts` up to 7, and each of these once
    more for every tile. A grade goes from 0 to 9 instead.
    """

    paper: ClassVar[str] = "INQUIRE, arXiv 2411.02537"
    needs = frozenset({ScoreChoices})

    def __init__(
        self,
        depth: int = 20,
        answer: prompts.Answer = "yes",
        alpha: float = ALPHA,
        join: Join = "z",
        parts: bool = False,
        tiles: int = 0,
        delta: float = 0.5,
        hints: bool = False,
        stop: int = 0,
    ) -> None:
        """`answer` is the pair of words asked for, or a "grade"; `alpha` and `join` are those of `_blend`.

        A model that holds all candidates nearly alike gets less than its share `alpha`, see `_sureness`.

        `parts` asks about each part of the query, too. `tiles` cuts pictures into so many a side: the best tile counts
        for the whole when it beats it by `delta`. `hints` tells the model what the search before found. With `stop`,
        candidates are judged so many at a time until some fitted and the next so many do not.
        """
        if answer not in prompts.CHOICES:
            raise UsageError(f"pointwise has no answer '{answer}': choose {', '.join(prompts.CHOICES)}")
        if stop < 0 or not 0 <= delta < float("inf"):
            raise UsageError(f"pointwise takes a stop and a delta of 0 or more: it was given {stop} and {delta}")
        check_tiles(self.name, tiles)
        self.depth, self.answer, self.alpha, self.join = depth, answer, checked_alpha(alpha), join
        self.parts, self.tiles, self.delta, self.hints, self.stop = parts, tiles, delta, hints, stop

    def calls(self, candidates: int) -> int:
        return min(candidates, self.depth) * (1 + (MOST if self.parts else 0)) * (1 + self.tiles**2)

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        sought = asked(query, candidates[0].collection)
        if not sought.said and sought.reference is None:
            return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ASK)
        questions = views(query, sought) if self.parts else []
        told = hints(candidates) if self.hints else [""] * len(candidates)
        found: list[Judgement] = []
        notes: list[str] = []
        for start in range(0, len(candidates), self.stop or len(candidates)):
            block = candidates[start : start + (self.stop or len(candidates))]
            judged, note = yield from self._judge(sought, questions, block, told[start : start + len(block)])
            enough = any(each.fits for each in found) and not any(each.fits for each in judged)
            found += judged
            notes.append(note)
            if enough:
                break
        note = "; ".join(dict.fromkeys(note for note in notes if note))
        return self._order(candidates, found, note)

    def _judge(
        self, sought: Asked, questions: Sequence[View], block: Sequence[Candidate], told: Sequence[str]
    ) -> Asking[tuple[list[Judgement], str]]:
        """A judgement for each candidate of a block, and what went wrong with pictures."""
        opened = pictures(block, LONG_SIDE * max(self.tiles, 1))
        shown = [self._shown(image) for image in opened.images]
        every: list[View | None] = [None, *questions]
        asks: list[Ask] = [
            self._ask(sought, view, image, hint)
            for images, hint in zip(shown, told, strict=True)
            for view in every
            for image in images
        ]
        replies = iter((yield asks))
        graded = self.answer == "grade"
        judged = []
        for images in shown:
            said = [best_of([next(replies) for _ in images], graded=graded, delta=self.delta) for _ in every]
            judged.append(Judgement(said[0], tuple(zip(questions, said[1:], strict=True)), graded))
        return judged, opened.note

    def _shown(self, image: Image | None) -> list[Image]:
        """The picture and its tiles; nothing where it could not be opened."""
        from mmretrieval.images import thumbnail

        return [] if image is None else [thumbnail(each, LONG_SIDE) for each in (image, *tiles(image, self.tiles))]

    def _ask(self, sought: Asked, view: View | None, image: Image, hint: str) -> ScoreChoices:
        how: dict[str, Any] = {"answer": self.answer, "hint": hint}
        if view is not None and not view.wanted:
            return prompts.fits(image, view.words, **how)
        if sought.change and sought.reference is not None:
            change, target = (view.words, "") if view else (sought.change, sought.words)
            return prompts.fits_change(sought.reference, change, image, target, **how)
        if sought.reference is not None and view is None:
            return prompts.alike(sought.reference, image, sought.words, **how)
        return prompts.fits(image, view.words if view else sought.said, **how)

    def _order(self, candidates: Sequence[Candidate], found: Sequence[Judgement], note: str) -> Reranked:
        """Those that were judged in their new order, then the rest as it stood."""
        values = [each.value for each in found]
        result = blended(
            self.name,
            candidates[: len(found)],
            values,
            alpha=sure_share(self.alpha, values),
            join=self.join,
            whys=[each.why for each in found],
            details=[each.details for each in found],
            note=note,
        )
        rest = [candidate.hit for candidate in candidates[len(found) :]]
        return Reranked([*result.hits, *rest], result.parsed, result.flips, result.note)
