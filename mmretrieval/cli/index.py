"""mmretrieval index: bring an index up to date with a folder of pictures, or with ready vectors."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval import registry
from mmretrieval.cli.options import Captions, Device, IndexFolder, Json, KeptIndexKind, parse_size
from mmretrieval.cli.report import PARTIAL, Report, row
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.indexing import IndexReport, Progress
    from mmretrieval.planner import Prepared

_STAGES = {"check": "vectors checked", "index": "vectors"}


class Precision(StrEnum):
    """How numbers are held while encoding."""

    fp32 = "fp32"
    bf16 = "bf16"


def index(
    index: IndexFolder,
    source: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="The folder of pictures.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="demo, an open_clip name/pretrained, hf-hub:…, or a local folder; an index keeps the one it has.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="FILE", help="Which pictures, with ids and captions; manifest.jsonl in DIR."
        ),
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option("--vectors", metavar="F.npy", help="Ready vectors instead of pictures, one row each.")
    ] = None,
    ids: Annotated[
        Path | None, typer.Option("--ids", metavar="F.txt", help="The ids of the --vectors, one a line.")
    ] = None,
    text_vectors: Annotated[
        Path | None, typer.Option("--text-vectors", metavar="Q.npy", help="Vectors of typical texts, to tune on.")
    ] = None,
    recall: Annotated[
        float | None, typer.Option("--recall", help="The recall@10 to reach, from 0 to 1; 0.98 by default.")
    ] = None,
    memory: Annotated[str | None, typer.Option("--memory", metavar="2GB", help="The index's limit; it stays.")] = None,
    captions: Captions = None,
    index_kind: KeptIndexKind = None,
    device: Device = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures encoded together.")] = 64,
    precision: Annotated[
        Precision | None, typer.Option("--precision", help="bf16 is faster on a GPU; an index keeps the one it has.")
    ] = None,
    json: Json = False,
) -> Report:
    """Index a folder of pictures, or ready vectors.

    Run it again after changes: only what is new is encoded. Ctrl-C stops cleanly, and the next run goes on.
    """
    from mmretrieval.preparing import is_due

    wishes = _wishes(index_kind, recall, memory)
    more: dict[str, Any] = {"device": device, "precision": None if precision is None else precision.value}
    if captions is not None and (source is None or vectors is not None):
        raise UsageError("--captions encodes the captions of a folder of pictures: give that folder")
    if vectors is not None or ids is not None:
        given = {"manifest": manifest, "pictures": source, "text_vectors": text_vectors}
        report = _of_vectors(vectors, ids, index, encoder, **given, **more)
    elif source is not None:
        more |= {"batch_size": batch_size, "captions": captions}
        report = _of_pictures(source, index, encoder or "default", manifest, **more)
    else:
        raise UsageError("there is nothing to index: give a folder of pictures, or --vectors with --ids")
    if report.interrupted or not (wishes or is_due(index)):
        return _report(report, None)
    return _report(report, _prepared(index, wishes, text_vectors=text_vectors, encoder=encoder, device=device))


def _wishes(index_kind: str | None, recall: float | None, memory: str | None) -> dict[str, Any]:
    """What was asked for of the index over the vectors; empty when nothing was."""
    if recall is not None and not 0 < recall <= 1:  # said before anything is indexed
        raise UsageError(f"--recall {recall}: the recall to reach lies above 0 and is at most 1")
    if index_kind not in (None, "auto"):
        registry.load("indexes", index_kind.partition(":")[0])
    wishes = {
        "kind": index_kind,
        "recall": recall,
        "memory": None if memory is None else parse_size(memory),
    }
    return {name: value for name, value in wishes.items() if value is not None}


def _of_pictures(source: Path, index: Path, encoder: str, manifest: Path | None, **more: Any) -> IndexReport:
    from mmretrieval.cli.interrupt import stoppable
    from mmretrieval.cli.progress import Bars
    from mmretrieval.making import index as run

    with Bars() as bars, stoppable() as stop:

        def progress(state: Progress) -> None:
            bars("captions" if state.stage == "captions" else "pictures", state.done, state.total)

        return run(source, index, encoder, manifest, **more, progress=progress, stop=stop)


def _of_vectors(vectors: Path | None, ids: Path | None, index: Path, encoder: str | None, **more: Any) -> IndexReport:
    from mmretrieval.cli.interrupt import stoppable
    from mmretrieval.cli.progress import Bars
    from mmretrieval.indexing_vectors import index_vectors

    if vectors is None or ids is None:
        raise UsageError("ready vectors need both --vectors F.npy and --ids F.txt: give the missing one")
    with Bars() as bars, stoppable() as stop:

        def progress(state: Progress) -> None:
            bars(_STAGES[state.stage], state.done, state.total)

        return index_vectors(vectors, ids, index, encoder, **more, progress=progress, stop=stop)


def _prepared(index: Path, wishes: Mapping[str, Any], **more: Any) -> Prepared:
    from mmretrieval.cli.progress import Bars
    from mmretrieval.preparing import prepare

    with Bars() as bars:
        return prepare(index, **wishes, **more, progress=bars)


def _report(report: IndexReport, prepared: Prepared | None) -> Report:
    facts = report.to_dict()
    warnings = facts.pop("warnings")
    if report.interrupted:
        warnings.append("stopped before the end: run the same command again to go on")
    partial = bool(report.skipped) or report.interrupted
    counts = {name: len(value) if isinstance(value, list) else value for name, value in facts.items()}
    if prepared is not None:
        facts["first_stage"] = prepared.to_dict()
        counts["first_stage"] = prepared.kind
        warnings += prepared.warnings
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
