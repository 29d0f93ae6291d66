"""Where the pictures of an index lie, also after folders were moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmretrieval.errors import NotFound


def find_root(index: Path, meta: Mapping[str, Any], samples: Sequence[str]) -> Path:
    """The first candidate that holds one of the sample paths, else the first that is there.

    Raises NotFound for an index of ready vectors that was told of no pictures.
    """
    if not meta["root"]:
        raise NotFound(f"{index}: was made of ready vectors, so there are no pictures to show")
    candidates = root_candidates(index, meta)
    for candidate in candidates:
        if any((candidate / sample).exists() for sample in samples):
            return candidate
    return next((candidate for candidate in candidates if candidate.is_dir()), candidates[-1])


def root_candidates(index: Path, meta: Mapping[str, Any]) -> list[Path]:
    """Where the pictures may lie: beside the index folder as before, so both can be moved together, else as it was."""
    absolute = Path(meta["root"])
    relative = meta["root_from_index"]
    return [absolute] if relative is None else [(index.resolve() / relative).resolve(), absolute]
