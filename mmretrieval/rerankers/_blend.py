"""What a model thinks of the candidates, joined with the order they came in: every reranker ends here.

`alpha` is the share of the model, from 0 (the order of before) to 1 (the model alone, as the papers have it). By
default both count the same: which of them is the better judge is not known before it was measured on a collection, and
a reranker of 2 B parameters was measured below the very embeddings that it reranked (MMEB-v2, 73.8 against 74.8, in
the report on Qwen3-VL-Embedding). Scores are joined as in ERank, by z-scores within the query, or by reciprocal ranks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

from mmretrieval.errors import UsageError
from mmretrieval.ordering import best_first, z_scores
from mmretrieval.stages import Candidate, Reranked
from mmretrieval.types import Hit

Join = Literal["z", "rrf"]

ALPHA = 0.5
RRF_K = 60  # of Cormack et al. 2009, who chose it
ALL_ALIKE = "the model thinks of all candidates alike: the order before it was kept"
BEFORE = "before"  # the name under which the older order stands in a hit's scores

_NO_COUNTS: Mapping[str, int] = MappingProxyType({})


def checked_alpha(alpha: float) -> float:
    """The share itself; UsageError outside 0 to 1."""
    if not 0 <= alpha <= 1:  # also refuses NaN
        raise UsageError(f"alpha is {alpha}: the model's share goes from 0, the order before it, to 1, the model alone")
    return alpha


def blended(
    name: str,
    candidates: Sequence[Candidate],
    values: Sequence[float | None],
    *,
    alpha: float = ALPHA,
    join: Join = "z",
    whys: Sequence[str] = (),
    details: Sequence[Mapping[str, Any]] = (),
    parsed: Mapping[str, int] = _NO_COUNTS,
    flips: float | None = None,
    note: str = "",
) -> Reranked:
    """The candidates by their values (larger is better, any scale) and by the order they stand in.

    A value that is None or not finite is no opinion: the candidate gets the value that stands as high among the
    model's as it stood itself. `whys` and `details` belong to the candidates one by one. Each hit's score is the sum of
    the model's part, under `name`, and of that of the order before it; with alpha 1 it is the value itself. Values
    that are all the same leave the order as it is, and `note` says so. Equal scores keep the order before.
    """
    opinions = _filled(values)
    mine, older = _parts(candidates, opinions, checked_alpha(alpha), join)
    scores = [model + before for model, before in zip(mine, older, strict=True)]
    hits = [
        Hit(
            candidates[place].record.id,
            name,
            scores[place],
            why=whys[place] if whys else "",
            scores={name: mine[place]} if alpha == 1 else {name: mine[place], BEFORE: older[place]},
            details=details[place] if details else {},
        )
        for place in best_first(scores)
    ]
    is_flat = len(opinions) > 1 and len(set(opinions)) == 1 and any(value is not None for value in values)
    return Reranked(hits, parsed, flips, "; ".join(part for part in (note, ALL_ALIKE if is_flat else "") if part))


def falling(order: Sequence[int]) -> list[float]:
    """Values for `blended` out of an order of places, best first: n for the best, 1 for the last."""
    values = [0.0] * len(order)
    for rank, place in enumerate(order):
        values[place] = float(len(order) - rank)
    return values


def _parts(
    candidates: Sequence[Candidate], opinions: Sequence[float], alpha: float, join: Join
) -> tuple[list[float], list[float]]:
    """What model and older order add to each candidate's score."""
    if alpha == 1:
        return list(opinions), [0.0] * len(opinions)
    if join == "rrf":
        ranks = {place: rank for rank, place in enumerate(best_first(opinions), start=1)}
        mine = [alpha / (RRF_K + ranks[place]) for place in range(len(opinions))]
        return mine, [(1 - alpha) / (RRF_K + rank) for rank in range(1, len(opinions) + 1)]
    older = z_scores(_older(candidates))
    return [alpha * z for z in z_scores(opinions)], [(1 - alpha) * z for z in older]


def _older(candidates: Sequence[Candidate]) -> list[float]:
    """The scores of before, or falling numbers where these are of several stages or not what made the order."""
    scores = [candidate.hit.score for candidate in candidates]
    known = [score for score in scores if score is not None and math.isfinite(score)]
    is_one_scale = len(known) == len(scores) and len({candidate.hit.by for candidate in candidates}) == 1
    if is_one_scale and all(one >= next_one for one, next_one in pairwise(known)) and len(set(known)) > 1:
        return known
    return [-float(rank) for rank in range(len(candidates))]


def _filled(values: Sequence[float | None]) -> list[float]:
    """The values, with one for each that is missing: the one at its own percentile among those that are there."""
    said = [value if value is not None and math.isfinite(value) else None for value in values]
    known = sorted((value for value in said if value is not None), reverse=True)
    if not known:
        return [0.0] * len(said)
    return [known[place * len(known) // len(said)] if value is None else value for place, value in enumerate(said)]
