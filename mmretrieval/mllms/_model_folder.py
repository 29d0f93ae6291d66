"""The files of a vision-language model: in a folder, or fetched from the hub into the local cache."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmretrieval import hub
from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.hub import Wish

log = logging.getLogger(__name__)

CONFIG, INDEX, WEIGHTS = "config.json", "model.safetensors.index.json", "model.safetensors"
_SMALL = ("*.json", "*.jinja", "*.txt", "tokenizer.model", "*.spm")  # everything but weights
_LARGEST_HEADER = 2**27  # bytes; a header that claims more is no header
CURES = (
    "connect to the network once, or copy a folder with a model here and give its path, or set HF_HOME to a cache that "
    "has it ('demo' needs no download, but knows drawn pictures only)"
)


@dataclass(frozen=True)
class Folder:
    """A model's folder, complete as far as names tell."""

    path: Path
    shown: str  # the model's name in errors

    @property
    def config(self) -> dict[str, Any]:
        return _read_json(self.path / CONFIG, self.shown)

    @property
    def weights(self) -> list[Path]:
        """The files with tensors, in the order of their names. Raises InvalidData when one is missing."""
        index = self.path / INDEX
        names = [WEIGHTS]
        if not (self.path / WEIGHTS).is_file() and index.is_file():
            names = sorted(set(_read_json(index, self.shown).get("weight_map", {}).values()))
        for name in names:
            if not (self.path / name).is_file():
                raise InvalidData(
                    f"{self.shown}: {self.path / name} is missing; weights must be safetensors, since other formats "
                    "may carry code: copy the file there, or convert the model with save_pretrained"
                )
        return [self.path / name for name in names]

    @cached_property
    def parameters(self) -> int:
        """How many numbers the model has, read from the heads of its files."""
        return sum(_numbers_in(file, self.shown) for file in self.weights)

    def digest(self) -> str:
        """SHA-256 over the hashes of the weights, the configuration and all that shapes an input.

        About 1 s per GB for a folder; the hub's cache names large files by their hash, so nothing is read there.
        """
        inputs = ("config", "preprocessor_config", "processor_config", "tokenizer", "tokenizer_config")
        beside = [self.path / f"{name}.json" for name in inputs]
        beside += [self.path / name for name in ("chat_template.jinja", "chat_template.json", "tokenizer.model")]
        files = [*self.weights, *(file for file in beside if file.is_file())]
        told = "\n".join(f"{file.name} {_hash_of(file)}" for file in files)
        return hashlib.sha256(told.encode()).hexdigest()


def find(name: str) -> Folder:
    """The folder behind a path or a repository's name; what the hub has and the cache has not is downloaded.

    Raises NotFound for a folder that is not there, InvalidData for one without a model, UsageError for a repository
    nobody knows, MissingPrerequisite when something must be downloaded and cannot be.
    """
    shown = f"the language model '{name}'"
    local = Path(name).expanduser()
    if local.is_dir():
        return _checked(Folder(local.resolve(), shown))
    if name.startswith((".", "/", "~")) or "\\" in name or name.count("/") != 1:
        raise NotFound(
            f"{shown}: there is no folder '{name}'; a model of the hub is written ORGANISATION/NAME, and 'demo' is the "
            "one that ships"
        )
    return _checked(_from_hub(name, shown))


def _from_hub(repo: str, shown: str) -> Folder:
    found = hub.cached(repo, [CONFIG])
    if found is not None and _is_complete(Folder(found.parent, shown)):
        return Folder(found.parent, shown)
    wish = Wish(shown, "", CURES)
    folder = Folder(hub.fetch_matching(repo, _SMALL, CONFIG, wish), shown)
    index = folder.path / INDEX
    names, size = [WEIGHTS], 0
    if index.is_file():
        told = _read_json(index, shown)
        names, size = sorted(set(told.get("weight_map", {}).values())), told.get("metadata", {}).get("total_size", 0)
    if not all((folder.path / name).is_file() for name in names):
        log.info("downloading the weights of %s%s", shown, f", {size / 1e6:,.0f} MB" if size else "")
        hub.fetch_matching(repo, names, names[0], wish)
    return folder


def _is_complete(folder: Folder) -> bool:
    """Whether a download had come to its end."""
    try:
        _checked(folder)
    except InvalidData:
        return False
    has = {file.name for file in folder.path.iterdir()}
    return bool(has & {"preprocessor_config.json", "processor_config.json"}) and bool(
        has & {"tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model"}
    )


def _checked(folder: Folder) -> Folder:
    if not (folder.path / CONFIG).is_file():
        raise InvalidData(
            f"{folder.shown}: {folder.path} has no {CONFIG}, so it is no model of the transformers library"
        )
    if not folder.config.get("model_type"):
        raise InvalidData(f"{folder.path / CONFIG}: it names no model_type: use the folder that save_pretrained wrote")
    assert folder.weights
    return folder


def _read_json(file: Path, shown: str) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidData(f"{shown}: {file} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise InvalidData(f"{shown}: {file} should hold a JSON object")
    return data


def _numbers_in(file: Path, shown: str) -> int:
    """A safetensors file begins with the length of its JSON head as eight bytes; the head tells all shapes."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        raw = stream.read(length) if length <= _LARGEST_HEADER else b""
    try:
        head = json.loads(raw)
        shapes = [entry["shape"] for name, entry in head.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidData(f"{shown}: {file} is damaged or no safetensors file: copy or download it again") from error
    total = 0
    for shape in shapes:
        numbers = 1
        for side in shape:
            numbers *= side
        total += numbers
    return total


def _hash_of(file: Path) -> str:
    blob = file.resolve().name
    if len(blob) == 64 and file.is_symlink() and all(sign in "0123456789abcdef" for sign in blob):
        return blob
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
