"""Numbers from the log-probabilities of a few choices; in float64, since small differences decide orders.

They stay log-odds: the probability itself is rounded to 0 or 1 where a model is sure, and equal numbers order nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmretrieval.asks import ChoiceScores, Reply


def log_odds(reply: Reply) -> float | None:
    """The log-odds log P(first) - log P(second) of two choices; None where the reply does not say.

    A choice that a server left out stands with its bound; where both were left out nothing is known, unless the model
    named one of them in words, which gives ±log 2.
    """
    if not isinstance(reply, ChoiceScores) or len(reply.log_probs) != 2 or _says_nothing(reply):
        return None
    yes, no = reply.log_probs
    return finite(yes - no)


def expected(reply: Reply) -> float | None:
    """The mean of 0, 1, 2, … under the probabilities of as many choices, renormalised; None where not said."""
    shares = probabilities(reply)
    return None if shares is None else math.fsum(grade * share for grade, share in enumerate(shares))


def probabilities(reply: Reply) -> list[float] | None:
    """The probabilities of the choices, with a sum of 1; None where the reply does not say."""
    if not isinstance(reply, ChoiceScores) or not reply.log_probs or _says_nothing(reply):
        return None
    return softmax(reply.log_probs)


def softmax(logs: Sequence[float]) -> list[float] | None:
    """exp(x) over their sum, without overflow; None unless there is a largest finite number and no NaN."""
    if any(math.isnan(log) for log in logs) or not math.isfinite(top := max(logs)):
        return None
    powers = [math.exp(log - top) for log in logs]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _says_nothing(reply: ChoiceScores) -> bool:
    return reply.bounded >= len(reply.log_probs) and not reply.in_words


def finite(number: float) -> float | None:
    """The number, or None for NaN and the infinities, which mean nothing in an order."""
    return number if math.isfinite(number) else None
