"""How far a long command is, on stderr: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

SECONDS_BETWEEN_LINES = 15.0


class Bar:
    """A context manager that is told how many of how many are done; the first line without a terminal comes late."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._said = time.monotonic()
        self._rich: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are finished."""
        if sys.stderr.isatty():
            self._draw(done, total)
        else:
            self._say(done, total)

    def _draw(self, done: int, total: int) -> None:
        if self._rich is None:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeElapsedColumn(),
                progress.TextColumn("left"),
                progress.TimeRemainingColumn(),
            )
            self._rich = progress.Progress(*columns, console=Console(stderr=True))
            self._task = self._rich.add_task(self._what, total=total)
            self._rich.start()
        self._rich.update(self._task, completed=done, total=total)

    def _say(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS_BETWEEN_LINES or not done:
            return
        left = (now - self._began) / done * (total - done)
        sys.stderr.write(f"{self._what}: {done} of {total}, about {left:.0f} s left\n")
        sys.stderr.flush()
        self._said = now
