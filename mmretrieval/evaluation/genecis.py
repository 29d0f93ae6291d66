"""GeneCIS' recall, made safe against ties: the target stands first in every stored gallery, so order tells nothing.

The published evaluator sorts scores with the target at place 0, and a scorer that gives everything the same number
finds all targets. Here a tie is worth what a random order of it would give, so that scorer stands at chance: 1/15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from statistics import fmean

from mmretrieval.errors import InvalidData

AT = (1, 2, 3)


def recall(target: float, others: Sequence[float], k: int) -> float:
    """The chance that the target is among the first k when equal scores stand in random order; larger scores first.

    Without ties this is 0 or 1. Raises InvalidData when a score is not a number.
    """
    if isnan(target) or any(map(isnan, others)):
        raise InvalidData("a score is not a number, so the scores have no order")
    better, tied = sum(score > target for score in others), sum(score == target for score in others)
    return min(max(k - better, 0) / (tied + 1), 1.0)


def summary(
    scores: Mapping[str, Mapping[str, float]], targets: Mapping[str, str], at: Sequence[int] = AT
) -> dict[str, float]:
    """Recall@k over all queries of `targets`, from the scores of each query's gallery by image id."""
    for query, target in targets.items():
        if target not in scores.get(query, {}):
            raise InvalidData(f"query '{query}' has no score for its target '{target}'")
    return {
        f"R@{k}": fmean(
            recall(scores[q][target], [score for name, score in scores[q].items() if name != target], k)
            for q, target in targets.items()
        )
        for k in at
    }
