"""A benchmark through one or several presets, each beside its own first stage and beside an oracle over it.

Everything that costs is kept below `out/cache`: galleries under what they hold, rankings under what decides them
(the gallery, the stages with their settings, the queries, the version of this package). A second run of the same
encodes nothing and asks no model; one that was killed goes on with the queries in hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mmretrieval
from mmretrieval import registry
from mmretrieval.asks import MLLM
from mmretrieval.bench.content import digest, query_facts
from mmretrieval.bench.gallery import Gallery, build
from mmretrieval.bench.results import Result, compared, cost_of, measured
from mmretrieval.bench.running import Ranked, run_all
from mmretrieval.benchmarks import Benchmark
from mmretrieval.errors import MMRetrievalError, NotFound, UsageError
from mmretrieval.evaluation.experiment import WHOLE_RANKING, SearchesMany
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.reach import oracle
from mmretrieval.lock import sole_writer
from mmretrieval.presets.opening import first_stage_of, open_preset
from mmretrieval.presets.preset import Preset
from mmretrieval.protocols import Encoder
from mmretrieval.types import Query

ORACLE_DEPTH = 20  # of a preset without a reranker: what one could reach that looks this deep
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a protocol needs besides the benchmark and the presets."""

    data: Path
    out: Path
    encoder: str | Encoder | None = None  # in place of the presets' own
    device: str | None = None
    mllm: MLLM | None = None
    measures: tuple[str, ...] = ()  # in place of the published ones
    progress: Told = lambda *_: None

    def run(self, benchmark: Benchmark, presets: Sequence[Preset]) -> list[Result]:
        """Results for each preset's first stage, for an oracle over it, and for the preset itself where it does more.

        A first stage that several presets share is run once. Before any work raises MissingPrerequisite for a preset
        with a stage that this version lacks, UsageError for one that asks a language model when there is none, or reads
        words alone where no query has any.
        """
        for preset in presets:
            preset.need_all()
            _check_model(preset, self.mllm)
            _check_words(preset, benchmark)
        with sole_writer(self.out / "cache"):  # two of them would write into the same lines
            return self._run(benchmark, presets)

    def _run(self, benchmark: Benchmark, presets: Sequence[Preset]) -> list[Result]:
        at = self._depth(benchmark, presets)
        results: list[Result] = []
        done: dict[str, Result] = {}
        for preset in presets:
            gallery = self._gallery(benchmark, preset)
            head = first_stage_of(preset)
            key = digest([gallery.key, _stages(head)])
            if key not in done:
                name = preset.name if head == preset else f"{preset.name}: first stage"
                done[key] = self._measured(name, head, benchmark, gallery, at)
                results.append(done[key])
            first = done[key]
            depth = _rerank_depth(preset)
            results.append(self._oracle(benchmark, first, depth))
            if head != preset:
                result = self._measured(preset.name, preset, benchmark, gallery, at)
                results.append(replace(result, against=compared(first, result)))
        return _once(results)

    def _gallery(self, benchmark: Benchmark, preset: Preset) -> Gallery:
        encoder = (self.encoder or preset.encoder or "default") if _wants_vectors(preset) else None
        cache = self.out / "cache" / "galleries"

        def told(done: int, total: int) -> None:
            self.progress("candidates", done, total)

        return build(benchmark, self.data, cache, encoder, self.device, told)

    def _measured(self, name: str, preset: Preset, benchmark: Benchmark, gallery: Gallery, depth: int) -> Result:
        queries = [preset.joined(query) for query in benchmark.queries]
        ranked = self._ranked(name, preset, queries, gallery, depth)
        subset_run = None
        if benchmark.subsets:
            inside = [replace(q, within=benchmark.subsets[q.id]) for q in queries if q.id in benchmark.subsets]
            most = max(map(len, benchmark.subsets.values()))
            subset_run = {each.query: each.ids for each in self._ranked(name, preset, inside, gallery, most)}
        run = {each.query: each.ids for each in ranked}
        result = measured(name, preset.about, benchmark, run, subset_run, self.measures)
        return replace(
            result,
            cost=cost_of(ranked),
            seconds=sum(each.seconds for each in ranked),
            warnings=_warnings(ranked),
            facts=_facts(preset, gallery),
        )

    def _ranked(
        self, name: str, preset: Preset, queries: Sequence[Query], gallery: Gallery, depth: int
    ) -> list[Ranked]:
        def open_searcher() -> SearchesMany:
            encoder = self.encoder if isinstance(self.encoder, Encoder) else None
            return open_preset(preset, gallery.index, encoder=encoder, mllm=self.mllm, device=self.device)

        key = digest(
            {
                "version": mmretrieval.__version__,
                "gallery": gallery.key,
                "fingerprint": dict(gallery.fingerprint),
                "stages": _stages(preset),
                "mllm": None if self.mllm is None else [dict(self.mllm.fingerprint), self.mllm.compact],
                "queries": [query_facts(query, self.data) for query in queries],
                "depth": depth,
            }
        )
        file = self.out / "cache" / "rankings" / f"{key[:24]}.jsonl"
        try:
            return run_all(open_searcher, queries, depth, file, lambda *done: self.progress(name, *done))
        except MMRetrievalError as error:
            if gallery.pictures or NotFound not in (type(error), type(error.__cause__)):
                raise
            raise NotFound(
                f"the preset '{preset.name}' looks at pictures of candidates, and none is below {self.data}: put them "
                f"there, or choose a preset that reads their texts alone ({error})"
            ) from error

    def _depth(self, benchmark: Benchmark, presets: Sequence[Preset]) -> int:
        """One for all: as the deepest cutoff or reranker; dialogues and measures without cutoff need whole rankings."""
        measures = parse_measures(" ".join(self.measures or benchmark.measures))
        cutoffs = [measure.cutoff or WHOLE_RANKING for measure in measures]
        return max(*cutoffs, *map(_rerank_depth, presets), WHOLE_RANKING if benchmark.dialogues else 1)

    def _oracle(self, benchmark: Benchmark, first: Result, depth: int) -> Result:
        about = f"what a perfect reranker of the first {depth} would make of: {first.name}"
        run = oracle(first.run, benchmark.qrels, depth)
        return measured(f"oracle@{depth} of {first.name}", about, benchmark, run, measures=self.measures)


