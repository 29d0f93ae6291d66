"""The parts of a query asked of one picture, yes or no, and the answers made into a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmretrieval import prompts
from mmretrieval.asks import Ask, Reply
from mmretrieval.rerankers._asked import Asked
from mmretrieval.rerankers._odds import log_odds
from mmretrieval.rerankers._verdicts import Verdict, by_share
from mmretrieval.rerankers._views import View

if TYPE_CHECKING:
    from PIL.Image import Image


def questions(sought: Asked, parts: Sequence[View], image: Image) -> list[Ask]:
    """Whether the picture shows what is sought as a whole, then each of its parts."""
    if sought.change and sought.reference is not None:
        whole = prompts.fits_change(sought.reference, sought.change, image, sought.words)
    elif sought.reference is not None:
        whole = prompts.alike(sought.reference, image, sought.words)
    else:
        whole = prompts.fits(image, sought.said)
    return [whole, *(prompts.fits(image, part.words) for part in parts)]


def judged(whole: str, parts: Sequence[View], replies: Sequence[Reply]) -> tuple[float | None, Verdict | None]:
    """The log-probability that all answers are as wanted, as if they did not depend on each other; and the verdict.

    The replies are to `questions`, in their order. Those that say nothing are left out; (None, None) without any.
    `whole` stands for the query where it has no parts.
    """
    asked = [View(whole), *parts]
    told = [(view, odds) for view, reply in zip(asked, replies, strict=True) if (odds := log_odds(reply)) is not None]
    if not told:
        return None, None
    fitting = [(view, odds if view.wanted else -odds) for view, odds in told]
    value = math.fsum(log_sigmoid(odds) for _, odds in fitting) * len(asked) / len(fitting)
    named = fitting[1:] if parts and len(fitting) > 1 else fitting
    met, missed = ([str(view) for view, odds in named if (odds > 0) == wanted] for wanted in (True, False))
    return value, by_share(met, missed)


def log_sigmoid(odds: float) -> float:
    """The logarithm of 1 / (1 + exp(-odds)), without overflow."""
    return min(odds, 0.0) - math.log1p(math.exp(-abs(odds)))
