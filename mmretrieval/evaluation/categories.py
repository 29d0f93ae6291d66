"""Tables of a measure by category, with an interval on every cell, and the two means that papers report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.significance import Interval, interval

ALL = "all"


@dataclass(frozen=True, slots=True)
class Cell:
    """A measure over the queries of one category."""

    category: str
    queries: int
    value: Interval


def by_category(
    values: Mapping[str, float],
    categories: Mapping[str, str],
    groups: Mapping[str, Iterable[str]] | None = None,
    average: Literal["queries", "categories"] = "queries",
) -> list[Cell]:
    """From one value per query: the row of all queries, one per category, one per group, in this order.

    Queries without a category stand in the first row alone. With `average` "categories" the first row's mean is that of
    the categories, each counting alike (as FashionIQ and GeneCIS report); its interval then draws within each category.
    Groups may overlap and have rows only where one of their queries was measured.
    """
    members: dict[str, list[str]] = {}
    for query in sorted(values):
        if categories.get(query):
            members.setdefault(categories[query], []).append(query)
    rows = [_cell(name, members[name], values) for name in sorted(members)]
    for name, chosen in sorted((groups or {}).items()):
        measured = sorted(set(chosen) & values.keys())
        if measured:
            rows.append(_cell(name, measured, values))
    return [_over_all(values, members, average), *rows]


def _cell(name: str, queries: list[str], values: Mapping[str, float]) -> Cell:
    return Cell(name, len(queries), interval([values[query] for query in queries]))


def _over_all(values: Mapping[str, float], members: Mapping[str, list[str]], average: str) -> Cell:
    if average == "queries":
        return _cell(ALL, sorted(values), values)
    if sum(map(len, members.values())) != len(values) or not members:
        raise InvalidData("a mean over categories needs a category for every query")
    return Cell(ALL, len(values), _mean_of_means([[values[query] for query in own] for own in members.values()]))


def _mean_of_means(parts: list[list[float]]) -> Interval:
    """The mean of the parts' means; its interval from theirs, which are independent: half-widths add as squares do."""
    cells = [interval(part) for part in parts]
    low = sum((cell.mean - cell.low) ** 2 for cell in cells) ** 0.5 / len(cells)
    high = sum((cell.high - cell.mean) ** 2 for cell in cells) ** 0.5 / len(cells)
    mean = fmean(cell.mean for cell in cells)
    return Interval(mean, mean - low, mean + high)
