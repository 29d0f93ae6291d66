"""One forward for a whole list: the log-probabilities of the pictures' labels at the first place of the answer.

Papers: FIRST (EMNLP 2024, arXiv 2406.15657) and "An Early FIRST Reproduction" (2024, arXiv 2411.05508): what a
listwise reranker would write first already orders all candidates, so nothing is generated and nothing can be malformed.
Runs untrained; FIRST trains for it, and how far a general model gets without is for a measurement to say.

Deviation: labels have favourites, whatever is shown ("A"), which training would remove. So by default the same is asked
with a query without content, and its log-probabilities are taken off (contextual calibration, Zhao et al. 2021); or
the labels are dealt out anew in turn, as for small models, and the mean counts, the less the more pairs turn round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from mmretrieval import list_prompts, prompts
from mmretrieval.asks import MLLM, Ask, ScoreChoices
from mmretrieval.errors import UsageError
from mmretrieval.ordering import best_first, flips
from mmretrieval.rerankers._asked import NOTHING_TO_ASK, Asked, asked
from mmretrieval.rerankers._blend import ALPHA, Join, blended, checked_alpha, falling
from mmretrieval.rerankers._orders import Asking
from mmretrieval.rerankers._picking import LETTERS, MOST_NUMBERED, back, check_window, log_probs, mean_scores, rotated
from mmretrieval.rerankers._pictures import Pictures, pictures
from mmretrieval.rerankers._sureness import noted, steady_share, sure_share
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query
from mmretrieval.windows import sliding

if TYPE_CHECKING:
    from PIL.Image import Image

Correct = Literal["auto", "null", "rotate", "none"]


class FirstToken(Reranker):
    """Shows up to `window` candidates at once and orders them by how likely the model is to name each one first.

    Needs a model that scores choices, and several pictures in one prompt. Two asks a window, `rotations` where the
    labels are dealt out in turn; deeper lists slide a window of half a step from the end to the top.
    """

    paper: ClassVar[str] = "FIRST, arXiv 2406.15657"
    needs = frozenset({ScoreChoices})

    def __init__(
        self,
        depth: int = 20,
        window: int = 10,
        correct: Correct = "auto",
        rotations: int = 3,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """`correct` takes away what the model prefers whatever is asked: "auto" is "null", and "rotate" for a small
        model, which may go by the places alone. `alpha` and `join` are those of `_blend`.

        Servers return 20 log-probabilities at most, so that a window of 12 or more may lose labels there.
        """
        check_window(self.name, window)
        if correct not in get_args(Correct) or not 2 <= rotations <= len(LETTERS):
            raise UsageError(
                f"first_token corrects by auto, null, rotate (2 or more rotations) or none: it was given {correct} and "
                f"{rotations} rotations"
            )
        self.depth, self.window, self.rotations = depth, window, rotations
        self.correct, self._is_auto = "null" if correct == "auto" else correct, correct == "auto"
        self.alpha, self.join = checked_alpha(alpha), join
        self.labels, self.prefill = LETTERS, "["

    def suited(self, mllm: MLLM) -> Self:
        """Small models know the numbers 1 to 9 as labels, so that is the largest window then."""
        if not mllm.compact:
            return self
        small = copy(self)
        small.labels, small.prefill = prompts.labels(MOST_NUMBERED), ""
        small.window = min(self.window, MOST_NUMBERED)
        small.correct = "rotate" if self._is_auto else self.correct
        return small

    def calls(self, candidates: int) -> int:
        spans = sliding(min(candidates, self.depth), self.window, self._stride)
        return sum(self._asks(end - start) for start, end in spans)

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        sought = asked(query, candidates[0].collection)
        if not sought.said and sought.reference is None:
            return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ASK)
        opened = pictures(candidates)
        places = opened.seen
        spans = sliding(len(places), self.window, self._stride)
        told: dict[int, float] = {}
        turned: list[float] = []
        for start, end in spans:
            span = places[start:end]
            scores, flipped = yield from self._look(sought, [opened.image(place) for place in span])
            turned += [] if flipped is None else [flipped]
            if scores is not None:
                told |= dict(zip(span, scores, strict=True))
                places[start:end] = sorted(span, key=lambda place: (-told[place], span.index(place)))
        known = fmean(turned) if turned else None
        return self._order(candidates, opened, places, told, known, is_one_look=len(spans) == 1)

    @property
    def _stride(self) -> int:
        return max(1, self.window // 2)

    def _asks(self, count: int) -> int:
        return {"null": 2, "rotate": min(self.rotations, count), "none": 1}[self.correct]

    def _look(self, sought: Asked, images: Sequence[Image]) -> Asking[tuple[list[float] | None, float | None]]:
        """A number for each picture, larger fits better, None when the model did not say; and the share of pairs that
        turned round in another rotation, None without one.
        """
        count = len(images)
        turns = self._asks(count) if self.correct == "rotate" else 1
        shifts = [turn * count // turns for turn in range(turns)]
        asks: list[Ask] = [self._ask(sought, rotated(images, shift)) for shift in shifts]
        if self.correct == "null":
            asks.append(self._ask(Asked(prompts.NOTHING_SAID), images))
        replies = yield asks
        rounds = [back(log_probs(reply), shift) for reply, shift in zip(replies, shifts, strict=False)]
        said = mean_scores(rounds)
        if said is None or self.correct != "null":
            return said, flips([best_first(scores) for scores in rounds if scores is not None])
        prior = log_probs(replies[-1])
        return (said if prior is None else [log - base for log, base in zip(said, prior, strict=True)]), None

    def _ask(self, sought: Asked, images: Sequence[Image]) -> ScoreChoices:
        return list_prompts.best_of_list(images, sought, self.labels[: len(images)], self.prefill)

    def _order(
        self,
        candidates: Sequence[Candidate],
        opened: Pictures,
        places: Sequence[int],
        told: Mapping[int, float],
        turned: float | None,
        *,
        is_one_look: bool,
    ) -> Reranked:
        """By the numbers themselves where one look gave them all, else by the places they led to."""
        ranked = dict(zip(places, falling(range(len(places))), strict=True))
        used = told if is_one_look else ranked
        values = [used.get(place) for place in range(len(candidates))]
        details: list[dict[str, Any]] = [
            {"log_prob": round(told[place], 4)} if place in told else {} for place in range(len(candidates))
        ]
        rank = {place: number for number, place in enumerate(places, start=1)}
        whys = [
            f"place {rank[place]} of {len(places)} by what the model would name first" if place in rank else ""
            for place in range(len(candidates))
        ]
        steady = steady_share(self.alpha, turned)
        return blended(
            self.name,
            candidates,
            values,
            alpha=sure_share(steady, list(told.values())),
            join=self.join,
            whys=whys,
            details=details,
            flips=turned,
            note=noted(steady, self.alpha, opened.note),
        )
