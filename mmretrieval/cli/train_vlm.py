"""mmretrieval train vlm: train the demo VLM anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.cli.options import Device, Json
from mmretrieval.cli.report import Report
from mmretrieval.cli.train_clip import told

STAGES = {
    "draw": "drawing",
    "look": "looking at pictures and sheets",
    "sentences": "sentences, seconds",
    "tasks": "all tasks, seconds",
}


def train_vlm(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where checkpoints and the model go.")],
    minutes: Annotated[
        float, typer.Option("--minutes", metavar="N", help="How long to train in all, without drawing and looking.")
    ],
    clip: Annotated[
        Path | None,
        typer.Option("--clip", metavar="DIR", help="The demo CLIP whose tower it takes over, if not the shipped one."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in DIR.")] = False,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Train the demo VLM on the drawn world.

    It can be stopped and resumed. On a GPU this takes minutes, on a CPU core hours.
    """
    from mmretrieval.cli.interrupt import stoppable
    from mmretrieval.cli.progress import Bars
    from mmretrieval.training.clip import TrainingProgress
    from mmretrieval.training.vlm import train

    with Bars() as bars, stoppable() as stop:

        def progress(state: TrainingProgress) -> None:
            bars(STAGES.get(state.stage, state.stage), state.done, state.total)

        report = train(out, minutes, clip=clip, resume=resume, device=device, progress=progress, stop=stop)
    return told(report)
