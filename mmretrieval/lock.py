"""One writer at a time: a lock on the index folder that the system takes back when its holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmretrieval.errors import IndexLocked
from mmretrieval.storage import writing

_LOCK, _HOLDER = "writer.lock", "writer.pid"


@contextmanager
def sole_writer(index: Path) -> Iterator[None]:
    """Makes the folder if need be and holds its writer's lock. Readers need no lock.

    Raises IndexLocked at once when another process holds it, StorageError where the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    with writing(index):
        index.mkdir(parents=True, exist_ok=True)
        lock = FileLock(index / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise IndexLocked(
                f"{index}: {_holder(index)} is writing to this index; wait for it to end, or choose another folder"
            ) from error
    try:
        with writing(index):
            (index / _HOLDER).write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        # The lock alone decides; the name of its holder is for people, and only while it is held.
        with suppress(OSError):
            (index / _HOLDER).unlink()
        lock.release()


def _holder(index: Path) -> str:
    try:
        return f"process {int((index / _HOLDER).read_text(encoding='utf-8'))}"
    except (OSError, ValueError):
        return "another process"
