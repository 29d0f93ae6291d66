"""A file that a command will write at its end: looked at before the work begins, which may take hours."""

from __future__ import annotations

import os
from pathlib import Path

from mmretrieval.errors import NotFound, StorageError, UsageError


def check_destination(file: Path | None) -> None:
    """Raises NotFound when the file's folder is not there, UsageError for a folder, StorageError without permission.

    None, where nothing will be written, is fine.
    """
    if file is None:
        return
    folder = file.parent
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder} to write {file.name} into: make it first, or name another place")
    if file.is_dir():
        raise UsageError(f"{file} is a folder, and a file is to be written: name a file in it")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise StorageError(f"no permission for {file}: change its rights or name another place")
