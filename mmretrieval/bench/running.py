"""Rankings of many queries, kept line by line: a run that is stopped goes on, and one that is done is only read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mmretrieval.evaluation.experiment import QUERIES_AT_ONCE, SearchesMany
from mmretrieval.types import Query, Ranking


@dataclass(frozen=True, slots=True)
class Ranked:
    """One query's ranking as it is kept: ids, best first, and what each stage did, its seconds aside."""

    query: str
    ids: tuple[str, ...]
    steps: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    seconds: float


def run_all(
    open_searcher: Callable[[], SearchesMany],
    queries: Sequence[Query],
    depth: int,
    file: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[Ranked]:
    """The rankings of all queries, in their order; those that `file` has are not searched again.

    Queries go in parts, each written and flushed when it is done, so a killed run loses one part. A line that was cut
    off is dropped. The searcher is opened only when something is left to do. A query whose reference is not among
    the candidates gets an empty ranking with a warning. A ranking that lacks replies of a language model is not kept,
    so the next run, with a larger budget or a living server, makes it anew.
    """
    kept = _kept(file)
    todo = [query for query in queries if query.id not in kept]
    if todo:
        searcher = open_searcher()
        known = frozenset(searcher.ids)
        for start in range(0, len(todo), QUERIES_AT_ONCE):
            part = _searched(searcher, todo[start : start + QUERIES_AT_ONCE], depth, known)
            _append(file, [each for each in part if not any(step["unanswered"] for step in each.steps)])
            kept |= {each.query: each for each in part}
            if progress:
                progress(min(start + QUERIES_AT_ONCE, len(todo)), len(todo))
    return [kept[query.id] for query in queries]


def _searched(searcher: SearchesMany, queries: Sequence[Query], depth: int, known: frozenset[str]) -> list[Ranked]:
    lost = [query for query in queries if query.image_id is not None and query.image_id not in known]
    asked = [query for query in queries if query not in lost]
    began = perf_counter()
    rankings = searcher.search_all(asked, depth) if asked else []
    seconds = (perf_counter() - began) / max(len(asked), 1)
    found = {ranking.query.id: _ranked(ranking, seconds) for ranking in rankings}
    told = "queries with a reference that is not among the candidates count 0"
    return [found.get(query.id) or Ranked(query.id, (), (), (told,), 0.0) for query in queries]


def _ranked(ranking: Ranking, seconds: float) -> Ranked:
    steps = tuple({k: v for k, v in step.to_dict().items() if k != "seconds"} for step in ranking.steps)
    return Ranked(ranking.query.id, tuple(ranking.ids), steps, ranking.warnings, round(seconds, 6))


def _kept(file: Path) -> dict[str, Ranked]:
    if not file.is_file():
        return {}
    lines = file.read_bytes().split(b"\n")
    if lines[-1]:  # the last line was cut off by a kill; what follows would be glued to it
        file.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
    rows = [json.loads(line) for line in lines[:-1]]
    return {
        row["query"]: Ranked(
            row["query"], tuple(row["ids"]), tuple(row["steps"]), tuple(row["warnings"]), row["seconds"]
        )
        for row in rows
    }


def _append(file: Path, part: Sequence[Ranked]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        for each in part:
            row = {
                "query": each.query,
                "ids": each.ids,
                "steps": each.steps,
                "warnings": each.warnings,
                "seconds": each.seconds,
            }
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
