"""Reads a file that may be anything: a folder, a pipe, forbidden, far too large, or gone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from mmretrieval.errors import NotFound, UnreadableImage

MAX_BYTES = 256 * 2**20


def read_file(path: Path, *, shown: str, max_bytes: int = MAX_BYTES) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file and its stat from before reading; never waits for a pipe.

    Raises NotFound when it is not there, UnreadableImage with the reason otherwise.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for somebody to write into it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        try:
            facts = os.fstat(handle)
            _check(facts, shown, max_bytes)
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(max_bytes + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise _refused(shown, error) from error
    if len(data) > max_bytes:
        raise UnreadableImage(shown, f"too large: more than {max_bytes} bytes")
    return data, facts


def _check(facts: os.stat_result, shown: str, max_bytes: int) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise UnreadableImage(shown, "a folder, not a picture")
    if not stat.S_ISREG(facts.st_mode):
        raise UnreadableImage(shown, "a pipe, socket or device, not a file")
    if facts.st_size > max_bytes:
        raise UnreadableImage(shown, f"too large: {facts.st_size} bytes, the limit is {max_bytes}")


def _refused(shown: str, error: OSError) -> NotFound | UnreadableImage:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFound(f"{shown}: no such file")
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnreadableImage(shown, "no permission to read it")
    if error.errno == errno.ELOOP:
        return UnreadableImage(shown, "a symbolic link that leads to itself")
    if error.errno == errno.ENXIO:
        return UnreadableImage(shown, "a pipe, socket or device, not a file")
    if error.errno == errno.EISDIR:
        return UnreadableImage(shown, "a folder, not a picture")
    return UnreadableImage(shown, f"cannot be read: {error.strerror or error}")
