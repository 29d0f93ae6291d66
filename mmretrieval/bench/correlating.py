"""Pairs that people marked: do the cosines of two vectors follow the marks?

Captions and pictures lie in galleries like those of searches, one for each kind, so that what was encoded is kept, and
a second run only reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.bench.gallery import Gallery, build
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.results import Result
from mmretrieval.benchmarks import Benchmark, Correlations, Pair
from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.evaluation.categories import ALL, Cell
from mmretrieval.evaluation.correlation import crossed, has_order, spearman, spearman_interval
from mmretrieval.evaluation.significance import Interval
from mmretrieval.lock import sole_writer
from mmretrieval.presets.preset import Preset

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEARMAN, DRAWN, COSINE = "Spearman", "Spearman of draws", "cosine"
_AT_ONCE = 4096


def correlate(bench: Bench, task: Correlations, presets: Sequence[Preset]) -> list[Result]:
    """One result a preset; `by_query` holds the cosine of each pair that could be scored.

    Raises UsageError for a preset that is more than a search by vectors, since only that gives two things that do not
    depend on other candidates one number, and for measures other than the published one; NotFound when no pair has
    both of its sides here.
    """
    if bench.measures:
        raise UsageError(f"{task.name} is measured by Spearman's correlation alone: leave out --measures")
    for preset in presets:
        _check(preset, task)
    with sole_writer(bench.out / "cache"):
        return [_result(bench, task, preset) for preset in presets]


def _check(preset: Preset, task: Correlations) -> None:
    preset.need_all()
    if [(stage.verb, stage.method) for stage in preset.stages] != [("search", "dense")]:
        raise UsageError(
            f"the preset '{preset.name}' puts candidates in an order, and {task.name} asks how alike two things are: "
            "choose a preset that does nothing but search by vectors, as dense"
        )


def _result(bench: Bench, task: Correlations, preset: Preset) -> Result:
    present = {each: path for each, path in task.images.items() if (bench.data / path).is_file()}
    pairs = [pair for pair in task.pairs if {pair.left, pair.right} <= task.texts.keys() | present.keys()]
    if not pairs:
        example = next(iter(task.images.values()), "none is named")
        raise NotFound(
            f"no pair of {task.name} {task.split} has both of its sides below {bench.data}: put its "
            f"{len(task.images):,} pictures there, as {example}"
        )
    galleries = _galleries(bench, task, preset, present)
    scores = _cosines(galleries, task, pairs)
    notes = [f"{gallery.count:,} {gallery.medium} were encoded" for gallery in galleries]
    if len(pairs) < len(task.pairs):
        notes.append(f"{len(pairs):,} of {len(task.pairs):,} pairs have their pictures here; the others are left out")
    return Result(
        preset.name,
        preset.about,
        run={},
        by_query={COSINE: {pair.id: score for pair, score in zip(pairs, scores, strict=True)}},
        tables=tables(pairs, scores),
        facts={
            "stages": [f"compare: {COSINE}"],
            "origins": dict(preset.origins),
            "candidates": {"count": sum(gallery.count for gallery in galleries), "notes": notes},
            "encoder": dict(galleries[0].fingerprint),
        },
    )


def _galleries(bench: Bench, task: Correlations, preset: Preset, present: Mapping[str, str]) -> list[Gallery]:
    sides: list[dict[str, Any]] = [{"texts": task.texts}] if task.texts else []
    sides += [{"images": present}] if present else []

    def told(done: int, total: int) -> None:
        bench.progress("sides", done, total)

    return [
        build(
            Benchmark(task.name, task.split, queries=(), qrels={}, **side),
            bench.data,
            bench.out / "cache" / "galleries",
            bench.encoder or preset.encoder or "default",
            bench.device,
            told,
        )
        for side in sides
    ]


def _cosines(galleries: Sequence[Gallery], task: Correlations, pairs: Sequence[Pair]) -> list[float]:
    vectors: dict[str, NDArray[np.float32]] = {}
    wanted = sorted({side for pair in pairs for side in (pair.left, pair.right)})
    for gallery in galleries:
        held = [side for side in wanted if (side in task.texts) == (gallery.medium == "texts")]
        with Collection.open(gallery.index) as collection:
            vectors |= zip(held, collection.vectors("image", held), strict=True)
    scores: list[float] = []
    for start in range(0, len(pairs), _AT_ONCE):
        part = pairs[start : start + _AT_ONCE]
        left, right = (np.stack([vectors[getattr(pair, side)] for pair in part]) for side in ("left", "right"))
        scores += np.einsum("ij,ij->i", left.astype(np.float64), right.astype(np.float64)).tolist()
    return scores


def tables(pairs: Sequence[Pair], scores: Sequence[float]) -> dict[str, list[Cell]]:
    """Spearman's correlation of all pairs and by how they were sampled, and the published mean over draws.

    A way of sampling whose marks or scores have no order has no row. The ends of the published form are one standard
    deviation over its draws.
    """
    categories: dict[str, list[int]] = {ALL: list(range(len(pairs)))}
    for place, pair in enumerate(pairs):
        categories.setdefault(pair.id.partition(":")[0], []).append(place)
    cells = []
    for category, places in sorted(categories.items(), key=lambda each: (each[0] != ALL, each[0])):
        marks, own = [pairs[place].score for place in places], [scores[place] for place in places]
        if category == ALL or (has_order(marks) and has_order(own)):
            value = Interval(spearman(marks, own), *spearman_interval(marks, own))
            cells.append(Cell(category, len(places), value))
    drawn = crossed([pair.left for pair in pairs], [pair.score for pair in pairs], scores)
    over_draws = Interval(drawn.mean, drawn.mean - drawn.deviation, drawn.mean + drawn.deviation)
    return {SPEARMAN: cells, DRAWN: [Cell(ALL, len(pairs), over_draws)]}
