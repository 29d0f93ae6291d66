"""A long call in a thread of its own, which tells how far it is and can be asked to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

Told = TypeVar("Told")
Result = TypeVar("Result")

Call = Callable[[Callable[[Told], None], Callable[[], bool]], Result]


class Work(Generic[Told, Result]):
    """Runs `call(tell, stopped)` in the background from the moment it is made.

    `call` reports through `tell` and should end soon once `stopped()` is true. Any number of threads may watch it.
    """

    def __init__(self, call: Call[Told, Result]) -> None:
        self._changed = Condition()
        self._count = 0  # of what was told so far
        self._latest: list[Told] = []  # the last of it
        self._result: list[Result] = []
        self._error: BaseException | None = None
        self._stop = self._stopped = self._over = False
        Thread(target=self._run, args=(call,), daemon=True).start()

    @property
    def is_over(self) -> bool:
        return self._over

    @property
    def was_stopped(self) -> bool:
        """Whether it was asked to end before it had ended by itself."""
        return self._stopped

    def stop(self) -> None:
        """Ask it to end; what it has by then is its result. Stopping twice, or after the end, changes nothing."""
        self._stop = True
        self._stopped = self._stopped or not self._over

    def watch(self, patience: float = 0.2) -> Iterator[Told | None]:
        """The latest it told, whenever there is something new and at least every `patience` seconds, until it ends.

        None as long as it told nothing. What is told faster than it is watched is left out, except for the last.
        """
        seen = -1
        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._over or self._count != seen, patience)  # type: ignore[misc]
                seen, over = self._count, self._over
                latest = self._latest[0] if self._latest else None
            yield latest
            if over:
                return

    def result(self) -> Result:
        """What the call returned, waited for; raises what it raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._over)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self, call: Call[Told, Result]) -> None:
        try:
            self._result = [call(self._tell, lambda: self._stop)]
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._error = error
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _tell(self, told: Told) -> None:
        with self._changed:
            self._latest, self._count = [told], self._count + 1
            self._changed.notify_all()
