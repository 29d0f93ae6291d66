"""mmretrieval train clip: train the demo model anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.cli.report import Report


def train_clip(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where checkpoints and the model go.")],
    minutes: Annotated[float, typer.Option("--minutes", metavar="N", min=0, help="How long to train.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in DIR.")] = False,
) -> Report:
    """Train the demo model on the drawn world.

    It can be stopped and resumed. On a GPU this takes minutes, on two CPU cores hours.
    """
    from mmretrieval.training.clip import train

    train(out, minutes=minutes, resume=resume)
    return Report()
