"""A recording: one JSON line for the model, then one for each ask with its reply. It can be moved and read by eye.

Pictures are not in it, only their hashes, so that it may be kept and shared where the pictures may not; the words of
prompts and replies are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from mmretrieval.asks import MLLM, Reply
from mmretrieval.errors import InvalidData, NotFound, StorageError, UsageError
from mmretrieval.transcript import KINDS, key_of, reply_facts, reply_of, to_line

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording holds: facts of the model, and replies by the key of their ask."""

    model: Mapping[str, Any]
    replies: Mapping[str, Reply]


def model_facts(model: MLLM) -> dict[str, Any]:
    """What a recording tells of its model."""
    return {
        "spec": model.spec,
        "fingerprint": dict(model.fingerprint),
        "compact": model.compact,
        "answers": sorted(kind.__name__ for kind in model.answers),
    }


def read_recording(file: Path) -> Recorded:
    """The whole recording; of two lines about one ask the later counts.

    A last line without an end, as a kill leaves it, is left out. Raises NotFound, InvalidData naming the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no recording {file}: make one with --record {file}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"{file}: no recording that can be read: {error}") from error
    lines = text.split("\n")[:-1]
    model = _header(file, lines)
    replies = {}
    for number, line in enumerate(lines[1:], start=2):
        told = _line(file, number, line)
        try:
            replies[str(told["key"])] = reply_of(told["reply"], cached=True)
        except (KeyError, InvalidData) as error:
            raise InvalidData(f"{file}: line {number} holds no ask with its reply ({error}): record again") from error
    return Recorded(model, replies)


class Recording:
    """A recording that grows; each line is on disk when `add` returns. Safe to use from many threads, not processes.

    Raises UsageError when the file holds a recording of another model, InvalidData when it is none, and StorageError
    where it cannot be written.
    """

    def __init__(self, file: Path, model: MLLM) -> None:
        self.file = file
        self._lock = Lock()
        facts = model_facts(model)
        self._known: dict[str, Reply] = {}
        if file.exists() and file.stat().st_size:
            _drop_unfinished_line(file)
            before = read_recording(file)
            if key_of(before.model) != key_of(facts):
                raise UsageError(
                    f"{file} is a recording of the model '{before.model.get('spec')}', as it was then: give another "
                    f"file for '{model.spec}', as it is now"
                )
            self._known = dict(before.replies)
            self._write("")
        else:
            self._write(to_line({"mmretrieval": "recording", "format": FORMAT, "model": facts}) + "\n")

    def add(self, facts: Mapping[str, Any], key: str, reply: Reply) -> None:
        """Write an ask with its reply, unless the recording has it."""
        told = reply_facts(reply)
        with self._lock:
            if key in self._known and reply_facts(self._known[key]) == told:
                return
            self._write(to_line({"key": key, "ask": facts, "reply": told}) + "\n")
            self._known[key] = reply

    def _write(self, line: str) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8", newline="") as out:
                out.write(line)
        except OSError as error:
            raise StorageError(f"{self.file}: the recording cannot be written ({error})") from error


def _drop_unfinished_line(file: Path) -> None:
    content = file.read_bytes()
    whole = content.rpartition(b"\n")[0] + b"\n" if b"\n" in content else content
    if whole != content:
        file.write_bytes(whole)


def _header(file: Path, lines: list[str]) -> Mapping[str, Any]:
    told = _line(file, 1, lines[0]) if lines else {}
    if told.get("mmretrieval") != "recording" or not isinstance(told.get("model"), dict):
        raise InvalidData(f"{file}: no recording of this package: its first line does not say so")
    if told.get("format") != FORMAT:
        raise InvalidData(f"{file}: a recording of format {told.get('format')}, and this version reads {FORMAT}")
    model: dict[str, Any] = told["model"]
    if not {"spec", "compact", "answers"} <= model.keys() or not set(model["answers"]) <= KINDS.keys():
        raise InvalidData(f"{file}: its first line does not say which model was recorded: record again")
    return model


def _line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise InvalidData(f"{file}: line {number} is no JSON ({error}): no recording, or a damaged one") from error
    if not isinstance(told, dict):
        raise InvalidData(f"{file}: line {number} is no JSON object: no recording, or a damaged one")
    return told
