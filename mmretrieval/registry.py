"""The file name is the registry: `rerankers/grid.py` holds the reranker named "grid".

Other packages join by an entry point of the group `mmretrieval.<kind>` whose value names a module or a class.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from mmretrieval.errors import MissingExtra, MissingPrerequisite, MMRetrievalError, UsageError
from mmretrieval.protocols import Extension

KINDS = ("encoders", "indexes", "mllms", "rewriters", "first_stages", "refiners", "rerankers", "datasets")

# import name -> the optional dependency group that brings it; what is missing here belongs to the default install
EXTRAS = {
    "pyarrow": "scale",
    "pi_heif": "heic",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "matplotlib": "report",
    "sentence_transformers": "sentence",
}


def names(kind: str) -> list[str]:
    """The sorted names of one kind; nothing is imported for it. Raises UsageError for an unknown kind."""
    return sorted(_files(kind) | _entries(kind).keys())


def load(kind: str, name: str) -> type[Any]:
    """The class behind a name; it may be written with hyphens, as in "target-caption".

    Raises UsageError for an unknown name, MissingExtra when a package it stands on is not installed.
    """
    file = name.replace("-", "_")
    if file in _files(kind):
        return _extension(_imported(f"mmretrieval.{kind}.{file}", f"'{name}' in {kind}"))
    entry = _entries(kind).get(name)
    if entry is None:
        known = ", ".join(names(kind)) or "there is none yet"
        raise UsageError(f"there is no '{name}' among the {kind}: choose one of: {known}")
    found = getattr(_imported(entry.module, f"'{name}' in {kind}"), entry.attr) if entry.attr else None
    return found if inspect.isclass(found) else _extension(_imported(entry.module, f"'{name}' in {kind}"))


def _files(kind: str) -> set[str]:
    if kind not in KINDS:
        raise UsageError(f"there is no kind '{kind}': choose one of: {', '.join(KINDS)}")
    folder = Path(__file__).parent / kind
    return {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}


def _entries(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"mmretrieval.{kind}")}


def _imported(module: str, wanted: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package == "mmretrieval":
            raise  # a bug of ours, not a missing package
        raise MissingExtra(wanted, package, EXTRAS.get(package)) from error
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "mmretrieval":
            raise
        raise MissingPrerequisite(f"{wanted} cannot be loaded, since a package it needs is broken: {error}") from error


def _extension(module: ModuleType) -> type[Any]:
    """The one public Extension subclass that the module itself defines."""
    found = [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, Extension)
        and thing.__module__ == module.__name__
        and not thing.__name__.startswith("_")
    ]
    if len(found) != 1:
        held = ", ".join(thing.__name__ for thing in found) or "none"
        raise MMRetrievalError(f"{module.__name__} must define exactly one extension class, and it holds: {held}")
    return found[0]
