"""Multimodal language models by the name a user gives."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mmretrieval import registry
from mmretrieval.asks import MLLM
from mmretrieval.errors import MissingPrerequisite, UsageError

DEMO_KNOWS = "only the drawn demo world (food plates and natural scenes), nothing of real photographs"

_YES_NO = {"yes": True, "no": False}


def open_mllm(spec: str, *, device: str | None = None, **limits: Any) -> MLLM:
    """The model of that name, ready to answer.

    "demo"              the small model that ships with the package
    "openai:MODEL@URL"  a model behind a server that speaks OpenAI's protocol
    "replay:FILE"       answers recorded earlier
    NAME or FOLDER      a model of the transformers library, from the hub or from a folder

    `?compact=yes` or `?compact=no` at the end says whether it gets the short form of each question; else the back end
    decides. `METHOD:rest` hands the rest to the file METHOD of mllms/. `device` is for models that run in this
    process; others have their own. `limits` are further arguments of the back end's class.

    Raises UsageError for a name nobody knows, NotFound for a folder that is not there, InvalidData for one that is no
    such model, MissingPrerequisite when something must be downloaded or installed first.
    """
    name, compact = _without_compact(spec)
    if not name.strip():
        raise UsageError("the language model has no name: use demo, openai:MODEL@URL, a folder or ORGANISATION/NAME")
    if name == "demo":
        compact = True if compact is None else compact
        return _open("transformers", str(demo_folder()), device, compact, called="demo", knows=DEMO_KNOWS, **limits)
    method, colon, rest = name.partition(":")
    if colon and method in registry.names("mllms"):
        return _open(method, rest, device, compact, **limits)
    return _open("transformers", name, device, compact, **limits)


def demo_folder() -> Path:
    """Where the demo model lies: in the wheel beside this package, in a checkout beside its folder.

    Raises MissingPrerequisite when it is in neither place.
    """
    package = Path(__file__).parent
    for folder in (package / "assets" / "demo-vlm", package.parent / "assets" / "demo-vlm"):
        if (folder / "config.json").is_file():
            return folder
    raise MissingPrerequisite(
        "the demo language model is not part of this installation (assets/demo-vlm is missing): install the package "
        "again, or name another model"
    )


def _without_compact(spec: str) -> tuple[str, bool | None]:
    """The name, and whether the short questions were asked for; None when nothing is said."""
    name, asked, value = spec.partition("?compact=")
    if not asked:
        return spec, None
    if value not in _YES_NO:
        raise UsageError(f"'{spec}' ends in compact={value}: write ?compact=yes or ?compact=no")
    return name, _YES_NO[value]


def _open(method: str, rest: str, device: str | None, compact: bool | None, **more: Any) -> MLLM:
    """The back end gets `device` and `compact` where its constructor takes them."""
    kind = registry.load("mllms", method)
    takes = inspect.signature(kind).parameters
    if compact is not None and "compact" not in takes:
        raise UsageError(f"a model of '{method}:' cannot be told to be compact: leave ?compact= away")
    given = {"device": device, "compact": compact}
    model: MLLM = kind(rest, **{key: value for key, value in given.items() if key in takes}, **more)
    return model
