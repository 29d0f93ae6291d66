"""mmretrieval rerank: rerank the hits that another system found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli.asking import MaxCalls, MaxCost, MaxSeconds, Mllm, Price, Record, Replay, asking
from mmretrieval.cli.destination import check_destination
from mmretrieval.cli.options import Device, EncoderOverride, IndexFolder, Json, Rerank
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import InvalidData, UsageError

if TYPE_CHECKING:
    from mmretrieval.types import Query, Ranking

AT_ONCE = 64  # queries whose calls fly together; what is finished is told in between


def rerank(
    index: IndexFolder,
    run: Annotated[Path, typer.Option("--run", metavar="IN.trec", help="The hits to rerank, as a TREC run.")],
    queries: Annotated[
        Path, typer.Option("--queries", metavar="F.jsonl", help="Lines with qid, and text, reference (an id) or both.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="OUT.trec", help="Where the new run is written.")],
    rerank: Rerank = None,
    mllm: Mllm = None,
    max_calls: MaxCalls = None,
    max_seconds: MaxSeconds = None,
    max_cost: MaxCost = None,
    price: Price = None,
    record: Record = None,
    replay: Replay = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first answer that is missing or had to be repaired.")
    ] = False,
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Rerank the hits of any other system over an index of the same pictures.

    Every hit of the run is in the new one, below those that were reranked where it lay deeper; a composed query's
    reference is left out. Prints for each reranker the calls, the tokens, and how many queries ended in each status.
    """
    from mmretrieval.cli.progress import Bar
    from mmretrieval.evaluation.queries import read_queries
    from mmretrieval.evaluation.runs import read_scores, without_blanks, write_run
    from mmretrieval.evaluation.summed import summed, worst

    if not rerank:
        raise UsageError("there is nothing to rerank with: give --rerank NAME, once or more; see: list rerankers")
    model = asking(mllm, replay, record, max_calls=max_calls, max_seconds=max_seconds, max_cost=max_cost, price=price)
    check_destination(out)
    given = read_scores(run)
    wanted, warnings = _matched([each.query for each in read_queries(queries)], given, run, queries)
    with _opened(index, given, rerank, encoder, device, model) as searcher, Bar("queries") as bar:
        rankings: list[Ranking] = []
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            most = max(len(given[query.id]) for query in part)
            rankings += searcher.search_all(part, most, on_error="strict" if strict else "raise")
            bar(len(rankings), len(wanted))
    found, changed = without_blanks({ranking.query.id: ranking.ids for ranking in rankings})
    write_run(out, found)
    told = [*warnings, *dict.fromkeys(warning for ranking in rankings for warning in ranking.warnings)]
    told += [f"{out}: blanks in query ids are written as _: {len(changed)} ids"] if changed else []
    steps, status = summed(rankings), worst(rankings)
    return Report(fields={"queries": len(rankings), "steps": steps}, lines=_lines(steps), status=status, warnings=told)


def _matched(
    queries: Sequence[Query], given: Mapping[str, Mapping[str, float]], run: Path, file: Path
) -> tuple[list[Query], list[str]]:
    """The queries that the run knows, by its own ids, which hold no blanks; and what is left out on either side."""
    named = [query if query.id in given else replace(query, id="_".join(query.id.split())) for query in queries]
    known = [query for query in named if query.id in given]
    if not known:
        raise InvalidData(f"{run} and {file} have no query id in common: is this the run of these queries?")
    strange = sorted(given.keys() - {query.id for query in known})
    lost = [query.id for query in named if query.id not in given]
    remarks = [
        (strange, f"queries of {run} that {file} lacks are left out"),
        (lost, f"queries of {file} that {run} lacks are left out"),
    ]
    return known, [f"{remark}: {len(ids)} ({', '.join(ids[:5])})" for ids, remark in remarks if ids]


def _opened(
    index: Path,
    given: Mapping[str, Mapping[str, float]],
    rerank: Sequence[str],
    encoder: str | None,
    device: str | None,
    model: Mapping[str, Any],
) -> Any:
    from mmretrieval.searcher import Searcher

    return Searcher.open(index, run=given, rerank=rerank, encoder=encoder, device=device, **model)


def _lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        row(
            step["name"],
            f"{step['calls']} calls",
            f"{step['cached']} cached",
            f"{step['tokens']} tokens",
            ", ".join(f"{count} {status}" for status, count in step["status"].items()),
            "-" if step["tau"] is None else f"tau {step['tau']:.4f}",
        )
        for step in steps
    ]
