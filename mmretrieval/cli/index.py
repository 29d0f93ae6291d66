"""mmretrieval index: bring an index up to date with a folder of pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmretrieval.cli.options import Device, IndexFolder, Json
from mmretrieval.cli.report import PARTIAL, Report, row

if TYPE_CHECKING:
    from mmretrieval.indexing import IndexReport, Progress


class Precision(StrEnum):
    """How numbers are held while encoding."""

    fp32 = "fp32"
    bf16 = "bf16"


def index(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of pictures.")],
    index: IndexFolder,
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="demo, an open_clip name/pretrained, hf-hub:…, or a local folder; an index keeps the one it has.",
        ),
    ] = "default",
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="FILE", help="Which pictures, with ids and captions; manifest.jsonl in DIR."
        ),
    ] = None,
    device: Device = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures encoded together.")] = 64,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="bf16 is faster on a GPU; an index keeps the one it has.")
    ] = None,
    json: Json = False,
) -> Report:
    """Index a folder of pictures.

    Run it again after changes: only what is new is encoded. Ctrl-C stops cleanly, and the next run goes on.
    """
    from mmretrieval.cli.interrupt import stoppable
    from mmretrieval.cli.progress import Bar
    from mmretrieval.searcher import index as run

    with Bar("pictures") as bar, stoppable() as stop:

        def progress(state: Progress) -> None:
            bar(state.done, state.total)

        report = run(
            source,
            index,
            encoder,
            manifest,
            batch_size=batch_size,
            device=device,
            precision=None if precision is None else precision.value,
            progress=progress,
            stop=stop,
        )
    return _report(report)


def _report(report: IndexReport) -> Report:
    facts = report.to_dict()
    warnings = facts.pop("warnings")
    if report.interrupted:
        warnings.append("stopped before the end: run the same command again to go on")
    partial = bool(report.skipped) or report.interrupted
    counts = {name: len(value) if isinstance(value, list) else value for name, value in facts.items()}
    return Report(
        fields=facts,
        lines=[
            *(row("skipped", each.path, each.reason) for each in report.skipped),
            *(row(name, value) for name, value in counts.items()),
        ],
        status="partial" if partial else "ok",
        warnings=warnings,
        exit_code=PARTIAL if partial else 0,
    )
