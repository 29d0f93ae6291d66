"""A benchmark's results as one value of JSON, which the Markdown and HTML reports show.

The same inputs give the same report, byte for byte, but for what stands under "times".
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import mmretrieval
from mmretrieval.bench.content import benchmark_hash
from mmretrieval.bench.results import Result, echoes, judged
from mmretrieval.benchmarks import Benchmark
from mmretrieval.evaluation.categories import Cell
from mmretrieval.evaluation.comparison import Difference
from mmretrieval.evaluation.significance import LEVEL, RESAMPLES, SEED, Interval

_PACKAGES = ("faiss-cpu", "numpy", "open_clip_torch", "pillow", "torch", "transformers")


def report(benchmark: Benchmark, results: Sequence[Result], data: Path) -> dict[str, Any]:
    """Everything but the rankings themselves; numbers are rounded to six places."""
    scored = judged(benchmark)
    return {
        "benchmark": {
            "name": benchmark.name,
            "split": benchmark.split,
            "queries": len(benchmark.queries),
            "judged": len(scored),
            "candidates": len(benchmark.candidates),
            "average": benchmark.average,
            "licence": benchmark.licence,
            "notes": [*benchmark.notes, *_echo(benchmark)],
            "sha256": benchmark_hash(benchmark, data),
        },
        "measures": list(results[0].tables) if results else [],
        "systems": [_system(result) for result in results],
        "statistics": {"level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
        "versions": {
            "mmretrieval": mmretrieval.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "times": {result.name: _times(result) for result in results if result.facts},
    }


def _echo(benchmark: Benchmark) -> list[str]:
    count = echoes(benchmark)
    told = "queries are, word for word, one of their own answer's texts: whoever reads these texts finds it at once"
    return [f"{count:,} {told}"] if count else []


def _system(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "about": result.about,
        "tables": {measure: [_cell(cell) for cell in cells] for measure, cells in result.tables.items()},
        "against_first_stage": [_difference(each) for each in result.against],
        "rounds": [
            {
                "round": r.number,
                "Recall@10": _short(r.recall),
                "Hits@10": _short(r.hits),
                "mean rank": _short(r.mean_rank),
            }
            for r in result.rounds
        ],
        "cost": [asdict(cost) for cost in result.cost],
        "warnings": list(result.warnings),
        "facts": dict(result.facts),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {"category": cell.category, "queries": cell.queries, **_interval(cell.value)}


def _difference(each: Difference) -> dict[str, Any]:
    return {
        "measure": each.measure,
        "delta": _interval(each.delta),
        "p": _short(each.p),
        "wins": each.wins,
        "losses": each.losses,
        "best": [[query, _short(value)] for query, value in each.best],
        "worst": [[query, _short(value)] for query, value in each.worst],
    }


def _interval(value: Interval) -> dict[str, float]:
    return {"mean": _short(value.mean), "low": _short(value.low), "high": _short(value.high)}


def _times(result: Result) -> dict[str, float]:
    queries = max(len(result.run), 1)
    return {"seconds": round(result.seconds, 3), "milliseconds a query": round(1000 * result.seconds / queries, 2)}


def _short(value: float) -> float:
    return round(value, 6) + 0.0  # no minus before a zero


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
