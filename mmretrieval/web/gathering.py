"""Joins searches that wait for each other into one.

A model encodes fifty short texts together in the time of a few single ones, and many queries share one reading of the
vectors. So while one search runs, those that come in meanwhile wait, and the next run takes all of them: a lone
search waits for nothing, and a busy server does in one run what it would else do in many.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

Job = TypeVar("Job")
Found = TypeVar("Found")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Job, Found]):
    """A job in line; once woken it is served, or is the one to serve the line."""

    job: Job
    woken: Event = field(default_factory=Event)
    found: list[Found] = field(default_factory=list)
    error: Exception | None = None

    @property
    def is_served(self) -> bool:
        return bool(self.found) or self.error is not None

    def answer(self) -> Found:
        if self.error is not None:
            raise self.error
        return self.found[0]


class Gathering(Generic[Job, Found]):
    """Runs jobs of many threads, together where they came while another run was under way.

    `run` gets a key and the jobs of that key, and gives one answer each, in order. Jobs of one key run one after the
    other, jobs of different keys beside each other.
    """

    def __init__(self, run: Callable[[Hashable, Sequence[Job]], Sequence[Found]], most: int = 64) -> None:
        """`most` bounds the jobs of one run, and so how long the first of them waits for the last."""
        self._run = run
        self._most = most
        self._lines: dict[Hashable, list[_Waiting[Job, Found]]] = {}  # only keys that are running have a line
        self._door = Lock()

    def __call__(self, key: Hashable, job: Job) -> Found:
        """The answer to the job, in the caller's thread. An error is that of this job alone, whoever it ran with."""
        own: _Waiting[Job, Found] = _Waiting(job)
        with self._door:
            is_first = key not in self._lines
            self._lines.setdefault(key, []).append(own)
        if not is_first:
            own.woken.wait()
        if not own.is_served:
            self._lead(key)
        return own.answer()

    def _lead(self, key: Hashable) -> None:
        """Serve those in line, and leave the lead to the first who came meanwhile."""
        with self._door:
            line = self._lines[key]
            together = line[: self._most]
            del line[: self._most]
        try:
            self._serve(key, together)
        finally:
            with self._door:
                successor = line[0] if line else None
                if successor is None:
                    del self._lines[key]
            for one in together if successor is None else [*together, successor]:
                one.woken.set()

    def _serve(self, key: Hashable, together: Sequence[_Waiting[Job, Found]]) -> None:
        try:
            answers = self._run(key, [one.job for one in together])
            for one, found in zip(together, answers, strict=True):
                one.found.append(found)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again in the thread it belongs to
            if len(together) == 1:
                together[0].error = error
                return
            for one in together:
                one.found.clear()
                self._serve(key, [one])
