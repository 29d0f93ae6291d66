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
from mmretrieval.bench.content import benchmark_hash, correlations_hash
from mmretrieval.bench.results import Result, echoes, judged
from mmretrieval.benchmarks import Benchmark, Correlations
from mmretrieval.evaluation import correlation
from mmretrieval.evaluation.categories import Cell
from mmretrieval.evaluation.comparison import Difference
from mmretrieval.evaluation.significance import LEVEL, RESAMPLES, SEED, Interval

_PACKAGES = ("faiss-cpu", "numpy", "open_clip_torch", "pillow", "torch", "transformers")


def report(benchmark: Benchmark | Correlations, results: Sequence[Result], data: Path) -> dict[str, Any]:
    """Everything but the rankings themselves; numbers are rounded to six places."""
    is_correlation = isinstance(benchmark, Correlations)
    return {
        "benchmark": {
            "name": benchmark.name,
            "split": benchmark.split,
            "licence": benchmark.licence,
            **(_of_pairs(benchmark) if isinstance(benchmark, Correlations) else _of_queries(benchmark, data)),
        },
        "measures": list(results[0].tables) if results else [],
        "systems": [_system(result) for result in results],
        "statistics": {
            "level": LEVEL,
            "resamples": correlation.RESAMPLES if is_correlation else RESAMPLES,
            "seed": SEED,
        },
        "versions": {
            "mmretrieval": mmretrieval.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _PACKAGES},
        },
        "times": {result.name: _times(result) for result in results if result.facts and result.run},
    }


def _of_queries(benchmark: Benchmark, data: Path) -> dict[str, Any]:
    return {
        "unit": "queries",
        "queries": len(benchmark.queries),
        "judged": len(judged(benchmark)),
        "candidates": len(benchmark.candidates),
        "average": benchmark.average,
        "notes": [*benchmark.notes, *_echo(benchmark)],
        "sha256": benchmark_hash(benchmark, data),
    }


def _of_pairs(task: Correlations) -> dict[str, Any]:
    drawn = (
        f"Spearman of draws is the published form: half of the left sides and one pair of each, {correlation.DRAWS:,} "
        "times; its ends are one standard deviation over these draws away, not those of a bootstrap"
    )
    return {
        "unit": "pairs",
        "queries": len(task.pairs),
        "judged": len(task.pairs),
        "candidates": len({side for pair in task.pairs for side in (pair.left, pair.right)}),
        "average": "queries",
        "notes": [*task.notes, drawn],
        "sha256": correlations_hash(task),
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
