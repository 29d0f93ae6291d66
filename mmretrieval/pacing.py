"""How many asks to give a model at once while somebody waits: few where it is slow, many where many cost no more."""

from __future__ import annotations

import math

PATIENCE = 1.0  # seconds that a step may take, so that a stop is soon felt
_GAIN = 0.75  # a larger step is worth its wait when an ask takes less than this share of what it took in a smaller one


class Steps:
    """The `size` of the next step: 1, 2, 4 and so on, at last `most`.

    It grows while steps are shorter than PATIENCE, or while an ask takes less time the more there are together, as with
    a server that works on many at once. A model in this machine that takes seconds an ask is so asked one by one.
    """

    def __init__(self, most: int) -> None:
        self._sizes = [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]
        self._each = [math.inf] * len(self._sizes)  # seconds an ask took in a step of each size; infinity if not known
        self._at = 0

    @property
    def size(self) -> int:
        return self._sizes[self._at]

    def took(self, count: int, seconds: float) -> None:
        """A step of so many asks has taken so long; one of another size than this teaches nothing."""
        at = self._at
        if count != self._sizes[at]:
            return
        self._each[at] = seconds / count
        if not (seconds < PATIENCE or self._gains(at)):
            self._at = at - 1
        elif seconds < PATIENCE or self._gains(at + 1):
            self._at = min(at + 1, len(self._sizes) - 1)

    def _gains(self, at: int) -> bool:
        """Whether a step of that size is worth more than the one before it; one that was never tried may be."""
        if at in (0, len(self._sizes)):
            return at == 0
        return self._each[at] == math.inf or self._each[at] < _GAIN * self._each[at - 1]
