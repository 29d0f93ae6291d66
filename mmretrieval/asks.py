"""What a method may want from a multimodal language model, and what comes back.

A method never calls a model: it yields asks and receives one reply for each, in order. A model is anything that
has `answer`. Whether an ask was served from a cache is told by the reply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

    Part = str | Image


@dataclass(frozen=True, slots=True)
class Generate:
    """Free text in answer to words and pictures, in the order given. `schema` asks for JSON of that shape."""

    parts: tuple[Part, ...]
    max_tokens: int = 256
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ScoreChoices:
    """One log-probability per choice, as the next thing the model would say after the parts."""

    parts: tuple[Part, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attend:
    """The attention mass the model puts on each picture among the parts. In-process models only."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Answer to Generate; tokens count prompt and answer together."""

    text: str
    tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ChoiceScores:
    """Answer to ScoreChoices: natural log-probabilities in the order of the choices, larger is likelier."""

    log_probs: tuple[float, ...]
    tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """Answer to Attend: one non-negative mass per picture, in the order of the parts."""

    masses: tuple[float, ...]
    tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The model gave no answer to this ask, and why."""

    reason: str
    tokens: int = 0
    cached: bool = False


Ask = Generate | ScoreChoices | Attend
Reply = Text | ChoiceScores | Attention | Failed


class MLLM(Protocol):
    """A multimodal language model. `answers` names the kinds of ask it can serve."""

    name: str
    answers: frozenset[type[Generate] | type[ScoreChoices] | type[Attend]]

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply per ask, same length, same order; a failed ask gets `Failed`, never an exception."""
        ...
