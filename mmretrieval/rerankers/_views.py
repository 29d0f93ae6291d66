"""A query split into the questions that can be asked of one picture alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mmretrieval.rerankers._asked import Asked
from mmretrieval.types import Query

MOST = 6  # parts of a query that are asked for; a longer query is asked for as a whole all the same
_BETWEEN = re.compile(r"[,;.\n]+|\s+(?:and|but|und|et|y)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """One question: `words` are what should be seen, or should not where `wanted` is False."""

    words: str
    wanted: bool = True

    def __str__(self) -> str:
        return self.words if self.wanted else f"no {self.words}"


def views(query: Query, asked: Asked) -> list[View]:
    """The parts of a query: those of its plan where a rewriter made one, else what stands between commas and "and".

    At most `MOST`, and none for a query of a single part, since the whole is asked for anyway.
    """
    plan = query.plan
    wanted = list(plan.wanted) if plan and plan.wanted else _BETWEEN.split(asked.said)
    parts = list(dict.fromkeys(part.strip() for part in wanted if part.strip()))
    found = [View(part) for part in parts] if len(parts) > 1 else []
    return [*found, *(View(words, wanted=False) for words in asked.avoided)][:MOST]
