"""What a method may want from a multimodal language model, and what comes back.

A method never calls a model: it yields asks and receives one reply for each, in order. Whether an ask was served
from a cache is told by the reply. An ask may carry a short form of its question, `compact`, for small models.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import local
from typing import TYPE_CHECKING, Any

from mmretrieval.errors import MMRetrievalError
from mmretrieval.protocols import Extension

if TYPE_CHECKING:
    from PIL.Image import Image

    Part = str | Image


@dataclass(frozen=True, slots=True)
class Generate:
    """Free text in answer to words and pictures, in the order given. `schema` asks for JSON of that shape."""

    parts: tuple[Part, ...]
    max_tokens: int = 256
    schema: Mapping[str, Any] | None = None
    compact: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreChoices:
    """One log-probability per choice, as the next thing the model would say after the parts.

    `prefill` is how its answer has begun already, as in "[" before a label.
    """

    parts: tuple[Part, ...]
    choices: tuple[str, ...]
    prefill: str = ""
    compact: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Attend:
    """The attention mass the model puts on each picture among the parts. In-process models only."""

    parts: tuple[Part, ...]
    compact: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """Answer to Generate; tokens count prompt and answer together. `cut` when it ended at `max_tokens`."""

    text: str
    tokens: int = 0
    cached: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceScores:
    """Answer to ScoreChoices: natural log-probabilities in the order of the choices, larger is likelier.

    `bounded` choices were not among those a server returned; they carry an upper bound instead. `in_words` when the
    model could only be asked to name one choice: it carries 0 and each other one log(1/2), bounds that tell no more
    than which one was named, and all are counted as bounded.
    """

    log_probs: tuple[float, ...]
    tokens: int = 0
    cached: bool = False
    bounded: int = 0
    in_words: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """Answer to Attend: one non-negative mass per picture, in the order of the parts."""

    masses: tuple[float, ...]
    tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no answer to this ask, and why. `asked` is False where no model was asked, as when a budget is spent."""

    reason: str
    tokens: int = 0
    cached: bool = False
    asked: bool = True


Ask = Generate | ScoreChoices | Attend
Reply = Text | ChoiceScores | Attention | Failed


TIME_IS_UP = "the time for it was up"  # why an ask is failed at a deadline
STOPPED = "the search was stopped"  # why one is failed that nobody waits for any more


class MLLM(Extension, ABC):
    """A multimodal language model. `answers` names the kinds of ask it can serve, `compact` says that it is small.

    `spec` is the name a user gave, as in "demo" or "openai:qwen3-vl@http://127.0.0.1:8000/v1". `at_once` is how many
    asks it likes to be given in one call; what it has answered by then is kept, so small is safe and large is quick.
    """

    spec: str
    answers: frozenset[type[Generate] | type[ScoreChoices] | type[Attend]]
    compact: bool = False
    at_once: int = 16

    @property
    def deadline(self) -> float:
        """When to end, a value of `time.monotonic`, for what this thread asks; infinity unless it was set.

        Set by whoever asks: a model that can stop early fails what is left over then, with `asked=False` where it never
        began.
        """
        moment: float = getattr(self.__dict__.get("_of_thread"), "deadline", math.inf)
        return moment

    @deadline.setter
    def deadline(self, moment: float) -> None:
        self.__dict__.setdefault("_of_thread", local()).deadline = moment

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """JSON-ready facts that pin its replies: two models with equal ones answer alike."""
        return {"spec": self.spec}

    @abstractmethod
    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply per ask, same length, same order; a failed ask gets `Failed`, never an exception."""

    def replies(self, asks: Sequence[Ask], *, soon: bool = False) -> Iterator[Mapping[int, Reply]]:  # noqa: ARG002
        """The replies in parts as they come, each by the place of its ask; here all in one part.

        With `soon` the parts are to be short, since somebody watches, or may stop asking. What has not been taken from
        the iterator was not asked.
        """
        given = self.answer(asks)
        if len(given) != len(asks):
            raise MMRetrievalError(f"the model '{self.spec}' gave {len(given)} replies to {len(asks)} asks")
        yield dict(enumerate(given))

    def tokens_at_most(self, ask: Ask) -> int:
        """As many tokens as the ask may cost, prompt and answer together; for budgets, so rather too many than too few.

        Here: a token per byte of text, one per 14 by 14 pixels of a picture and at least 600, and the whole answer.
        """
        words = sum(len(part.encode("utf-8")) for part in ask.parts if isinstance(part, str))
        pictures = sum(max(part.width * part.height // 196, 600) for part in ask.parts if not isinstance(part, str))
        answer = ask.max_tokens if isinstance(ask, Generate) else 1
        return 100 + words + pictures + answer  # 100 for the marks of a chat template

    def close(self) -> None:
        """Free what it holds; a closed model answers nothing."""


def fitted(ask: Ask, model: MLLM) -> Ask:
    """The ask in the form that suits the model: its short form for a small one, if it has one.

    A short form is answered from its first word on and in plain words, without the prefill and the JSON that belong to
    the full one.
    """
    if not (model.compact and ask.compact):
        return replace(ask, compact=())
    if isinstance(ask, ScoreChoices):
        return replace(ask, parts=ask.compact, compact=(), prefill="")
    if isinstance(ask, Generate):
        return replace(ask, parts=ask.compact, compact=(), schema=None)
    return replace(ask, parts=ask.compact, compact=())


_REPLY_OF: dict[type[Ask], type[Reply]] = {Generate: Text, ScoreChoices: ChoiceScores, Attend: Attention}


def answering(ask: Ask, reply: Reply) -> Reply:
    """The reply, or `Failed` when it is not an answer to this ask."""
    if isinstance(reply, Failed):
        return reply
    if not isinstance(reply, _REPLY_OF[type(ask)]):
        return Failed(f"{type(reply).__name__} is no answer to {type(ask).__name__}")
    if isinstance(ask, ScoreChoices) and isinstance(reply, ChoiceScores) and len(reply.log_probs) != len(ask.choices):
        return Failed(f"{len(reply.log_probs)} scores came back for {len(ask.choices)} choices", reply.tokens)
    if isinstance(reply, ChoiceScores) and any(math.isnan(log) for log in reply.log_probs):
        return Failed("scores came back that are no numbers", reply.tokens)
    if isinstance(ask, Attend) and isinstance(reply, Attention):
        pictures = sum(not isinstance(part, str) for part in ask.parts)
        if len(reply.masses) != pictures:
            return Failed(f"{len(reply.masses)} masses came back for {pictures} pictures", reply.tokens)
    return reply
