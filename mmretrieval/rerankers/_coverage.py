"""Which of the things a query names are among those that a picture is said to hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.rerankers._nouns import Noun, means

if TYPE_CHECKING:
    from mmretrieval.rerankers._likeness import Likeness


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one picture has of what is asked: `matched` maps it to the name that was found.

    `share` is the mean over what is asked of how surely it is there, from 0 to 1: 1 for the same name, the cosine for
    one that is alike. What is to be avoided and is there stands in `unwanted`, and takes as much away.
    """

    matched: Mapping[Noun, Noun]
    missing: tuple[Noun, ...]
    unwanted: tuple[Noun, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Covered:
    """`of` holds one entry a picture, None for one without a list; `unknown` is what no picture is said to hold."""

    of: tuple[Coverage | None, ...]
    unknown: tuple[Noun, ...]


def cover(
    asked: Sequence[Noun],
    avoided: Sequence[Noun],
    lists: Sequence[Sequence[Noun] | None],
    likeness: Likeness | None = None,
) -> Covered:
    """What each list has of what is asked. Words that no list has say nothing about an order, so they do not count."""
    names = list(dict.fromkeys(name for own in lists if own for name in own))
    sure = _sureness([*asked, *avoided], names, [own for own in lists if own], likeness)
    place = {name: number for number, name in enumerate(names)}
    counted = [n for n in range(len(asked) + len(avoided)) if sure[n].any()]
    wanted = [n for n in counted if n < len(asked)]
    against = [n for n in counted if n >= len(asked)]
    every = [*asked, *avoided]

    def covered(own: Sequence[Noun]) -> Coverage:
        columns = [place[name] for name in own]
        found = {n: max(columns, key=lambda column: sure[n, column]) for n in counted} if columns else {}
        there = {n: column for n, column in found.items() if sure[n, column] > 0}
        gained = sum(sure[n, there[n]] for n in wanted if n in there)
        lost = sum(sure[n, there[n]] for n in against if n in there)
        return Coverage(
            {every[n]: names[there[n]] for n in wanted if n in there},
            tuple(every[n] for n in wanted if n not in there),
            tuple(every[n] for n in against if n in there),
            float(gained - lost) / max(len(wanted), 1),
        )

    unknown = tuple(asked[n] for n in range(len(asked)) if n not in wanted)
    return Covered(tuple(None if own is None else covered(own) for own in lists), unknown)


def _sureness(
    asked: Sequence[Noun], names: Sequence[Noun], lists: Sequence[Sequence[Noun]], likeness: Likeness | None
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(asked, names): 1 where both may stand for one thing, the cosine where it reaches the threshold, else 0."""
    same = np.array([[means(one, name) for name in names] for one in asked], dtype=bool).reshape(len(asked), len(names))
    if likeness is None or same.any(axis=1).all():
        return same.astype(np.float64)
    cosines = likeness.cosines(asked, names)
    alike = np.where(cosines >= likeness.least(lists), np.clip(cosines, 0.0, 1.0), 0.0)
    alike[same.any(axis=1)] = 0.0  # what has its own name in some list is not looked for under others
    return np.where(same, 1.0, alike)
