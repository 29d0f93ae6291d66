"""FAISS files as a cache: written whole or not at all, believed only after a check, never needed.

    faiss-<key>.index    what FAISS writes
    faiss-<key>.json     its length, checksum and what it was built from; written last, so it vouches for the other

The checksum reads the whole file, 0.6 s per GB, which the first flat search would do anyway; afterwards the file is
mapped into memory, so that several processes share one copy.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mmretrieval.errors import InvalidData
from mmretrieval.storage import sync_folder

if TYPE_CHECKING:
    from mmretrieval.segments import Rows

log = logging.getLogger(__name__)

FORMAT = 1
KEPT_FILES = 4  # of older contents and other channels; the rest is removed, oldest first


def load(folder: Path, rows: Rows) -> Any | None:
    """The index that was built from exactly these rows, mapped from disk; None when there is no sound one."""
    path = _path(folder, rows)
    if not path.with_suffix(".json").exists():
        return None
    try:
        return _checked(path, rows)
    except (OSError, ValueError, RuntimeError, InvalidData) as error:
        log.warning("%s: the cached index is damaged (%s) and is built again", path, error)
        return None


def save(folder: Path, rows: Rows, index: Any) -> None:
    """Keep an index for the next time; where that is impossible, say so in the log and go on without."""
    path = _path(folder, rows)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, rows, index)
        _tidy(folder, path)
    except (OSError, RuntimeError) as error:  # FAISS reports a full disk as RuntimeError
        log.warning(
            "%s: the index cannot be kept (%s), so it stays in memory and is built again next time", path, error
        )


def _path(folder: Path, rows: Rows) -> Path:
    digest = hashlib.sha256(f"{FORMAT} {rows.key} {rows.n} {rows.dim}".encode()).hexdigest()
    return folder / f"faiss-{digest[:24]}.index"


def _facts(rows: Rows) -> dict[str, Any]:
    return {"format": FORMAT, "key": rows.key, "rows": rows.n, "dim": rows.dim}


def _checked(path: Path, rows: Rows) -> Any:
    import faiss

    told = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if not isinstance(told, dict) or {name: told.get(name) for name in _facts(rows)} != _facts(rows):
        raise InvalidData("it was built from other rows")
    if path.stat().st_size != told.get("bytes") or _checksum(path) != told.get("crc32"):
        raise InvalidData("its length or checksum is wrong")
    index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    if index.ntotal != rows.n or index.d != rows.dim or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise InvalidData("it holds other rows than its description says")
    return index


def _write(path: Path, rows: Rows, index: Any) -> None:
    import faiss

    temporary = path.with_name(f"{path.stem}-{uuid4().hex}.part")
    try:
        faiss.write_index(index, str(temporary))
        told = {**_facts(rows), "bytes": temporary.stat().st_size, "crc32": _checksum(temporary)}
        _move_in_place(temporary, path)
        temporary.write_text(json.dumps(told), "utf-8")
        _move_in_place(temporary, path.with_suffix(".json"))
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _move_in_place(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _tidy(folder: Path, current: Path) -> None:
    """Remove all but the newest files; a process that has one mapped keeps what it mapped."""
    others = [path for path in folder.glob("faiss-*.index") if path != current]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT_FILES - 1 :]:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
