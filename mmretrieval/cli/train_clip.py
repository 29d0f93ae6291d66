"""mmretrieval train clip: train the demo model anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmretrieval.cli.options import Device, Json
from mmretrieval.cli.report import PARTIAL, Report, row

if TYPE_CHECKING:
    from mmretrieval.training.clip import TrainingReport

STAGES = {"draw": "drawing", "warm": "reading slots, seconds", "contrast": "matching words, seconds"}


def train_clip(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where checkpoints and the model go.")],
    minutes: Annotated[
        float, typer.Option("--minutes", metavar="N", help="How long to train in all, without drawing.")
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in DIR.")] = False,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Train the demo model on the drawn world.

    It can be stopped and resumed. On a GPU this takes minutes, on two CPU cores hours.
    """
    from mmretrieval.cli.interrupt import stoppable
    from mmretrieval.cli.progress import Bars
    from mmretrieval.training.clip import TrainingProgress, train

    with Bars() as bars, stoppable() as stop:

        def progress(state: TrainingProgress) -> None:
            bars(STAGES.get(state.stage, state.stage), state.done, state.total)

        report = train(out, minutes, resume=resume, device=device, progress=progress, stop=stop)
    return told(report)


def told(report: TrainingReport) -> Report:
    """What a training did, as every training command reports it."""
    facts = {
        "folder": str(report.folder),
        "seconds": round(report.seconds, 1),
        "steps": report.steps,
        "pictures": report.pictures,
        "finished": report.finished,
    }
    return Report(
        fields=facts,
        lines=[row(name, value) for name, value in facts.items()],
        status="ok" if report.finished else "partial",
        warnings=() if report.finished else ["stopped before the end: run it again with --resume to go on"],
        exit_code=0 if report.finished else PARTIAL,
    )
