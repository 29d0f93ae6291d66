"""mmretrieval caption: let a model describe the pictures of an index, or correct a description by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli.asking import MaxCalls, MaxCost, MaxSeconds, Mllm, Price, Record, Replay, asking
from mmretrieval.cli.interrupt import stoppable
from mmretrieval.cli.options import Captions, Device, EncoderOverride, IndexFolder, Json
from mmretrieval.cli.report import PARTIAL, Report, row
from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.captioning import CaptionReport

_TEXTS = ("caption", "aspects")  # what the channel of captions is made of


def caption(
    index: IndexFolder,
    mllm: Mllm = None,
    what: Annotated[str, typer.Option("--what", metavar="KIND,…", help="caption, ingredients, aspects.")] = "caption",
    replace: Annotated[
        str | None,
        typer.Option(
            "--replace", metavar="ORIGIN,…", help="What new ones may replace: model (another one's), manifest, edited."
        ),
    ] = None,
    hand: Annotated[
        tuple[str, str] | None,
        typer.Option("--set", metavar="ID TEXT", help="Write one by hand; an empty TEXT takes it back."),
    ] = None,
    captions: Captions = None,
    max_calls: MaxCalls = None,
    max_seconds: MaxSeconds = None,
    max_cost: MaxCost = None,
    price: Price = None,
    record: Record = None,
    replay: Replay = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Pictures described together.")] = 16,
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Describe the pictures of an index by a language model.

    What is described already is not asked again, and captions of the manifest or written by hand stay. Ctrl-C stops
    cleanly, and the next run goes on. Without --mllm and --set it prints what there is: id, kind, origin, state, text.
    """
    kinds = _names(what)
    model = asking(mllm, replay, record, max_calls=max_calls, max_seconds=max_seconds, max_cost=max_cost, price=price)
    if hand is not None and model["mllm"] is not None:
        raise UsageError("--set writes by hand and --mllm lets a model write: give one of them")
    if replace is not None and model["mllm"] is None:
        raise UsageError("--replace says what a model's descriptions may replace: name the model with --mllm")
    more = {"encoder": encoder, "device": device, "captions": captions}
    if hand is not None:
        return _set(index, hand, kinds, more)
    if model["mllm"] is None:
        return _shown(index)
    replacing = _names(replace or "")
    with stoppable() as stop:  # one wish to stop holds for all that is left to do
        report = _described(index, model, kinds, replacing, stop, batch_size=batch_size, encoder=encoder, device=device)
        told = _follow(index, more, stop) if any(kind in _TEXTS for kind in kinds) else {}
        return _report(report, told, is_partial=report.is_partial or stop())


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _described(
    index: Path,
    model: Mapping[str, Any],
    kinds: tuple[str, ...],
    replacing: tuple[str, ...],
    stop: Callable[[], bool],
    *,
    batch_size: int,
    encoder: str | None,
    device: str | None,
) -> CaptionReport:
    from contextlib import closing

    from mmretrieval.calls import open_calls
    from mmretrieval.captioning import describe
    from mmretrieval.checked_encoder import CheckedEncoder
    from mmretrieval.cli.progress import Bar
    from mmretrieval.collection import Collection

    with (
        Collection.open(index) as collection,
        closing(open_calls(folder=index, device=device, **model)) as calls,
        Bar("pictures") as bar,
    ):
        reader = CheckedEncoder(collection, encoder, device) if "aspects" in kinds else None
        return describe(
            index,
            calls,
            what=kinds,
            replacing=replacing,
            encoder=reader,
            batch_size=batch_size,
            progress=bar,
            stop=stop,
        )


def _set(index: Path, hand: tuple[str, str], kinds: tuple[str, ...], more: Mapping[str, Any]) -> Report:
    from mmretrieval.correcting import set_by_hand

    if len(kinds) != 1:
        raise UsageError("--set writes one thing: give --what caption or --what ingredients")
    record_id, text = hand
    now = set_by_hand(index, record_id, text, kinds[0])
    with stoppable() as stop:
        told = _follow(index, more, stop) if kinds[0] in _TEXTS else {}
    warnings = told.pop("warnings", [])
    return Report(
        fields={"id": record_id, "kind": kinds[0], "text": now, **told},
        lines=[row(record_id, kinds[0], now)],
        warnings=warnings,
    )


def _follow(index: Path, more: Mapping[str, Any], stop: Callable[[], bool]) -> dict[str, Any]:
    """Bring the channel of captions up to date with the captions."""
    from mmretrieval.cli.progress import Bar
    from mmretrieval.making import follow_captions

    with Bar("captions encoded") as bar:
        encoded, warnings = follow_captions(index, **more, progress=bar, stop=stop)
    return {"encoded": encoded, "warnings": list(warnings)}


def _shown(index: Path) -> Report:
    """What is said of each picture, and who said it."""
    from mmretrieval.collection import Collection

    with Collection.open(index) as collection:
        told = list(collection.descriptions())
    return Report(
        fields={"descriptions": told},
        lines=[row(*(each[name] for name in ("id", "kind", "origin", "state", "text"))) for each in told],
    )


def _report(report: CaptionReport, told: dict[str, Any], *, is_partial: bool) -> Report:
    warnings = told.pop("warnings", [])
    if report.stopped:
        warnings.append(report.stopped)
    return Report(
        fields={**report.to_dict(), **told},
        lines=[*_lines(report), *(row(name, value) for name, value in told.items())],
        status="partial" if is_partial else "ok",
        warnings=warnings,
        exit_code=PARTIAL if is_partial else 0,
    )


def _lines(report: CaptionReport) -> Iterator[str]:
    for record_id, kind, reason in report.failures:
        yield row("failed", record_id, kind, reason)
    for kind, states in report.states.items():
        for state, count in states.items():
            if count:
                yield row(kind, state, count)
    for name in ("calls", "cached", "tokens"):
        yield row(name, getattr(report, name))
    yield row("seconds", f"{report.seconds:.1f}")
