"""Which of several pictures a model would name as the best, as one number for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmretrieval.asks import ChoiceScores, Reply
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVW")  # X, Y and Z are often part of longer tokens
MOST_NUMBERED = 9  # two digits would begin with the first ones'


def check_window(name: str, window: int) -> None:
    """UsageError unless so many pictures can be told apart by one letter each."""
    if not 2 <= window <= len(LETTERS):
        raise UsageError(f"'{name}' shows {window} pictures at once: give 2 to {len(LETTERS)}")


def log_probs(reply: Reply) -> list[float] | None:
    """The log-probability of each label; None where the reply says nothing that could be compared."""
    if not isinstance(reply, ChoiceScores) or (reply.bounded >= len(reply.log_probs) and not reply.in_words):
        return None
    logs = reply.log_probs
    known = [log for log in logs if math.isfinite(log)]
    if not known or any(math.isnan(log) or log == math.inf for log in logs):
        return None
    return [max(log, min(known) - 1) for log in logs]  # what is impossible stands behind what is not


def best(scores: Sequence[float]) -> int:
    """The place of the largest, the first of equal ones."""
    return max(range(len(scores)), key=lambda place: (scores[place], -place))


def mean_scores(rounds: Sequence[Sequence[float] | None]) -> list[float] | None:
    """The mean over those that are there; None when none is."""
    known = [scores for scores in rounds if scores is not None]
    return [sum(column) / len(known) for column in zip(*known, strict=True)] if known else None


def rotated(things: Sequence[Image], by: int) -> list[Image]:
    """The things from the `by`-th on, then those before it."""
    return [*things[by:], *things[:by]]


def back(scores: Sequence[float] | None, by: int) -> list[float] | None:
    """The scores of rotated things, brought back to the old places."""
    if scores is None or not by:
        return None if scores is None else list(scores)
    return [*scores[-by:], *scores[:-by]]
