"""mmretrieval marks: how good is search on one's own marked results?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli import fitting
from mmretrieval.cli.options import Device, EncoderOverride, Hybrid, IndexFolder, IndexKind, Json
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from mmretrieval.evaluation.blend import Fit
    from mmretrieval.evaluation.marks import Marks
    from mmretrieval.evaluation.reach import Reach
    from mmretrieval.evaluation.significance import Interval


def marks(
    file: Annotated[
        Path,
        typer.Argument(metavar="F.jsonl", help="Lines with query, id and mark (1 right, 0 wrong).", show_default=False),
    ],
    index: IndexFolder,
    measures: Annotated[str, typer.Option("--measures", help="As in eval.")] = "nDCG@10 R@1 R@10",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write queries.jsonl and qrels.tsv there.")
    ] = None,
    hybrid: Hybrid = None,
    index_kind: IndexKind = "auto",
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Measure an index on results that you marked yourself, and suggest how to search it.

    Prints measure, value and its interval; how deep a reranker should look; and the weights of a blend of vectors and
    words, where there are marks enough. Nothing is changed: eval --fit-blend keeps such weights.
    """
    from mmretrieval.cli.progress import Bar
    from mmretrieval.evaluation.experiment import evaluate
    from mmretrieval.evaluation.marks import read_marks
    from mmretrieval.evaluation.measures import parse_measure, parse_measures
    from mmretrieval.evaluation.reach import DEPTHS, reach
    from mmretrieval.evaluation.significance import interval
    from mmretrieval.searcher import Searcher

    wanted, given = parse_measures(measures), read_marks(file)
    deep = [*wanted, *(each for each in [parse_measure(f"Recall@{max(DEPTHS)}")] if each not in wanted)]
    more: dict[str, Any] = {"encoder": encoder, "index_kind": index_kind, "device": device}
    with Searcher.open(index, hybrid=hybrid, **more) as searcher, Bar("queries") as bar:
        result = evaluate(searcher, given.rows, given.qrels, deep, progress=bar)
    by_query = dict(sorted(result.by_query.items()))
    values = {str(each): interval([own[str(each)] for own in by_query.values()]) for each in wanted}
    found = reach(result.run, given.qrels, wanted[0])
    weights, why_not = _suggested(index, given, more)
    if out is not None:
        _write(out, given)
    return Report(
        fields={
            "measures": {name: {"mean": v.mean, "low": v.low, "high": v.high} for name, v in values.items()},
            "queries": result.queries,
            "depth": found.to_dict(),
            "blend": None if weights is None else weights.to_dict(),
        },
        lines=[*_lines(values, found), _blend(weights, why_not)],
        warnings=[*given.notes, *result.warnings],
    )


def _suggested(index: Path, given: Marks, more: dict[str, Any]) -> tuple[Fit | None, str]:
    """Fitted weights, or why there are none."""
    try:
        return fitting.fitted(index, given.rows, given.qrels, "", **more), ""
    except InvalidData as error:
        return None, str(error)


def _write(out: Path, given: Marks) -> None:
    from mmretrieval.evaluation.marks import write_queries

    out.mkdir(parents=True, exist_ok=True)
    write_queries(out / "queries.jsonl", given)
    rows = [
        f"{query}\t0\t{image}\t{grade}\n" for query, judged in given.qrels.items() for image, grade in judged.items()
    ]
    (out / "qrels.tsv").write_text("".join(rows), encoding="utf-8")  # between tabs a query id may hold blanks


def _blend(found: Fit | None, why_not: str) -> str:
    if found is None:
        return row("blend", "-", why_not)
    weights = " ".join(f"{channel}={weight:.2f}" for channel, weight in found.weights.items())
    gain = (
        f"gain {found.gain.mean:+.4f}, 95% interval {found.gain.low:+.4f} to {found.gain.high:+.4f}, on unseen queries"
    )
    return row("blend", weights if found.helps else "-", gain)


def _lines(values: dict[str, Interval], found: Reach) -> list[str]:
    return [
        *(row(name, f"{v.mean:.4f}", f"{v.low:.4f}", f"{v.high:.4f}") for name, v in values.items()),
        *(row(f"oracle@{depth}", f"{v.mean:.4f}", f"{v.low:.4f}", f"{v.high:.4f}") for depth, v in found.at.items()),
        row("depth", found.depth, f"a perfect reranker of these reaches 95% of what {max(found.at)} hold"),
        row("queries", found.queries),
    ]
