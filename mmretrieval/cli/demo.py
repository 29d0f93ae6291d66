"""mmretrieval demo: the whole tour on drawn pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.cli.report import Report


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to keep what it makes.", show_default=False)
    ] = None,
) -> Report:
    """Show the whole tour on drawn pictures.

    Draws a collection, indexes it, searches it in six ways with and without a language model, and marks what is right.
    """
    from mmretrieval.cli.progress import Bars
    from mmretrieval.demo.tour import run

    with Bars() as bars:
        return Report(lines=run(out, bars))
