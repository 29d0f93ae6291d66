"""Orders of several sheets made into one order of the list.

What a sheet says are places among its own candidates; those of different sheets compare by the spots in the list that
the candidates held. So sheets that leave their candidates as they stand leave the whole list so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmretrieval.rerankers._answers import by_value


def on_own_spots(values: Mapping[int, float], places: Sequence[int]) -> dict[int, float]:
    """A sheet's values as ones that compare between sheets: its first gets that of its first spot in the list.

    `values` are by place, `places` is the whole list in the order of showing; the first spot is worth 0, the next -1.
    """
    spots = sorted(places.index(place) for place in values)
    order = by_value([places[spot] for spot in spots], values)
    return {place: -float(spot) for place, spot in zip(order, spots, strict=True)}


def dealt_out(order: Sequence[int], values: Mapping[int, float]) -> dict[int, float]:
    """The values of these places dealt out in their order, the first of them above all others of the list."""
    own = sorted((values.get(place, min(values.values())) for place in order), reverse=True)
    dealt = dict(zip(order, own, strict=True))
    others = [value for place, value in values.items() if place not in dealt]
    if others and max(others) >= own[0]:
        dealt[order[0]] = max(others) + 1.0
    return dealt
