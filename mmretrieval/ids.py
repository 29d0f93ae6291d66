"""Ids of pictures that were found in a folder: their path without its ending, made fit for run files."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence


def is_fit(record_id: str) -> bool:
    """Whether an id can stand in a run file, where columns are told apart by spaces and rows by line ends."""
    if record_id.isascii():  # the usual case, told without looking at each letter
        return record_id.isprintable() and " " not in record_id and bool(record_id)
    return bool(record_id) and not any(_is_blank(letter) for letter in record_id)


def propose(paths: Sequence[str], everything: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """An id for each of the `paths`, in their order.

    It is the path without its ending, or with it where another path in `everything` differs only there; blanks and
    control characters become "_". What is `taken`, also by an earlier path, is followed by "~2", "~3" and so on.
    """
    stems = Counter(_stem(path) for path in everything)
    used = set(taken)
    ids: dict[str, str] = {}
    for path in paths:
        stem = _stem(path)
        wanted = "".join("_" if _is_blank(letter) else letter for letter in (path if stems[stem] > 1 else stem))
        number, free = 2, wanted
        while free in used:
            number, free = number + 1, f"{wanted}~{number}"
        used.add(free)
        ids[path] = free
    return ids


def _stem(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return folder + slash + (stem if dot and stem else name)


def _is_blank(letter: str) -> bool:
    return letter.isspace() or unicodedata.category(letter) == "Cc"
