"""Writes all that a benchmark leaves in its folder: run files, qrels, report.json, report.md, report.html, plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmretrieval.bench import plots
from mmretrieval.bench.markdown import markdown
from mmretrieval.bench.page import page
from mmretrieval.bench.results import Result
from mmretrieval.benchmarks import Benchmark, Correlations
from mmretrieval.errors import MissingExtra
from mmretrieval.evaluation.runs import without_blanks, write_qrels, write_run


def write(
    out: Path, told: Mapping[str, Any], benchmark: Benchmark | Correlations, results: Sequence[Result]
) -> tuple[str, ...]:
    """Returns warnings: what could not be written as it stands, and a missing extra for plots.

    In TREC files a blank in a query id becomes `_`, in runs and qrels alike. Pairs that people marked have no runs:
    their marks and what each system made of them go to pairs.tsv.
    """
    out.mkdir(parents=True, exist_ok=True)
    warnings: list[str] = []
    if isinstance(benchmark, Correlations):
        _write_pairs(out / "pairs.tsv", benchmark, results)
    else:
        warnings += _write_runs(out, benchmark, results)
    try:
        drawn = plots.by_category(told)
    except MissingExtra as error:
        drawn = {}
        warnings.append(f"the report has no plots: {error}")
    (out / "plots").mkdir(exist_ok=True)
    for name, svg in drawn.items():
        (out / "plots" / name).write_text(svg, "utf-8")
    (out / "report.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (out / "report.md").write_text(markdown(told, [f"plots/{name}" for name in drawn]), "utf-8")
    (out / "report.html").write_text(page(told, drawn), "utf-8")
    return tuple(dict.fromkeys(warnings))


def _write_runs(out: Path, benchmark: Benchmark, results: Sequence[Result]) -> list[str]:
    warnings: list[str] = []
    (out / "runs").mkdir(exist_ok=True)
    for result in results:
        run, changed = without_blanks(result.run)
        write_run(out / "runs" / f"{file_name(result.name)}.trec", run, tag=file_name(result.name))
        if changed:
            warnings.append(f"blanks in query ids are written as _, as in '{changed[0]}': {len(changed)} ids")
    qrels = {"_".join(query.split()): dict(grades) for query, grades in benchmark.qrels.items()}
    write_qrels(out / "qrels.tsv", qrels)
    return warnings


def _write_pairs(file: Path, task: Correlations, results: Sequence[Result]) -> None:
    """A line a pair; an empty field where a system could not score it."""
    columns = [(file_name(result.name), scores) for result in results for scores in result.by_query.values()]
    lines = [["pair", "left", "right", "mark", *(name for name, _ in columns)]]
    for pair in task.pairs:
        scores = [f"{own[pair.id]:.6f}" if pair.id in own else "" for _, own in columns]
        lines.append([pair.id, pair.left, pair.right, str(pair.score), *scores])
    file.write_text("".join("\t".join(line) + "\n" for line in lines), "utf-8")


def file_name(system: str) -> str:
    """A system's name as that of a file."""
    plain = "".join(letter if letter.isalnum() or letter in "-_.@" else "-" for letter in system)
    return "-".join(part for part in plain.split("-") if part)
