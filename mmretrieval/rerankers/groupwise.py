"""Grades for the pictures of a group in one answer, so that they are compared and still have a grade each.

Paper: GroupRank (2025, arXiv 2511.11653). Runs untrained; the paper's models are trained for it. Groups are
independent, so all of them are asked at once, and no window has to wait for another.

Deviations, since neither the paper's prompt nor its way of joining groups was at hand: grades from 0 to 10 as JSON; the
candidates are dealt out at random, and every group holds the same two anchors, the first and the middle one, by whose
grades each group is shifted and stretched onto the others' scale. Whatever an answer leaves out is asked for once more.
Small models, which write no JSON, name the best of each group instead: by Luce's rule the log-probabilities of two
pictures differ by the same in every group, so that the anchors join them, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, ClassVar, Literal, Self

from mmretrieval import list_prompts, prompts
from mmretrieval.asks import MLLM, Ask, Generate, Reply, ScoreChoices, Text
from mmretrieval.errors import UsageError
from mmretrieval.parsing import grades
from mmretrieval.rerankers._asked import NOTHING_TO_ASK, Asked, asked
from mmretrieval.rerankers._blend import ALPHA, Join, blended, checked_alpha
from mmretrieval.rerankers._hints import hints
from mmretrieval.rerankers._orders import Asking
from mmretrieval.rerankers._picking import MOST_NUMBERED, log_probs
from mmretrieval.rerankers._pictures import Pictures, pictures
from mmretrieval.rerankers._sureness import sure_share
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query
from mmretrieval.windows import aligned, grouped

Read = Literal["grades", "choice"]


class Groupwise(Reranker):
    """Has each group of up to `group` candidates graded in one answer, and orders all of them by their grades.

    Needs a model that writes JSON and takes several pictures in one prompt; with read=choice one that scores choices.
    One ask a group, and one more for each group of which something was left out.
    """

    paper: ClassVar[str] = "GroupRank, arXiv 2511.11653"

    def __init__(
        self,
        depth: int = 20,
        group: int = 8,
        anchors: int = 2,
        repeats: int = 1,
        read: Read = "grades",
        hints: bool = False,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """`repeats` deals the candidates out so often and takes the mean; `alpha` and `join` are those of `_blend`.

        A model whose grades are nearly alike gets less than its share `alpha`, see `_sureness`.
        """
        most = MOST_NUMBERED if read == "choice" else 20
        if read not in ("grades", "choice") or not 2 <= group <= most or not 1 <= repeats <= 10:
            raise UsageError(
                f"groupwise reads grades or choice, of groups of 2 to {most}, 1 to 10 times: it was given read={read}, "
                f"group={group} and repeats={repeats}"
            )
        grouped(depth, group, anchors)  # refuses anchors that leave no room
        self.depth, self.group, self.anchors, self.repeats = depth, group, anchors, repeats
        self.read: Read = read
        self.hints, self.alpha, self.join = hints, checked_alpha(alpha), join
        self.needs = frozenset({Generate if read == "grades" else ScoreChoices})

    def suited(self, mllm: MLLM) -> Self:
        """Small models choose, among nine pictures at most."""
        if not mllm.compact or self.read == "choice":
            return self
        small = copy(self)
        small.read, small.needs = "choice", frozenset({ScoreChoices})
        small.group = min(self.group, MOST_NUMBERED)
        return small

    def calls(self, candidates: int) -> int:
        groups = len(grouped(min(candidates, self.depth), self.group, self.anchors)) * self.repeats
        return groups * (2 if self.read == "grades" else 1)

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        sought = asked(query, candidates[0].collection)
        if not sought.said and sought.reference is None:
            return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ASK)
        opened, told = pictures(candidates), hints(candidates) if self.hints else []
        look = _Look(sought, opened, told, self.read)
        groups = [
            [opened.seen[place] for place in places]
            for turn in range(self.repeats)
            for places in grouped(len(opened.seen), self.group, self.anchors, seed=turn)
        ]
        replies = yield [look.ask(group) for group in groups]
        found = [look.grades(reply, group) for reply, group in zip(replies, groups, strict=True)]
        again = [self._left_out(group, graded) for group, graded in zip(groups, found, strict=True)]
        if any(again):
            replies = yield [look.ask(group) for group in again if group]
            found += [look.grades(reply, group) for reply, group in zip(replies, filter(None, again), strict=True)]
        return self._order(candidates, aligned(found), look)

    def _left_out(self, group: Sequence[int], graded: Mapping[int, float]) -> list[int]:
        """What to ask for again: the places without a grade, and those whose grade ties them to the others.

        Nothing when the answer held no grade at all: the same question would bring the same answer.
        """
        left = [place for place in group if place not in graded]
        if not left or not graded or self.read == "choice":
            return []
        return sorted([*left, *list(graded)[: self.anchors]])

    def _order(self, candidates: Sequence[Candidate], graded: Mapping[int, float], look: _Look) -> Reranked:
        of = [graded.get(place) for place in range(len(candidates))]
        key = "grade" if self.read == "grades" else "log_prob"
        details: list[dict[str, Any]] = [{} if grade is None else {key: round(grade, 4)} for grade in of]
        said = "grade {:.1f} of 10" if self.read == "grades" else "log-probability {:+.2f} of being named best"
        return blended(
            self.name,
            candidates,
            of,
            alpha=sure_share(self.alpha, of),
            join=self.join,
            whys=["the model gave it no grade" if grade is None else said.format(grade) for grade in of],
            details=details,
            parsed=look.parsed,
            note=look.opened.note,
        )


class _Look:
    """The questions about groups of one query, and how their answers were read."""

    def __init__(self, sought: Asked, opened: Pictures, hints: Sequence[str], read: Read) -> None:
        self.sought, self.opened, self.hints, self.read = sought, opened, hints, read
        self.parsed: Counter[str] = Counter()

    def ask(self, group: Sequence[int]) -> Ask:
        images = [self.opened.image(place) for place in group]
        told = [self.hints[place] for place in group] if self.hints else []
        if self.read == "choice":
            return list_prompts.best_of_list(images, self.sought, hints=told)
        return list_prompts.grades_of_list(images, self.sought, prompts.labels(len(group)), told)

    def grades(self, reply: Reply, group: Sequence[int]) -> dict[int, float]:
        """By place; empty when the answer holds none."""
        if self.read == "choice":
            return dict(zip(group, log_probs(reply) or (), strict=False))
        if not isinstance(reply, Text):
            return {}
        marks = prompts.labels(len(group))
        found, status = grades(reply.text, marks)
        self.parsed[status] += 1
        return {group[marks.index(mark)]: grade for mark, grade in found.items() if mark in marks}
