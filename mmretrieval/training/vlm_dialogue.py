"""One training sequence: pictures, questions and answers as token ids, exactly as the chat template lays them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from mmretrieval.training.vlm_folder import ASSISTANT, END, IMAGE, START, USER
from mmretrieval.training.vlm_hints import NOWHERE, Hint, Kind
from mmretrieval.training.vlm_things import named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmretrieval.demo.scenes import Scene

IGNORED = -100  # the target of a token that is given, not learned


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text among a dialogue's tokens: the place of its first, and where each ends in the text, in characters."""

    start: int
    ends: Sequence[int]

    def last(self, end: int) -> int:
        """The token that holds the text's character before `end`."""
        return self.start + next(number for number, stop in enumerate(self.ends) if stop >= end)

    def within(self, start: int, end: int) -> range:
        """The tokens of the characters from `start` to `end`."""
        return range(self.last(start + 1), self.last(end) + 1)


@dataclass(slots=True)
class Dialogue:
    """`ids`, what is to be said at each (`targets`), how much it counts (`weights`), and the pictures' features.

    A picture's features are (tokens, width) rows of the tower's map, in reading order. `encode` gives the ids of a text
    and where each ends in it, in characters. `hints` tell heads where to look.
    """

    encode: Callable[[str], tuple[list[int], list[int]]]
    ids: list[int] = field(default_factory=lambda: [START])
    targets: list[int] = field(default_factory=lambda: [IGNORED])
    weights: list[float] = field(default_factory=lambda: [0.0])
    features: list[NDArray[np.float16]] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)

    def user(self) -> None:
        self._given([USER])

    def picture(self, features: NDArray[np.float16]) -> None:
        self._given([IMAGE] * len(features))
        self.features.append(features)

    def words(self, text: str) -> Spoken:
        ids, ends = self.encode(text)
        self._given(ids)
        return Spoken(len(self.ids) - len(ids), ends)

    def words_about(self, text: str, scene: Scene, *, single: bool = False) -> Spoken:
        """Words with hints for every thing they name: where the first picture here, of that scene, shows it.

        With `single` the answer that comes next is read off the last name.
        """
        spoken = self.words(text)
        mentions = named(text, scene)
        for mention in mentions:
            self.look(spoken.last(mention.end), mention.where)
        if single and mentions:
            self.hints.append(Hint("read", len(self.ids), (spoken.last(mentions[-1].end),)))
        return spoken

    def look(self, at: int, where: Sequence[int], kinds: Sequence[Kind] = ("look", "find")) -> None:
        """From token `at`, heads of these kinds look at these tokens of the first picture's map, or, without any, at
        the start. What was said of the token before is forgotten.
        """
        picture = self.ids.index(IMAGE)
        to = tuple(picture + token for token in where) or NOWHERE
        self.hints = [hint for hint in self.hints if hint.at != at or hint.kind not in kinds]
        self.hints += [Hint(kind, at, to) for kind in kinds]

    def inventory(self, entries: Sequence[tuple[str, str]], scene: Scene, first_weight: float) -> None:
        """Each name is given, and what there is to say of it has to be said."""
        self._given([ASSISTANT])
        for name, said in entries:
            self.words_about(name, scene)
            ids = self._ids(said)
            self._said(ids, [first_weight] + [1.0] * (len(ids) - 1))
        self._said([END], [1.0])

    def answer(self, text: str, first_weight: float = 1.0) -> None:
        """`first_weight` counts the first token more, where all depends on it."""
        said = [*self._ids(text), END]
        self._given([ASSISTANT])
        self._said(said, [first_weight] + [1.0] * (len(said) - 1))

    def changed_answer(self, text: str, before: str, weight: float) -> Spoken:
        """An answer whose tokens count `weight` times as much where it leaves the words of `before`."""
        ids, ends = self.encode(text)
        said, old = [*ids, END], [*self._ids(before), END]
        weights = [1.0] * len(said)
        for kind, _, _, start, stop in SequenceMatcher(None, old, said, autojunk=False).get_opcodes():
            if kind != "equal":  # what was deleted shows in the token that comes instead
                weights[start : max(stop, start + 1)] = [weight] * max(stop - start, 1)
        self._given([ASSISTANT])
        self._said(said, weights)
        return Spoken(len(self.ids) - len(said), ends)

    def expect(self, at: int, text: str, weight: float) -> None:
        """What is to be thought of at the token `at`, which is not said: the first token of `text`."""
        self.targets[at + 1], self.weights[at + 1] = self._ids(text)[0], weight

    def _said(self, ids: list[int], weights: list[float]) -> None:
        self.ids += ids
        self.targets += ids
        self.weights += weights

    def _ids(self, text: str) -> list[int]:
        return self.encode(text)[0]

    def _given(self, ids: list[int]) -> None:
        self.ids += ids
        self.targets += [IGNORED] * len(ids)
        self.weights += [0.0] * len(ids)
