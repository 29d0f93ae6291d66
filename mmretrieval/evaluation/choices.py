"""Two-choice tasks (SugarCrepe): how often the right caption was chosen, by category and by the order of the options.

A model asked in words sees the right caption first or second. One that always takes the first is right in half of the
cases, which only the two orders side by side show; an answer that names neither counts as wrong, as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of how many were right."""

    correct: int = 0
    total: int = 0

    @property
    def accuracy(self) -> float:
        """Between 0 and 1; 0 for an empty cell."""
        return self.correct / self.total if self.total else 0.0

    def counted(self, is_correct: bool) -> Cell:
        return Cell(self.correct + is_correct, self.total + 1)


def cells(answers: Iterable[tuple[str, str, bool]]) -> dict[tuple[str, str], Cell]:
    """Answers as (category, order of the options, whether right), counted by the first two, sorted."""
    table: dict[tuple[str, str], Cell] = {}
    for category, order, is_correct in answers:
        table[category, order] = table.get((category, order), Cell()).counted(is_correct)
    return dict(sorted(table.items()))


def by_category(table: Mapping[tuple[str, str], Cell]) -> dict[str, float]:
    """The mean accuracy over the orders of each category, as published: orders count alike."""
    categories = sorted({category for category, _ in table})
    return {each: fmean(cell.accuracy for key, cell in table.items() if key[0] == each) for each in categories}


def steadiness(answers: Iterable[tuple[str, str, bool]]) -> tuple[float, float]:
    """From (task, order, whether right): the share of tasks right in all orders, and of those whose verdict changes."""
    by_task: dict[str, list[bool]] = {}
    for task, _, is_correct in answers:
        by_task.setdefault(task, []).append(is_correct)
    if not by_task:
        return 0.0, 0.0
    both = fmean(float(all(verdicts)) for verdicts in by_task.values())
    return both, fmean(float(len(set(verdicts)) > 1) for verdicts in by_task.values())
