"""mmretrieval bench: a published benchmark, from its files to a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli.asking import MaxCalls, MaxCost, MaxSeconds, Mllm, Price, Record, Replay, asking
from mmretrieval.cli.options import Device, Json, Rerank
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.bench.results import Result
    from mmretrieval.benchmarks import Benchmark, Correlations
    from mmretrieval.calls import Calls
    from mmretrieval.presets.preset import Preset


def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The benchmark; see: list datasets.", show_default=False)],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder with its official files.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where runs, report and cache go.")],
    pipeline: Annotated[
        list[str] | None,
        typer.Option("--pipeline", metavar="PRESET", help="A preset or a .toml file; may be given several times."),
    ] = None,
    rerank: Rerank = None,
    split: Annotated[str, typer.Option("--split", help="The part of the benchmark; its first one by default.")] = "",
    encoder: Annotated[
        str | None, typer.Option("--encoder", metavar="NAME", help="In place of the encoders the presets name.")
    ] = None,
    measures: Annotated[
        str | None, typer.Option("--measures", help="In place of the published ones, as in: nDCG@10 R@1")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Only the first N queries or pairs; 0 means all.")] = 0,
    mllm: Mllm = None,
    max_calls: MaxCalls = None,
    max_seconds: MaxSeconds = None,
    max_cost: MaxCost = None,
    price: Price = None,
    record: Record = None,
    replay: Replay = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Run a benchmark and write a report.

    Prints system, measure, value, and the ends of its interval. Run files, report.md and report.html go to --out, with
    --rerank of each pipeline without and with these rerankers. What is kept there, also replies of a language model,
    makes a second run quick; one that was stopped goes on, and what a budget left over is asked then.
    """
    from mmretrieval.bench.correlating import correlate
    from mmretrieval.bench.protocol import Bench
    from mmretrieval.bench.report import report
    from mmretrieval.bench.writing import write
    from mmretrieval.benchmarks import Correlations
    from mmretrieval.cli.progress import Bars
    from mmretrieval.evaluation.measures import parse_measures

    presets = _presets(pipeline or ["dense"], rerank)
    wanted = tuple(map(str, parse_measures(measures))) if measures else ()
    model = asking(mllm, replay, record, max_calls=max_calls, max_seconds=max_seconds, max_cost=max_cost, price=price)
    benchmark = _loaded(name, data, split, limit)
    with Bars() as bars, _opened(presets, out, device, **model) as calls:
        work = Bench(data, out, encoder, device, calls, wanted, bars)
        if isinstance(benchmark, Correlations):
            results, doubts = correlate(work, benchmark, presets), []
        else:
            results = work.run(benchmark, presets)
            doubts = _doubts(benchmark, results)
    told = report(benchmark, results, data)
    warnings = [*doubts, *write(out, told, benchmark, results)]
    return Report(
        fields={"folder": str(out), "report": told},
        lines=[*_lines(told), row("report", out)],
        status="partial" if any(_went_without(result) for result in results) else "ok",
        warnings=warnings,
    )


def _presets(names: Sequence[str], rerank: Sequence[str] | None) -> list[Preset]:
    """Each of the pipelines, and behind it the same with these rerankers; said to lack nothing before data is read."""
    from mmretrieval.presets.preset import read_preset

    plain = [read_preset(each) for each in dict.fromkeys(names)]
    presets = [each for one in plain for each in (one, *([one.reranked(rerank)] if rerank else []))]
    for each in presets:
        each.need_all()
    return presets


@contextmanager
def _opened(presets: Sequence[Preset], out: Path, device: str | None, **model: Any) -> Iterator[Calls | None]:
    """The language model for all presets, with its replies beside the rankings; None where none was named."""
    if model["mllm"] is None:
        yield None
        return
    from mmretrieval.calls import open_calls
    from mmretrieval.storage import writing

    if not any(stage.verb in ("rewrite", "rerank") for preset in presets for stage in preset.stages):
        raise UsageError("a language model was named, and no stage of these presets asks one: leave it out")
    cache = out / "cache"
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with closing(open_calls(folder=cache, device=device, **model)) as calls:
        yield calls


def _loaded(name: str, data: Path, split: str, limit: int) -> Benchmark | Correlations:
    from mmretrieval import registry
    from mmretrieval.bench.choosing import questions
    from mmretrieval.benchmarks import Choices, Correlations

    loaded = registry.load("datasets", name)().load(data, split)
    if not isinstance(loaded, Correlations):
        return _limited(questions(loaded, data) if isinstance(loaded, Choices) else loaded, limit)
    if not 0 < limit < len(loaded.pairs):
        return loaded
    told = f"only the first {limit:,} of {len(loaded.pairs):,} pairs were compared"
    return replace(loaded, pairs=loaded.pairs[:limit], notes=(*loaded.notes, told))


def _limited(benchmark: Benchmark, limit: int) -> Benchmark:
    if not 0 < limit < len(benchmark.queries):
        return benchmark
    queries = benchmark.queries[:limit]
    kept = {query.id for query in queries}
    return replace(
        benchmark,
        queries=queries,
        qrels={query: grades for query, grades in benchmark.qrels.items() if query in kept},
        categories={query: category for query, category in benchmark.categories.items() if query in kept},
        subsets={query: ids for query, ids in benchmark.subsets.items() if query in kept},
        notes=(*benchmark.notes, f"only the first {limit:,} of {len(benchmark.queries):,} queries were run"),
    )


def _went_without(result: Result) -> bool:
    """Whether a stage went without replies, or kept the older order, on some query; see `Ranking.status`."""
    return any({"partial", "fallback"} & stage.statuses.keys() for stage in result.cost)


def _doubts(benchmark: Benchmark, results: Sequence[Result]) -> list[str]:
    unjudged = len(benchmark.queries) - sum(
        any(grade >= 1 for grade in benchmark.qrels.get(query.id, {}).values()) for query in benchmark.queries
    )
    told = [f"{unjudged:,} queries have no relevant candidate and are measured by nothing"] if unjudged else []
    return told + list(dict.fromkeys(f"{result.name}: {each}" for result in results for each in result.warnings))


def _lines(told: dict[str, Any]) -> list[str]:
    cells = [(system, measure, cells[0]) for system in told["systems"] for measure, cells in system["tables"].items()]
    return [
        row(system["name"], measure, f"{cell['mean']:.4f}", f"{cell['low']:.4f}", f"{cell['high']:.4f}")
        for system, measure, cell in cells
    ]
