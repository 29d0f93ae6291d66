"""Work done a little ahead in threads, handed out in order: decoding the next pictures while the encoder works."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 8


def look_ahead(
    items: Iterable[Item], work: Callable[[Item], Result], window: int, threads: int | None = None
) -> Generator[tuple[Item, Result], None, None]:
    """Yields (item, work(item)) in the order of the items; at most `window` results wait, so memory is bounded.

    An exception of `work` is raised when its item's turn comes. Closing the generator waits for what runs only.
    """
    threads = threads or min(MOST_THREADS, os.cpu_count() or 1)
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="look-ahead")
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= max(window, 1):
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
