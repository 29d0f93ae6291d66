"""Near-duplicates folded into the best-ranked of them: bursts, copies in other sizes and formats, the same bytes twice.

Two pictures are near-duplicates when the cosine of their stored rows reaches a threshold; the same bytes have the
same row, so they are, too. Going down a ranking, a hit is folded into the best-ranked kept hit it is that near to,
else it is kept. So whatever is folded truly resembles what stands for it (no chain of small steps joins pictures that
differ), and the first five are the same however many are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.types import Hit
from mmretrieval.vectors import row_scores, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Measured with the demo model: copies in half the size or as JPEG of quality 40 reach 0.99, those cropped by 3 % or
# made 15 % brighter 0.94 to 0.98; two different drawn pictures at most 0.96, two photographs of one shelf 0.97.
THRESHOLD = 0.97
_ROUNDING = 1e-6  # equal rows have a cosine of 1 up to this


def checked(threshold: float) -> float:
    """The threshold; UsageError unless it is above 0 and at most 1."""
    if not 0 < threshold <= 1:
        raise UsageError(f"near-duplicates are told by a cosine above 0 and at most 1, and {threshold} was given")
    return threshold


def collapse(hits: Sequence[Hit], rows: NDArray[np.float32], threshold: float = THRESHOLD) -> tuple[Hit, ...]:
    """The kept hits in their order, each with the ids of those folded into it, in theirs.

    `rows` are the (len(hits), dim) stored rows of the hits. Costs one inner product per hit and kept hit.
    """
    unit = unit_rows(rows) if len(hits) else rows
    kept: list[int] = []
    leaders = np.empty_like(unit)
    folded: dict[int, list[str]] = {}
    for place, hit in enumerate(hits):
        near = row_scores(leaders[: len(kept)], unit[place]) >= threshold - _ROUNDING
        if near.any():
            folded[kept[int(np.argmax(near))]] += [hit.id, *hit.duplicates]
            continue
        leaders[len(kept)] = unit[place]
        kept.append(place)
        folded[place] = list(hits[place].duplicates)
    return tuple(replace(hits[place], duplicates=tuple(folded[place])) for place in kept)
