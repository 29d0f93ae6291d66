"""One training sequence: pictures, questions and answers as token ids, exactly as the chat template lays them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from mmretrieval.training.vlm_folder import ASSISTANT, END, IMAGE, START, USER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IGNORED = -100  # the target of a token that is given, not learned


@dataclass(slots=True)
class Dialogue:
    """`ids`, what is to be said at each (`targets`), how much it counts (`weights`), and the pictures' features.

    A picture's features are (tokens, width) rows of the tower's map, in reading order.
    """

    encode: Callable[[str], list[int]]
    ids: list[int] = field(default_factory=lambda: [START])
    targets: list[int] = field(default_factory=lambda: [IGNORED])
    weights: list[float] = field(default_factory=lambda: [0.0])
    features: list[NDArray[np.float16]] = field(default_factory=list)

    def user(self) -> None:
        self._given([USER])

    def picture(self, features: NDArray[np.float16]) -> None:
        self._given([IMAGE] * len(features))
        self.features.append(features)

    def words(self, text: str) -> None:
        self._given(self.encode(text))

    def answer(self, text: str, first_weight: float = 1.0) -> None:
        """`first_weight` counts the first token more, where all depends on it."""
        said = [*self.encode(text), END]
        self._said(said, [first_weight] + [1.0] * (len(said) - 1))

    def changed_answer(self, text: str, before: str, weight: float) -> None:
        """An answer whose tokens count `weight` times as much where it leaves the words of `before`."""
        said, old = [*self.encode(text), END], [*self.encode(before), END]
        weights = [1.0] * len(said)
        for kind, _, _, start, stop in SequenceMatcher(None, old, said, autojunk=False).get_opcodes():
            if kind != "equal":  # what was deleted shows in the token that comes instead
                weights[start : max(stop, start + 1)] = [weight] * max(stop - start, 1)
        self._said(said, weights)

    def _said(self, ids: list[int], weights: list[float]) -> None:
        self._given([ASSISTANT])
        self.ids += ids
        self.targets += ids
        self.weights += weights

    def _given(self, ids: list[int]) -> None:
        self.ids += ids
        self.targets += [IGNORED] * len(ids)
        self.weights += [0.0] * len(ids)
