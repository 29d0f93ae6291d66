"""Fitting a blend from the command line, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval.cli.progress import Bar
from mmretrieval.cli.report import row

if TYPE_CHECKING:
    from mmretrieval.evaluation.blend import Fit
    from mmretrieval.evaluation.queries import QueryRow
    from mmretrieval.evaluation.runs import Qrels


def fit_blend(index: Path, rows: Sequence[QueryRow], qrels: Qrels, filter: str, **more: Any) -> Fit:  # noqa: A002
    """Fit the weights of a blend to these queries; they are kept in the index if they help on unseen queries."""
    from mmretrieval.evaluation.blend import remember

    found = fitted(index, rows, qrels, filter, **more)
    if found.helps:
        remember(index, found)
    return found


def fitted(index: Path, rows: Sequence[QueryRow], qrels: Qrels, filter: str, **more: Any) -> Fit:  # noqa: A002
    """The weights of a blend that suit these queries; the index is not changed."""
    from mmretrieval.evaluation.blend import fit
    from mmretrieval.evaluation.filtered import filtered
    from mmretrieval.first_stages.hybrid import Hybrid
    from mmretrieval.searcher import Searcher

    with Searcher.open(index, hybrid="blend", **more) as searcher, Bar("queries to fit to") as bar:
        blend = searcher.pipeline.first_stage
        assert isinstance(blend, Hybrid), "a hybrid search was opened"
        rows, qrels, _ = filtered(searcher.collection, filter, rows, qrels)
        return fit(blend, rows, qrels, progress=bar)


def fit_lines(fitted: Fit) -> list[str]:
    """The weights, and what they gain with its interval."""
    gain, kept = fitted.gain, fitted.weights if fitted.helps else fitted.usual
    told = "kept in the index" if fitted.helps else "the usual weights stay, since fitted ones do not help"
    return [
        row("fit", " ".join(f"{channel}={weight:.2f}" for channel, weight in kept.items()), told),
        row(
            "fit",
            f"{fitted.measure} {fitted.before:.4f} -> {fitted.after:.4f}",
            f"gain {gain.mean:+.4f}, 95% interval {gain.low:+.4f} to {gain.high:+.4f}, on {fitted.queries} queries,"
            " each ranked with weights fitted to others",
        ),
    ]
