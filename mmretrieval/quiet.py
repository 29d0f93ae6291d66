"""Keeps Pillow's warnings to itself while pictures are decoded, in one thread or many."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Quiet:
    """Python's warning filters belong to the whole process: all threads inside share one change of them, and the last
    one out takes it back. Were each thread to save and restore them itself, one could restore what another has set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.|mmretrieval\.(images|pixels)$")

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._filters is not None:
                self._filters.__exit__(None, None, None)
                self._filters = None


_quiet = _Quiet()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Pillow's warnings about a picture are no news: what matters becomes the reason of UnreadableImage.

    A run that decodes in threads should hold this in its main thread all along, so that the filters change only twice.
    """
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()
