"""Measures of a dialogue about one picture, round by round, as in ChatIR and CoTRR on VisDial.

`Recall@k` asks whether the picture is among the first k of this round, `Hits@k` whether it was so in this round or in
any before, so it never falls. Some published runs stop a dialogue at its first hit, or tell the next round that the
former answers were wrong: both use the truth while searching, and are no claim about a product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from mmretrieval.errors import InvalidData


@dataclass(frozen=True, slots=True)
class Round:
    """One round over all dialogues; the mean rank counts a missed picture as ranked last of the collection."""

    number: int
    recall: float
    hits: float
    mean_rank: float


def rounds(ranks: Mapping[str, Sequence[int | None]], size: int, k: int = 10) -> list[Round]:
    """From each dialogue's rank of its picture per round (1 is best, None is not found) in a collection of `size`.

    Raises InvalidData when dialogues differ in their rounds, or a rank lies outside of 1 to `size`.
    """
    lengths = {len(own) for own in ranks.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InvalidData(f"dialogues of {sorted(lengths)} rounds cannot be measured round by round")
    for dialogue, own in ranks.items():
        if any(rank is not None and not 1 <= rank <= size for rank in own):
            raise InvalidData(f"dialogue '{dialogue}' has a rank outside of 1 to {size}")
    found = {dialogue: [rank is not None and rank <= k for rank in own] for dialogue, own in ranks.items()}
    return [
        Round(
            number,
            recall=fmean(float(own[number]) for own in found.values()),
            hits=fmean(float(any(own[: number + 1])) for own in found.values()),
            mean_rank=fmean(float(own[number] or size) for own in ranks.values()),
        )
        for number in range(lengths.pop())
    ]


def rank_of(ranked: Sequence[str], target: str) -> int | None:
    """The 1-based rank of a picture, or None where it is not in the ranking."""
    return ranked.index(target) + 1 if target in ranked else None
