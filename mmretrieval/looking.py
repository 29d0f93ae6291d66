"""Looks at one file: its bytes, their hash, and the picture in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.images import decode
from mmretrieval.ledger import LOOK_AGAIN
from mmretrieval.lookahead import look_ahead
from mmretrieval.plan import Task, provable
from mmretrieval.reading import read_file
from mmretrieval.sniff import FORMAT_OF_ENDING, HEAD_BYTES, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

Place = tuple[int, int]  # segment and row of a vector


@dataclass(frozen=True, slots=True)
class Seen:
    """What reading a file gave: `reason` says why it cannot be indexed, else `note` what stands out.

    There is no `image` when a vector of the same bytes is known.
    """

    size: int = 0
    mtime_ns: int = LOOK_AGAIN
    hash: bytes = b""
    image: Image | None = None
    reason: str = ""
    note: str = ""


class Reader:
    """Reads files below a root, in any thread. `known` may grow meanwhile."""

    def __init__(self, root: Path, min_side: int, known: Mapping[bytes, Place]) -> None:
        self.root, self.min_side, self.known = root, min_side, known

    def look(self, task: Task) -> Seen:
        """Hashes the file and decodes it unless its bytes are known; hash and picture come from one reading."""
        try:
            data, facts = read_file(self.root / task.path, shown=task.path)
        except NotFound:
            return Seen(reason="vanished while the index was being made")
        except UnreadableImage as error:
            return Seen(reason=error.reason)
        seen = Seen(facts.st_size, provable(facts.st_mtime_ns), _hash(data), note=_name_note(task.path, data))
        if seen.hash in self.known:
            return seen
        try:
            decoded = decode(data, shown=task.path, min_side=self.min_side)
        except UnreadableImage as error:
            # What this machine lacks may be there next time, so such a file is not settled by its size and time.
            lacking = isinstance(error.__cause__, ImportError | MemoryError)
            return Seen(seen.size, LOOK_AGAIN if lacking else seen.mtime_ns, seen.hash, reason=error.reason)
        note = "; ".join(filter(None, (seen.note, *decoded.notes)))
        return Seen(seen.size, seen.mtime_ns, seen.hash, decoded.image, note=note)

    def digests(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Hashes of the files that can be read."""
        return {path: digest for path, digest in look_ahead(paths, self._digest, 64) if digest}

    def _digest(self, path: str) -> bytes:
        try:
            return _hash(read_file(self.root / path, shown=path)[0])
        except (NotFound, UnreadableImage):
            return b""


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _name_note(path: str, data: bytes) -> str:
    kind = format_of(data[:HEAD_BYTES])
    name = path.rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    if kind is None or FORMAT_OF_ENDING.get(ending.lower()) == kind:
        return ""
    return f"{kind} content under the name .{ending}" if dot and stem else f"{kind} content under a name without ending"
