"""What each stage did over many queries: its costs added up, its statuses and answers counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from typing import Any, Literal

from mmretrieval.types import Ranking, Step


def summed(rankings: Iterable[Ranking]) -> list[dict[str, Any]]:
    """One entry a stage, in the order in which they first appear, as JSON; a name that comes twice has two entries.

    `seconds`, `calls`, `cached`, `tokens` and `moved` are sums, `tau` and `flips` means over the queries that have
    them, `status` and `parsed` counts.
    """
    by_stage: dict[tuple[str, int], list[Step]] = {}
    for ranking in rankings:
        before: Counter[str] = Counter()
        for step in ranking.steps:
            by_stage.setdefault((step.name, before[step.name]), []).append(step)
            before[step.name] += 1
    return [
        {
            "name": name,
            "queries": len(each),
            "status": dict(Counter(step.status for step in each)),
            "seconds": round(sum(step.seconds for step in each), 6),
            "calls": sum(step.calls for step in each),
            "cached": sum(step.cached for step in each),
            "tokens": sum(step.tokens for step in each),
            "moved": sum(step.moved for step in each),
            "parsed": dict(sum((Counter(step.parsed) for step in each), Counter())),
            "tau": _mean([step.tau for step in each]),
            "flips": _mean([step.flips for step in each]),
        }
        for (name, _), each in by_stage.items()
    ]


def worst(rankings: Iterable[Ranking]) -> Literal["ok", "partial"]:
    """As `Ranking.status`, of all together."""
    return "partial" if any(ranking.status == "partial" for ranking in rankings) else "ok"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
