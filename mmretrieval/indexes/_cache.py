"""FAISS files as a cache: written whole or not at all, believed only after a check, never needed.

    <kind>.index    what FAISS writes
    <kind>.json     its length, a checksum of samples, the rows it was built from and how it is to be searched;
                    written last, so it vouches for the other

An index stands on slots, and a committed row never changes, so it still holds after later upserts and deletions: it is
refused only when the first slots hold other rows than at building, as after a compaction. The checksum covers the
first and the last megabyte and 64 pages between, not the whole of what may be gigabytes, so that opening takes
milliseconds; it finds files that are cut, swapped or overwritten, and a single flipped byte only by luck. Such a byte
can spoil which rows are proposed, never their scores, which are taken from the vectors.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mmretrieval.errors import InvalidData
from mmretrieval.storage import sync_folder

if TYPE_CHECKING:
    from mmretrieval.segments import Rows

FORMAT = 2
_END = 2**20  # bytes read at either end
_PAGE, _PAGES = 4096, 64


def load(folder: Path, kind: str, rows: Rows, *, mapped: bool = True) -> tuple[Any, dict[str, Any]] | None:
    """The index and what was told when it was saved; None where none was kept.

    The codes of `ivf` and `hnsw` are mapped from disk; those of `pq` and `rabitq` are small, and FAISS reads them into
    memory. An index that is not `mapped` can be added to. Raises InvalidData when it is damaged or was built from other
    rows, and says which.
    """
    import faiss

    path = folder / f"{kind}.index"
    try:
        told = json.loads(path.with_suffix(".json").read_text("utf-8"))
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise InvalidData(f"{path}: the index was written by another version")
        if path.stat().st_size != told["bytes"] or _checksum(path) != told["checksum"]:
            raise InvalidData(f"{path}: the index is damaged")
        if told["slots"] > rows.stored or rows.storage_key(told["slots"]) != told["rows"]:
            raise InvalidData(f"{path}: the index was built from other vectors")
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mapped else 0)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InvalidData(f"{path}: the index cannot be read ({error})") from error
    if index.ntotal != told["slots"] or index.d != rows.dim:
        raise InvalidData(f"{path}: the index holds other rows than its description says")
    return index, told


def save(folder: Path, kind: str, rows: Rows, index: Any, facts: dict[str, Any]) -> int:
    """Keep an index over the first `index.ntotal` slots with JSON-ready facts; returns its bytes.

    Raises OSError, or RuntimeError from FAISS, where the disk refuses; what stood there before then still stands.
    """
    import faiss

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.index"
    temporary = path.with_name(f"{kind}-{uuid4().hex}.part")
    try:
        faiss.write_index(index, str(temporary))
        told = {
            **facts,
            "format": FORMAT,
            "bytes": temporary.stat().st_size,
            "checksum": _checksum(temporary),
            "slots": int(index.ntotal),
            "rows": rows.storage_key(int(index.ntotal)),
        }
        path.with_suffix(".json").unlink(missing_ok=True)
        _move_in_place(temporary, path)
        temporary.write_text(json.dumps(told), "utf-8")
        _move_in_place(temporary, path.with_suffix(".json"))
        sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return int(told["bytes"])


def _move_in_place(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _checksum(path: Path) -> int:
    size = path.stat().st_size
    step = max((size - 2 * _END) // _PAGES, _PAGE)
    parts = [(0, _END), *((at, _PAGE) for at in range(_END, max(size - _END, 0), step)), (max(size - _END, 0), _END)]
    checksum = 0
    with path.open("rb") as file:
        for at, length in parts:
            file.seek(at)
            checksum = zlib.crc32(file.read(length), checksum)
    return checksum
