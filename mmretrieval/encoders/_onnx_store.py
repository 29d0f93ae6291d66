"""Exported models in the user's cache: one folder each, named by its fingerprint, complete or not there at all.

    ~/.cache/mmretrieval/onnx/<fingerprint>/   manifest.json image.onnx text.onnx tokenizer.json
    ~/.cache/mmretrieval/onnx/names/           which folder a user's name leads to, and the files it was made from

An ONNX file from elsewhere could do harm, so only files whose SHA-256 stands in the manifest beside them are opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mmretrieval.errors import InvalidData, StorageError
from mmretrieval.storage import sync_folder

FORMAT = 1
MANIFEST = "manifest.json"
_PARTIAL = ".partial-"
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Export:
    """A complete folder and what its manifest tells."""

    folder: Path
    facts: Mapping[str, Any]

    def file(self, name: str) -> Path:
        """One of its files, after its bytes were compared with the manifest; raises InvalidData.

        Costs about 0.5 s per GB.
        """
        path = self.folder / name
        wanted = self.facts["files"].get(name)
        try:
            found = _sha256(path) if wanted else None
        except OSError as error:
            raise InvalidData(f"{path}: the exported model cannot be read ({error}): {_anew(self.folder)}") from error
        if wanted is None or found != wanted:
            raise InvalidData(f"{path}: not the file that was exported, or damaged: {_anew(self.folder)}")
        return path


def home() -> Path:
    """Where exported models lie; XDG_CACHE_HOME moves it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmretrieval" / "onnx"


def find(name: str) -> tuple[Export, str] | None:
    """The export that a name leads to and what the original calls itself.

    None when there is none, or when what it was made from has changed since.
    """
    try:
        told = json.loads(_name_file(name).read_text("utf-8"))
        current = told["name"] == name and told["library"] == _library()
        if current and told["sources"] == _signs([Path(path) for path, *_ in told["sources"]]):
            return load(home() / told["folder"]), str(told["original"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidData(f"{_name_file(name)}: damaged ({error}): delete it and run the same command again") from error
    return None


def load(folder: Path) -> Export:
    """The export in a folder. Raises FileNotFoundError when there is none, InvalidData when it is damaged."""
    try:
        facts = json.loads((folder / MANIFEST).read_text("utf-8"))
        if facts["format"] != FORMAT or not isinstance(facts["files"], dict):
            raise ValueError("another format")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidData(f"{folder / MANIFEST}: damaged ({error}): {_anew(folder)}") from error
    return Export(folder, facts)


def folder_for(fingerprint: Mapping[str, Any]) -> Path:
    """Where an encoder of that fingerprint lies, or would."""
    told = json.dumps([FORMAT, dict(fingerprint)], sort_keys=True)
    return home() / hashlib.sha256(told.encode()).hexdigest()[:32]


@contextmanager
def making() -> Iterator[Path]:
    """A new folder beside the finished ones, which is gone after the block unless `keep` has given it its name."""
    with _storing():
        home().mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep()
        folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=home()))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def keep(partial: Path, facts: Mapping[str, Any]) -> Export:
    """Completes a folder and moves it to its place in one step; another process may have been quicker."""
    _write(partial / MANIFEST, {**facts, "format": FORMAT, "files": digests(partial)})
    for path in partial.iterdir():
        _sync(path)
    sync_folder(partial)
    target = folder_for(facts["fingerprint"])
    try:
        partial.rename(target)
    except OSError:
        if not (target / MANIFEST).is_file():
            raise
    return load(target)


def link(name: str, original: str, export: Export, sources: Sequence[Path]) -> None:
    """Let a user's name lead to an export as long as these files stay as they are."""
    told = {
        "name": name,
        "original": original,
        "folder": export.folder.name,
        "library": _library(),
        "sources": _signs(sources),
    }
    with _storing():
        file = _name_file(name)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        _write(partial, told)
        partial.replace(file)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files in a folder, by name."""
    return {path.name: _sha256(path) for path in sorted(folder.iterdir())}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signs(paths: Sequence[Path]) -> list[list[Any]]:
    """Path, size and time of each file: equal as long as nobody touched them. Raises FileNotFoundError."""
    facts = [(str(path), path.stat()) for path in paths]
    return [[path, fact.st_size, fact.st_mtime_ns] for path, fact in facts]


def _name_file(name: str) -> Path:
    return home() / "names" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _library() -> str:
    """Another open_clip may mean another architecture by the same name."""
    return f"open_clip {version('open_clip_torch')}"


def _anew(folder: Path) -> str:
    return f"delete the folder {folder} and run the same command again, which exports the model anew"


def _sweep() -> None:
    """What killed processes left behind; a day old, so that nobody is still at work there."""
    for folder in home().glob(f"{_PARTIAL}*"):
        try:
            if time.time() - folder.stat().st_mtime > _DAY:
                shutil.rmtree(folder, ignore_errors=True)
        except FileNotFoundError:
            continue  # another process was quicker


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(told, indent=1), "utf-8")
    _sync(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{home()}: the exported model cannot be stored ({error}): make room, or let XDG_CACHE_HOME name a folder "
            "that can be written"
        ) from error
