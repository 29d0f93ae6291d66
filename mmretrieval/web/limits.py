"""How much one server does at once, and for one visitor: searches, waiting visitors, requests, uploads, calls."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from mmretrieval.errors import MMRetrievalError

_LOOK = 0.1  # seconds after which somebody who waits is asked whether it still matters
_REMEMBERED = 10_000  # visitors; the ones that came longest ago are forgotten first


class Busy(MMRetrievalError):
    """More was asked for than the server does at once; `seconds` later it is worth another try."""

    exit_code: ClassVar[int] = 6

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


def _cores() -> int:
    return max(2, os.cpu_count() or 2)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server. Requests are those of one visitor (address), and a burst may come at once.

    `searches` run at once, and `model_searches` of those that ask a language model in this process, `server_searches`
    where it is behind a server; `waiting` more may wait for `patience` seconds. `model_calls` and `model_seconds` hold
    for each search. Uploads are in bytes and pixels each, and all that are kept together are at most `uploads_kept`
    bytes.
    """

    searches: int = field(default_factory=_cores)
    model_searches: int = 1
    server_searches: int = 8
    waiting: int = 256
    patience: float = 60.0
    requests_per_second: float = 50.0
    burst: int = 400
    model_calls: int = 400
    model_seconds: float = 600.0
    upload_bytes: int = 20 * 2**20
    upload_pixels: int = 60_000_000
    upload_seconds: float = 30.0
    uploads_kept: int = 256 * 2**20


class Gate:
    """Lets so many in at once, and so many more wait for a while; the others are told that it is busy."""

    def __init__(self, slots: int, waiting: int, patience: float) -> None:
        self._slots = threading.Semaphore(slots)
        self._room, self._patience = slots + waiting, patience
        self._present = 0
        self._lock = threading.Lock()

    @property
    def present(self) -> int:
        """How many are inside or wait."""
        return self._present

    @contextmanager
    def entered(self, stopped: Callable[[], bool] | None = None) -> Iterator[None]:
        """Waits for a slot; raises Busy when too many wait already, or for too long.

        Once `stopped` says True it waits no more, and goes in: whoever stops a search wants what there is at once.
        """
        with self._lock:
            if self._present >= self._room:
                raise Busy(f"the server is busy with {self._present} searches: try again in a few seconds", 5)
            self._present += 1
        try:
            has_slot = self._waited(stopped)
            try:
                yield
            finally:
                if has_slot:
                    self._slots.release()
        finally:
            with self._lock:
                self._present -= 1

    def _waited(self, stopped: Callable[[], bool] | None) -> bool:
        """Whether there is a slot at last; False for one that was stopped."""
        if stopped is None:
            if self._slots.acquire(timeout=self._patience):
                return True
        else:
            end = time.monotonic() + self._patience
            while time.monotonic() < end:
                if stopped():
                    return False
                if self._slots.acquire(timeout=_LOOK):
                    return True
        raise Busy(f"the server was busy for {self._patience:g} seconds: try again in a while", 30)


class Rate:
    """A bucket of tokens for each visitor: `burst` requests at once, then so many per second."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # what was left, and when
        self._lock = threading.Lock()

    def take(self, visitor: str) -> float:
        """0 when the request may pass, else the seconds until one may."""
        now = self._clock()
        with self._lock:
            left, before = self._buckets.pop(visitor, (float(self._burst), now))
            left = min(float(self._burst), left + (now - before) * self._per_second)
            wait = 0.0 if left >= 1 else (1 - left) / self._per_second
            self._buckets[visitor] = (left if wait else left - 1, now)
            while len(self._buckets) > _REMEMBERED:
                del self._buckets[next(iter(self._buckets))]
        return wait
