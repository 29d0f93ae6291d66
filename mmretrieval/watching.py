"""Looking over a search's shoulder: how far it is, what its model is asked and says, and a word that stops it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval.asks import MLLM, STOPPED, Ask, Attend, Attention, ChoiceScores, Failed, Generate, Reply, ScoreChoices
from mmretrieval.driver import Listener
from mmretrieval.types import Hit

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one query is in one stage: `done` of at most `planned` asks have their reply.

    It is told when a stage begins, whenever replies came, and when it `ended`. `order()` gives the hits that stopping
    now would give. While a stage asks, that runs its method again over the replies so far, which costs about what
    opening the pictures of the candidates does: call it where somebody looks, and within the callback only.
    """

    query_id: str
    stage: str
    done: int
    planned: int
    order: Callable[[], tuple[Hit, ...]]
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """One ask of a stage as the model got it, with its pictures, and the reply."""

    query_id: str
    stage: str
    ask: Ask
    reply: Reply

    @property
    def prompt(self) -> str:
        """The words of the ask, with a mark where a picture stands."""
        numbers = iter(range(1, len(self.ask.parts) + 1))
        said = [part if isinstance(part, str) else f"[picture {next(numbers)}]" for part in self.ask.parts]
        begun = [self.ask.prefill] if isinstance(self.ask, ScoreChoices) and self.ask.prefill else []
        return "\n".join([*said, *begun])

    @property
    def pictures(self) -> tuple[Image, ...]:
        """The pictures of the ask, in the order of their marks."""
        return tuple(part for part in self.ask.parts if not isinstance(part, str))

    @property
    def said(self) -> str:
        """The reply in words: text as it came, choices with their probabilities, or why there is none."""
        if isinstance(self.reply, Failed):
            return f"no answer: {self.reply.reason}"
        if isinstance(self.reply, ChoiceScores) and isinstance(self.ask, ScoreChoices):
            pairs = zip(self.ask.choices, self.reply.log_probs, strict=True)
            return ", ".join(f"{choice}: {math.exp(log):.3g}" for choice, log in pairs)
        if isinstance(self.reply, Attention):
            return ", ".join(f"[picture {n}]: {mass:.3g}" for n, mass in enumerate(self.reply.masses, start=1))
        assert not isinstance(self.reply, ChoiceScores), "scores answer choices alone"
        return self.reply.text


@dataclass(frozen=True, slots=True)
class Watch:
    """What is called while a search runs, in its own thread; an error in it ends the search.

    `stop` is asked before every stage and between parts of the model's work: once it says True no more is asked, the
    stage at work ends with the replies that it has, later ones are left out, and the ranking's status is "partial".
    As in `Watch(stop=event.is_set, trace=exchanges.append)`.
    """

    progress: Callable[[Progress], None] | None = None
    stop: Callable[[], bool] | None = None
    trace: Callable[[Exchange], None] | None = None

    @property
    def stopped(self) -> bool:
        return self.stop is not None and self.stop()

    def tell(self, progress: Progress) -> None:
        if self.progress is not None:
            self.progress(progress)


NOBODY = Watch()


class Following(Listener):
    """Watches one stage work on many queries: keeps the replies of each, and passes on what is worth telling.

    `planned` are the asks of each query at most; `order` makes the hits of a query out of its replies so far, by the
    number of the ask.
    """

    def __init__(
        self,
        watch: Watch,
        stage: str,
        query_ids: Sequence[str],
        planned: Sequence[int],
        order: Callable[[int, Mapping[int, Reply]], tuple[Hit, ...]],
    ) -> None:
        self._watch, self._stage, self._query_ids, self._order = watch, stage, query_ids, order
        self._planned = planned
        self._replies: list[dict[int, Reply]] = [{} for _ in query_ids]
        self.soon = watch.progress is not None or watch.stop is not None

    @property
    def stopped(self) -> bool:
        return self._watch.stopped

    def begun(self) -> None:
        for flow in range(len(self._query_ids)):
            self._tell(flow)

    def ended(self) -> None:
        for flow in range(len(self._query_ids)):
            self._tell(flow, ended=True)

    def heard(self, flow: int, number: int, ask: Ask, reply: Reply) -> None:
        if self.soon:
            self._replies[flow][number] = reply
        if self._watch.trace is not None:
            self._watch.trace(Exchange(self._query_ids[flow], self._stage, ask, reply))

    def answered(self, flows: Sequence[int]) -> None:
        for flow in flows:
            self._tell(flow)

    def _tell(self, flow: int, *, ended: bool = False) -> None:
        known = self._replies[flow]
        planned = max(self._planned[flow], len(known))
        made = {} if ended else known
        self._watch.tell(
            Progress(
                self._query_ids[flow], self._stage, len(known), planned, lambda: self._order(flow, made), ended=ended
            )
        )


class Heard(MLLM):
    """Stands in for a model that was stopped: gives the replies that came before, by the number of the ask."""

    spec = "heard"
    answers = frozenset({Generate, ScoreChoices, Attend})

    def __init__(self, replies: Mapping[int, Reply]) -> None:
        self._replies = replies
        self._asked = 0

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        first, self._asked = self._asked, self._asked + len(asks)
        return [self._replies.get(number, Failed(STOPPED, asked=False)) for number in range(first, self._asked)]
