"""mmretrieval compare: two runs on the same judgements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmretrieval.cli.options import Json
from mmretrieval.cli.report import Report, row

if TYPE_CHECKING:
    from mmretrieval.evaluation.comparison import Difference


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.trec", help="The run to compare with.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B.trec", help="The run in question.", show_default=False)],
    qrels: Annotated[Path, typer.Option("--qrels", metavar="F.tsv", help="Lines of: qid 0 id grade.")],
    measures: Annotated[
        str, typer.Option("--measures", help="As in eval; further names are those of ir_measures.")
    ] = "nDCG@10 R@1 R@10",
    json: Json = False,
) -> Report:
    """Compare two TREC runs query by query.

    Prints for each measure A, B, B minus A, its interval, the p-value, wins and losses; then the queries that gain and
    lose most.
    """
    from mmretrieval.evaluation.comparison import compare as side_by_side
    from mmretrieval.evaluation.measures import parse_measures
    from mmretrieval.evaluation.runs import read_qrels, read_run

    wanted = parse_measures(measures)
    result = side_by_side(read_run(first), read_run(second), read_qrels(qrels), wanted)
    return Report(
        fields={"queries": result.queries, "measures": [each.to_dict() for each in result.differences]},
        lines=[
            row("measure", "A", "B", "B-A", "low", "high", "p", "wins", "losses"),
            *map(_line, result.differences),
            *(line for each in result.differences for line in _extremes(each)),
            row("queries", result.queries),
        ],
        warnings=result.warnings,
    )


def _extremes(each: Difference) -> list[str]:
    named = [*(("gains", pair) for pair in each.best), *(("loses", pair) for pair in each.worst)]
    return [row(what, each.measure, query, f"{value:+.4f}") for what, (query, value) in named]


def _line(each: Difference) -> str:
    means = (f"{value:.4f}" for value in (each.first, each.second))
    ends = (f"{value:+.4f}" for value in (each.delta.mean, each.delta.low, each.delta.high))
    return row(each.measure, *means, *ends, f"{each.p:.4f}", each.wins, each.losses)
