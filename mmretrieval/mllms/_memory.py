"""Work in batches as large as memory allows: the largest first, halved when memory runs out, and remembered.

Between batches is where work can stop, so the time it may take is kept here, too.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import TypeVar

import torch

from mmretrieval.asks import TIME_IS_UP

T = TypeVar("T")

log = logging.getLogger(__name__)

_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


class TimeIsUp(Exception):
    """No result, since its batch would have begun after the deadline; `begun` when a part of its work was done."""

    def __init__(self, *, begun: bool = False) -> None:
        super().__init__(TIME_IS_UP)
        self.begun = begun


class Room:
    """How much goes into one batch, as the largest member's size times their number; only ever shrinks.

    No batch begins at `deadline`, a value of `time.monotonic`, or after it.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.deadline = math.inf

    @property
    def is_closed(self) -> bool:
        """Whether the deadline has passed."""
        return monotonic() >= self.deadline

    def halve(self, tried: int) -> None:
        self.most = max(1, min(self.most, tried) // 2)
        log.warning("memory ran out with a batch of %s; from now on at most %s go together", tried, self.most)


def in_batches(
    sizes: Sequence[int],
    kinds: Sequence[Hashable],
    room: Room,
    run: Callable[[list[int]], Sequence[T]],
) -> list[T | Exception]:
    """`run` on the places 0..n-1 in batches of one kind and like sizes; results, or what was raised, in their order.

    A batch is at most `room.most` when all its members count as much as the largest. When memory runs out the batch is
    halved; a member that does not fit alone gets the error. What has not begun at the room's deadline gets TimeIsUp.
    """
    found: dict[int, T | Exception] = {}
    first_of = {kind: at for at, kind in reversed(list(enumerate(kinds)))}
    waiting = sorted(range(len(sizes)), key=lambda at: (first_of[kinds[at]], -sizes[at], at))
    while waiting:
        if room.is_closed:
            found.update((at, TimeIsUp()) for at in waiting)
            break
        batch = _first(waiting, sizes, kinds, room.most)
        results = _tried(batch, run)
        if len(batch) > 1 and isinstance(results[0], Exception):
            if is_out_of_memory(results[0]):
                room.halve(len(batch) * sizes[batch[0]])
                continue
            results = [result for at in batch for result in _tried([at], run)]  # so that one does not spoil the others
        found.update(zip(batch, results, strict=True))
        waiting = waiting[len(batch) :]
    return [found[at] for at in range(len(sizes))]


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or the computer, had no room."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def _first(waiting: list[int], sizes: Sequence[int], kinds: Sequence[Hashable], most: int) -> list[int]:
    lead = waiting[0]
    fit = max(1, most // max(1, sizes[lead]))
    batch = []
    for at in waiting[:fit]:
        if kinds[at] != kinds[lead]:
            break
        batch.append(at)
    return batch


def _tried(batch: list[int], run: Callable[[list[int]], Sequence[T]]) -> Sequence[T | Exception]:
    """The results, or for each member what was raised."""
    try:
        return run(batch)
    except Exception as error:  # noqa: BLE001 - models are foreign code; each ask of the batch tells it
        failed = error
    if is_out_of_memory(failed):
        failed = failed.with_traceback(None)  # its frames hold on to what should be freed
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return [failed] * len(batch)