def _check_model(preset: Preset, mllm: MLLM | None) -> None:
    if mllm is None and preset.asking:
        raise UsageError(
            f"the preset '{preset.name}' asks a language model in '{preset.asking[0]}', and none was named: give --mllm"
        )


def _check_words(preset: Preset, benchmark: Benchmark) -> None:
    if benchmark.queries and not _wants_vectors(preset) and not any(query.text for query in benchmark.queries):
        raise UsageError(
            f"the preset '{preset.name}' reads words alone, and the queries of {benchmark.name} {benchmark.split} are "
            "pictures: choose a preset that searches by vectors, as dense"
        )


def _wants_vectors(preset: Preset) -> bool:
    """Whether a stage reads vectors, or is made with an encoder or a search that has one."""
    methods = [registry.load(stage.kind, stage.method) for stage in preset.stages]
    return any(m.reads or {"encoder", "dense"} & inspect.signature(m).parameters.keys() for m in methods)


def _rerank_depth(preset: Preset) -> int:
    made = [stage.made_idle() for stage in preset.stages if stage.verb == "rerank"]
    return max((each.depth for each in made), default=ORACLE_DEPTH)


def _stages(preset: Preset) -> list[Any]:
    stages = [[stage.verb, stage.method, dict(stage.settings)] for stage in preset.stages]
    return [stages, dict(preset.weights), preset.compose]


def _facts(preset: Preset, gallery: Gallery) -> dict[str, Any]:
    return {
        "paper": preset.paper,
        "stages": [f"{stage.verb}: {stage}" for stage in preset.stages],
        "composed queries": {"compose": preset.compose, "weights": dict(preset.weights)},
        "origins": dict(preset.origins),
        "candidates": {"medium": gallery.medium, "count": gallery.count, "notes": list(gallery.notes)},
        "encoder": dict(gallery.fingerprint),
    }


def _warnings(ranked: Sequence[Ranked], at_most: int = 5) -> tuple[str, ...]:
    """Each warning once; one that names its query is told for the first few."""
    found = list(dict.fromkeys(warning for each in ranked for warning in each.warnings))
    more = len(found) - at_most
    return (*found[:at_most], f"and {more} more warnings of single queries") if more > 0 else tuple(found)


def _once(results: Sequence[Result]) -> list[Result]:
    """Two presets that share a first stage and a depth have the same oracle."""
    return list({result.name: result for result in results}.values())
