"""How much a run may ask of a language model: calls, seconds and money, never more, from any number of threads.

What is about to be asked is reserved before, at the most that it may cost, and settled after, at what it did cost;
so what is spent and what is under way together never exceed a limit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition

from mmretrieval.errors import UsageError


@dataclass(frozen=True, slots=True)
class Grant:
    """So many asks, from the first on, may be asked now; `reason` says why not one, or not all."""

    count: int
    tokens: int = 0  # reserved for them
    reason: str = ""


class Budget:
    """Limits for all calls of one run; None means without one. Use a new one for every run.

    `max_calls` counts asks that reach the model, answered or not. `max_seconds` runs from the first of them on; what
    is under way then is ended by the model if it can. `max_cost` is in any currency, and needs `price`: what a
    million tokens cost in it, prompt and answer alike, so give the higher of the two. The bound of money is as good
    as `MLLM.tokens_at_most`: a model that takes more tokens than it says there may exceed it by the chunk in hand.
    Raises UsageError for a limit below zero, and for a cost without a price.
    """

    def __init__(
        self,
        max_calls: int | None = None,
        max_seconds: float | None = None,
        max_cost: float | None = None,
        price: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in {"calls": max_calls, "seconds": max_seconds, "cost": max_cost, "price": price}.items():
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"the budget of {name} is {value}: give a number that is not negative")
        if max_cost is not None and price is None:
            raise UsageError(
                "a limit on the cost needs a price, which differs from model to model and from day to day: say with "
                "--price what a million tokens cost"
            )
        self.max_calls, self.max_seconds, self.max_cost, self.price = max_calls, max_seconds, max_cost, price
        self.calls = 0  # spent so far
        self.tokens = 0
        self.clock = clock
        self._began: float | None = None
        self._under_way = 0  # calls and tokens that are reserved
        self._reserved = 0
        self._changed = Condition()

    @property
    def deadline(self) -> float:
        """The moment, by `time.monotonic`, at which the seconds are over; infinity before the first ask."""
        if self.max_seconds is None or self._began is None:
            return math.inf
        return self._began + self.max_seconds

    @property
    def seconds_left(self) -> float:
        """Infinity without a limit; all of them before the first ask."""
        if self.max_seconds is None:
            return math.inf
        return self.max_seconds if self._began is None else max(0.0, self.deadline - self.clock())

    @property
    def cost(self) -> float | None:
        """What the tokens so far cost; None where no price is known."""
        return None if self.price is None else self.tokens * self.price / 1e6

    def grant(self, tokens: Sequence[int]) -> Grant:
        """Reserve for as many asks as fit, from the first on, given the most tokens that each may take.

        Waits for what other threads have under way when that could make room.
        """
        with self._changed:
            if self._began is None:
                self._began = self.clock()
            while True:
                granted = self._fitting(tokens)
                if granted.count or not self._under_way or self.clock() >= self.deadline:
                    self._under_way += granted.count
                    self._reserved += granted.tokens
                    return granted
                self._changed.wait(timeout=min(self.deadline - self.clock(), 60.0))

    def settle(self, grant: Grant, *, calls: int, tokens: int) -> None:
        """What became of a grant: calls that were made, and what they took."""
        with self._changed:
            self._under_way -= grant.count
            self._reserved -= grant.tokens
            self.calls += calls
            self.tokens += tokens
            self._changed.notify_all()

    def _fitting(self, tokens: Sequence[int]) -> Grant:
        if self.clock() >= self.deadline:
            return Grant(0, reason=f"the budget of {self.max_seconds:g} seconds is spent")
        room = len(tokens) if self.max_calls is None else self.max_calls - self.calls - self._under_way
        if room <= 0:
            return Grant(0, reason=f"the budget of {self.max_calls:,} calls is spent")
        count, reserved = 0, 0
        for each in tokens[:room]:
            if not self._affords(self.tokens + self._reserved + reserved + each):
                break
            count, reserved = count + 1, reserved + each
        if count:
            return Grant(count, reserved)
        return Grant(
            0,
            reason=f"the budget of {self.max_cost:g} for a price of {self.price:g} per million tokens is spent, "
            "or would be by the next call",
        )

    def _affords(self, tokens: int) -> bool:
        return self.max_cost is None or self.price is None or tokens * self.price / 1e6 <= self.max_cost
