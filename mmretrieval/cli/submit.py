"""mmretrieval submit: the file for a benchmark's evaluation server, written or checked."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmretrieval.cli.options import Json
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import InvalidData, UsageError

if TYPE_CHECKING:
    from mmretrieval.benchmarks import Benchmark

_SHOWN = 20


def submit(
    name: Annotated[str, typer.Argument(metavar="cirr|circo", help="The benchmark.", show_default=False)],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A TREC run to write from, or a .json to check.", show_default=False)
    ],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder with the benchmark's files.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="F.json", help="Where the submission goes.")] = None,
    metric: Annotated[str, typer.Option("--metric", help="For CIRR: recall or recall_subset.")] = "recall",
    split: Annotated[str, typer.Option("--split", help="test1 for CIRR and test for CIRCO, by default.")] = "",
    json: Json = False,
) -> Report:
    """Write the file for the evaluation server of CIRR or CIRCO, or check one.

    Prints queries and file. A file the server would not take is exit code 5, with each query at fault.
    """
    from mmretrieval.evaluation.runs import read_run
    from mmretrieval.evaluation.submissions import METRICS, faults, read, written

    chosen = next((each for each in METRICS if each == metric), None)
    if chosen is None:
        raise UsageError(f"--metric '{metric}' is not understood: write {' or '.join(METRICS)}")
    is_check = file.suffix == ".json"
    if is_check != (out is None):
        raise UsageError("a .json file is checked, without --out; from a run a file is written, to the one --out names")
    benchmark = _loaded(name, data, split)
    if out is None:
        return _checked(file, faults(benchmark, read(file)), benchmark)
    submission = written(benchmark, read_run(file), chosen)
    out.write_text(json_text.dumps(submission), encoding="utf-8")
    return Report(fields={"file": str(out), "queries": len(benchmark.queries)}, lines=_lines(benchmark, out))


def _loaded(name: str, data: Path, split: str) -> Benchmark:
    from mmretrieval import registry
    from mmretrieval.benchmarks import Benchmark

    splits = {"cirr": "test1", "circo": "test"}
    if name not in splits:
        raise UsageError(f"there is no server for '{name}': choose one of: {', '.join(splits)}")
    loaded = registry.load("datasets", name)().load(data, split or splits[name])
    assert isinstance(loaded, Benchmark), "both are searches"
    return loaded


def _checked(file: Path, told: list[str], benchmark: Benchmark) -> Report:
    fields = {"file": str(file), "queries": len(benchmark.queries), "faults": told}
    if not told:
        return Report(fields=fields, lines=_lines(benchmark, file))
    shown = [f"{file}: {fault}" for fault in told[:_SHOWN]]
    if len(told) > _SHOWN:
        shown.append(f"{file}: {len(told) - _SHOWN:,} further faults; --json tells them all")
    return Report(fields=fields, status="error", errors=shown, exit_code=InvalidData.exit_code)


def _lines(benchmark: Benchmark, file: Path) -> list[str]:
    return [row("queries", len(benchmark.queries)), row("file", file)]
