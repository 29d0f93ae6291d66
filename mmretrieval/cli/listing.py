"""mmretrieval list: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval import registry
from mmretrieval.cli.options import Json
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import MissingPrerequisite, UsageError
from mmretrieval.specs import usual

if TYPE_CHECKING:
    from mmretrieval.presets.preset import Preset

PRESETS = "presets"
SET_BY_NAME = ("indexes", "rewriters", "refiners", "rerankers")  # those that are written NAME:key=value


def listing(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help=f"One of: {', '.join((*registry.KINDS, PRESETS))}.", show_default=False),
    ] = None,
    json: Json = False,
) -> Report:
    """List the methods there are.

    Prints kind, name, what it does, the paper it comes from, and its settings with what they are unless given, as
    --rerank takes them. A preset also says whether it is ready, and what it needs.
    """
    if kind is not None and kind not in (*registry.KINDS, PRESETS):
        raise UsageError(f"there is no kind '{kind}': choose one of: {', '.join((*registry.KINDS, PRESETS))}")
    kinds = (*registry.KINDS, PRESETS) if kind is None else (kind,)
    found = [each for kind in kinds for each in (_presets() if kind == PRESETS else _methods(kind))]
    lines = [row(*(each[name] for name in ("kind", "name", "about", "paper")), _settings(each)) for each in found]
    return Report(fields={"methods": found}, lines=lines)


def _settings(method: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in method["settings"].items())


def _presets() -> list[dict[str, Any]]:
    from mmretrieval.presets.preset import names, read_preset

    presets = [read_preset(name) for name in names()]
    return [
        {
            "kind": PRESETS,
            "name": each.name,
            "about": f"{each.about} {_readiness(each)}",
            "paper": each.paper,
            "settings": {},
        }
        for each in presets
    ]


def _readiness(preset: Preset) -> str:
    if preset.missing:
        return f"Needs {' and '.join(preset.missing)}."
    return "Ready with a language model: --mllm NAME." if preset.asking else "Ready."


def _methods(kind: str) -> list[dict[str, Any]]:
    return [_described(kind, name) for name in registry.names(kind)]


def _described(kind: str, name: str) -> dict[str, Any]:
    try:
        thing = registry.load(kind, name)
    except MissingPrerequisite as error:  # it can still be named, and the sentence says how to get it
        return {"kind": kind, "name": name, "about": str(error), "paper": "", "settings": {}}
    about = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
    settings = usual(kind, name) if kind in SET_BY_NAME else {}
    return {"kind": kind, "name": name, "about": about, "paper": getattr(thing, "paper", ""), "settings": settings}
