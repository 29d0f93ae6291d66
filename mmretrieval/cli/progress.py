"""How far a long command is, on stderr: a bar in a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

SECONDS_BETWEEN_LINES = 15.0


class Bar:
    """A context manager that is told how many of how many are done; the first line without a terminal comes late."""

    def __init__(self, what: str) -> None:
        self._what = what
        # of the first call: neither loading a model nor what an earlier run has done is part of the estimate; when
        # less is done than at first, another count has begun
        self._began = self._said = self._first = 0.0
        self._rich: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()

    def __call__(self, done: float, total: float) -> None:
        """Show that `done` of `total` are finished; a total of 0 is not known yet, and nothing is shown."""
        if not total:
            return
        if not self._began or done < self._first:
            self._began = self._said = time.monotonic()
            self._first = done
        if sys.stderr.isatty():
            self._draw(done, total)
        else:
            self._say(done, total)

    def _draw(self, done: float, total: float) -> None:
        if self._rich is None:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
                progress.TimeElapsedColumn(),
                progress.TextColumn("left"),
                progress.TimeRemainingColumn(),
            )
            self._rich = progress.Progress(*columns, console=Console(stderr=True))
            self._task = self._rich.add_task(self._what, total=total)
            self._rich.start()
        self._rich.update(self._task, completed=done, total=total)

    def _say(self, done: float, total: float) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS_BETWEEN_LINES or done <= self._first:
            return
        left = (now - self._began) / (done - self._first) * (total - done)
        sys.stderr.write(f"{self._what}: {done:.0f} of {total:.0f}, about {left:.0f} s left\n")
        sys.stderr.flush()
        self._said = now


class Bars:
    """A bar after the other, for work in several parts: told the part, and how much of it is done."""

    def __init__(self) -> None:
        self._part = ""
        self._open = ExitStack()
        self._bar = Bar("")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __call__(self, part: str, done: float, total: float) -> None:
        """Show that `done` of `total` of this part are finished."""
        if part != self._part:
            self._open.close()
            self._part, self._bar = part, self._open.enter_context(Bar(part))
        self._bar(done, total)
