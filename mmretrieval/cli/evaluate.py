"""mmretrieval eval: measure an index on queries with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli import fitting
from mmretrieval.cli.asked import joined_by
from mmretrieval.cli.asking import MaxCalls, MaxCost, MaxSeconds, Mllm, Price, Record, Replay, asking
from mmretrieval.cli.destination import check_destination
from mmretrieval.cli.options import (
    Compose,
    Device,
    EncoderOverride,
    Filter,
    Fuse,
    Hybrid,
    IndexFolder,
    IndexKind,
    Json,
    Refine,
    Rerank,
    Rewrite,
    Weight,
    parse_filter,
)
from mmretrieval.cli.report import Report, row
from mmretrieval.cli.sweeping import is_sweep, swept
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.evaluation.experiment import Evaluation

Queries = Annotated[
    Path, typer.Option("--queries", metavar="F.jsonl", help="Lines with qid, and text, reference (an id) or both.")
]
Measures = Annotated[
    str, typer.Option("--measures", help="nDCG, AP, RR, P, R or Recall, with cutoffs; R@k is the share of hits.")
]
Run = Annotated[Path | None, typer.Option("--run", metavar="OUT.trec", help="Write the rankings as a TREC run.")]
FitBlend = Annotated[
    bool,
    typer.Option("--fit-blend", help="First fit the weights of --hybrid blend to these queries, and keep them."),
]


MOST_WARNINGS = 20


def evaluate(
    index: IndexFolder,
    queries: Queries,
    qrels: Annotated[Path, typer.Option("--qrels", metavar="F.tsv", help="Lines of: qid 0 id grade.")],
    measures: Measures = "nDCG@10 R@1 R@10",
    run: Run = None,
    weight: Weight = None,
    compose: Compose = "sum",
    filter: Filter = None,  # noqa: A002 (the word that users know)
    hybrid: Hybrid = None,
    fit_blend: FitBlend = False,
    fuse: Fuse = None,
    rewrite: Rewrite = None,
    refine: Refine = None,
    rerank: Rerank = None,
    mllm: Mllm = None,
    max_calls: MaxCalls = None,
    max_seconds: MaxSeconds = None,
    max_cost: MaxCost = None,
    price: Price = None,
    record: Record = None,
    replay: Replay = None,
    index_kind: IndexKind = "auto",
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Measure an index on queries with known answers.

    Prints measure, value and query type. A composed query's reference is never an answer; --weight and --compose hold
    for composed queries. With --filter it is as if the index held nothing but the records that it keeps. --fuse
    sweep, or standard:sweep, tells each measure for every weight of captions.
    """
    from mmretrieval.cli.progress import Bar
    from mmretrieval.evaluation.experiment import evaluate as measure
    from mmretrieval.evaluation.filtered import filtered
    from mmretrieval.evaluation.measures import parse_measures
    from mmretrieval.evaluation.queries import read_queries
    from mmretrieval.evaluation.runs import read_qrels
    from mmretrieval.searcher import Searcher

    kept, wanted, judgements = parse_filter(filter), parse_measures(measures), read_qrels(qrels)
    rows = joined_by(read_queries(queries), weight, compose)
    check_destination(run)
    if fit_blend and hybrid != "blend":
        raise UsageError("--fit-blend fits the weights of a blend: give it with --hybrid blend")
    more: dict[str, Any] = {"encoder": encoder, "index_kind": index_kind, "device": device}
    named = {"hybrid": hybrid, "rewrite": rewrite, "refine": refine, "rerank": rerank}
    if fuse is not None and is_sweep(fuse):
        return swept(index, fuse, rows, judgements, wanted, kept, {**named, "mllm": mllm or replay, "run": run}, **more)
    model = asking(mllm, replay, record, max_calls=max_calls, max_seconds=max_seconds, max_cost=max_cost, price=price)
    stages: dict[str, Any] = {"fuse": fuse, **{name: value for name, value in named.items() if value is not None}}
    fitted = fitting.fit_blend(index, rows, judgements, kept, **more) if fit_blend else None
    with Searcher.open(index, **stages, **model, **more) as searcher, Bar("queries") as bar:
        rows, judgements, told = filtered(searcher.collection, kept, rows, judgements)
        result = measure(searcher, rows, judgements, wanted, progress=bar)
    warnings = [*told, *_few(result.warnings), *(_written(run, result) if run is not None else ())]
    fields = result.to_dict() if fitted is None else {**result.to_dict(), "fit": fitted.to_dict()}
    lines = [*([] if fitted is None else fitting.fit_lines(fitted)), *_lines(result)]
    return Report(fields=fields, lines=lines, status=result.status, warnings=warnings)


def _few(warnings: Sequence[str]) -> list[str]:
    """Those of single queries may be as many as the queries."""
    more = len(warnings) - MOST_WARNINGS
    return [*warnings[:MOST_WARNINGS], *([f"and {more} more warnings of single queries"] if more > 0 else [])]


def _written(run: Path, result: Evaluation) -> list[str]:
    """Write the run; what had to be changed in it."""
    from mmretrieval.evaluation.runs import without_blanks, write_run

    rankings, changed = without_blanks(result.run)
    write_run(run, rankings)
    return [f"{run}: blanks in query ids are written as _, as in '{changed[0]}': {len(changed)} ids"] if changed else []


def _lines(result: Evaluation) -> list[str]:
    """Measure, value and query type; the first lines are about all queries."""
    by_type = result.by_type if len(result.by_type) > 1 else {}
    return [
        *(row(name, f"{value:.4f}", "all") for name, value in result.measures.items()),
        *(row(name, f"{value:.4f}", each) for each, values in by_type.items() for name, value in values.items()),
        row("queries", result.queries, "all"),
    ]
