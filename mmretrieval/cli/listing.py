"""mmretrieval list: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Annotated

import typer

from mmretrieval import registry
from mmretrieval.cli.options import Json
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import MissingPrerequisite, UsageError

PRESETS = "presets"


def listing(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help=f"One of: {', '.join((*registry.KINDS, PRESETS))}.", show_default=False),
    ] = None,
    json: Json = False,
) -> Report:
    """List the methods there are.

    Prints kind, name, what it does, and the paper it comes from. A preset also says what it lacks in this version.
    """
    if kind is not None and kind not in (*registry.KINDS, PRESETS):
        raise UsageError(f"there is no kind '{kind}': choose one of: {', '.join((*registry.KINDS, PRESETS))}")
    kinds = (*registry.KINDS, PRESETS) if kind is None else (kind,)
    found = [each for kind in kinds for each in (_presets() if kind == PRESETS else _methods(kind))]
    lines = [row(each["kind"], each["name"], each["about"], each["paper"]) for each in found]
    return Report(fields={"methods": found}, lines=lines)


def _presets() -> list[dict[str, str]]:
    from mmretrieval.presets.preset import names, read_preset

    presets = [read_preset(name) for name in names()]
    return [
        {
            "kind": PRESETS,
            "name": each.name,
            "about": f"{each.about} {'Needs ' + ' and '.join(each.missing) + '.' if each.missing else 'Ready.'}",
            "paper": each.paper,
        }
        for each in presets
    ]


def _methods(kind: str) -> list[dict[str, str]]:
    return [_described(kind, name) for name in registry.names(kind)]


def _described(kind: str, name: str) -> dict[str, str]:
    try:
        thing = registry.load(kind, name)
    except MissingPrerequisite as error:  # it can still be named, and the sentence says how to get it
        return {"kind": kind, "name": name, "about": str(error), "paper": ""}
    about = (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")
    return {"kind": kind, "name": name, "about": about, "paper": getattr(thing, "paper", "")}
