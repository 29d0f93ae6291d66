"""Sweeping the weight of captions in fused search from the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval.cli.progress import Bar
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.evaluation.fusion_sweep import Sweep
    from mmretrieval.evaluation.measures import Measure
    from mmretrieval.evaluation.queries import QueryRow
    from mmretrieval.evaluation.runs import Qrels

SWEEP = "sweep"


def is_sweep(fuse: str | None) -> bool:
    """Whether --fuse asks for all weights, as in "sweep" or "standard:sweep"."""
    return fuse is not None and fuse.rpartition(":")[2].strip() == SWEEP


def swept(
    index: Path,
    fuse: str,
    rows: Sequence[QueryRow],
    qrels: Qrels,
    measures: Sequence[Measure],
    filter: str,  # noqa: A002 (the word that users know)
    others: Mapping[str, Any],
    **more: Any,
) -> Report:
    """Every measure with each weight of captions; UsageError for any of the `others`, which it has no place for."""
    for name, value in others.items():
        if value:
            raise UsageError(f"--fuse {fuse} ranks by looks and captions alone: leave out --{name}")
    from mmretrieval.evaluation.filtered import filtered
    from mmretrieval.evaluation.fusion_sweep import sweep
    from mmretrieval.first_stages.fused import Fused
    from mmretrieval.searcher import Searcher

    how = fuse.rpartition(":")[0]
    if how == "early":
        raise UsageError("early fused rows have one weight, so there is nothing to sweep: use sweep or standard:sweep")
    given = f"{how or 'late'}:image=1,caption=1"
    with Searcher.open(index, fuse=given, **more) as searcher, Bar("queries") as bar:
        stage = searcher.pipeline.first_stage
        assert isinstance(stage, Fused), "a fused search was opened"
        rows, qrels, told = filtered(searcher.collection, filter, rows, qrels)
        found = sweep(stage, rows, qrels, measures, progress=bar)
    return Report(fields={"sweep": found.to_dict()}, lines=_lines(found), warnings=told)


def _lines(found: Sweep) -> list[str]:
    """Measure, value and weight; then the best weight and what a weight chosen on other queries gains."""
    first, gain = next(iter(found.means)), found.gain
    return [
        *(
            row(measure, f"{value:.4f}", f"caption={weight:g}")
            for measure, values in found.means.items()
            for weight, value in zip(found.weights, values, strict=True)
        ),
        row("best", f"image={1 - found.best:g},caption={found.best:g}", first),
        row(
            "gain",
            f"{gain.mean:+.4f}",
            f"95% interval {gain.low:+.4f} to {gain.high:+.4f} over looks alone, on {found.queries} queries, each "
            "ranked with a weight chosen on others",
        ),
    ]
