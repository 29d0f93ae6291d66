"""From asks to replies: prompts, rows, batches, answers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval.asks import Ask, Attend, Attention, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text
from mmretrieval.errors import InvalidData, MMRetrievalError
from mmretrieval.mllms._answering import generate, score
from mmretrieval.mllms._attending import attend
from mmretrieval.mllms._chat import Chat, pictures_in
from mmretrieval.mllms._choices import Plan, plan
from mmretrieval.mllms._head import Head
from mmretrieval.mllms._loaded import Loaded
from mmretrieval.mllms._memory import Room, TimeIsUp, is_out_of_memory
from mmretrieval.mllms._pixel_budget import shrunk
from mmretrieval.mllms._rows import Row
from mmretrieval.mllms._trial import choose

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    """An ask that is fit to be answered, and its place among the others."""

    at: int
    ask: Ask
    text: str
    row: Row


class Serving:
    """A loaded model with all it needs to answer. Not safe for several threads at once."""

    def __init__(
        self, loaded: Loaded, most_pixels: Callable[[int], int], *, thinking: bool, batch_tokens: int, keep_bytes: int
    ) -> None:
        """`most_pixels` tells the size of each of so many pictures of one ask."""
        self._loaded = loaded
        self._most_pixels = most_pixels
        self._chat = Chat(loaded.processor, loaded.shown, thinking=thinking)
        self._head = Head(loaded)
        self._rows = choose(loaded, self._chat, self._head, keep_bytes)
        self._room = Room(batch_tokens)

    @property
    def reuses_pictures(self) -> bool:
        return self._rows.pictures is not None

    @property
    def pictures_computed(self) -> int | None:
        """How many pictures went through the vision tower; None where that is not counted."""
        return self._rows.pictures.computed if self._rows.pictures else None

    @property
    def batch_tokens(self) -> int:
        """How many tokens go into one batch; less than at first once memory has run out."""
        return self._room.most

    def answer(self, asks: Sequence[Ask], deadline: float = math.inf) -> list[Reply]:
        """One reply per ask, in their order; no batch begins after `deadline`, a value of `time.monotonic`."""
        self._room.deadline = deadline
        if self._rows.pictures is not None:
            self._rows.pictures.room.deadline = deadline
        replies: list[Reply] = [Failed(f"it does not answer {type(ask).__name__}") for ask in asks]
        jobs = self._prepared(asks, replies)
        for kind, serve in ((ScoreChoices, self._score), (Generate, self._generate), (Attend, self._attend)):
            own = [job for job in jobs if isinstance(job.ask, kind)]
            for job, reply in zip(own, serve(own), strict=True):
                replies[job.at] = reply
        return replies

    def _prepared(self, asks: Sequence[Ask], replies: list[Reply]) -> list[_Job]:
        """The asks that can be answered; for the others a reply says why not."""
        rendered: list[tuple[int, str, list[Image]]] = []
        for at, ask in enumerate(asks):
            try:
                rendered.append((at, self._text(ask), self._pictures(ask)))
            except Exception as error:  # noqa: BLE001 - templates and pictures are foreign; the ask tells it
                replies[at] = _failed(error)
        rows = self._rows.make([(text, pictures) for _, text, pictures in rendered])
        jobs = []
        for (at, text, _), row in zip(rendered, rows, strict=True):
            if isinstance(row, Exception):
                replies[at] = _failed(row)
            elif (too_long := self._too_long(asks[at], row)) is not None:
                replies[at] = too_long
            else:
                jobs.append(_Job(at, asks[at], text, row))
        return jobs

    def _text(self, ask: Ask) -> str:
        if not ask.parts:
            raise InvalidData("the ask is empty")
        prefill = ask.prefill if isinstance(ask, ScoreChoices) else ""
        return self._chat.render(ask.parts, prefill, answer_now=not isinstance(ask, Generate))

    def _pictures(self, ask: Ask) -> list[Image]:
        pictures = pictures_in(ask.parts)
        return [shrunk(picture, self._most_pixels(len(pictures))) for picture in pictures]

    def _too_long(self, ask: Ask, row: Row) -> Failed | None:
        """Why there is no room for an answer; one that is longer than the room is cut, and told so."""
        if isinstance(ask, Generate) and ask.max_tokens < 1:
            return Failed(f"max_tokens is {ask.max_tokens}, and an answer needs at least 1")
        if len(row.ids) + isinstance(ask, Generate) <= self._loaded.context:
            return None
        return Failed(
            f"the prompt has {len(row.ids):,} tokens, and the model takes {self._loaded.context:,} in all: show "
            "fewer or smaller pictures"
        )

    def _score(self, jobs: Sequence[_Job]) -> list[Reply]:
        plans = [self._plan(job) for job in jobs]
        fit = [(job, own) for job, own in zip(jobs, plans, strict=True) if isinstance(own, Plan)]
        done = iter(score(self._rows, self._head, self._room, [job.row for job, _ in fit], [own for _, own in fit]))
        results = [next(done) if isinstance(own, Plan) else own for own in plans]
        return [_failed(one) if isinstance(one, Exception) else ChoiceScores(one[0], one[1]) for one in results]

    def _plan(self, job: _Job) -> Plan | Exception:
        assert isinstance(job.ask, ScoreChoices)
        try:
            return plan(job.ask.choices, job.ask.prefill, lambda choice: self._behind(job, choice))
        except Exception as error:  # noqa: BLE001 - tokenizers are foreign code; the ask tells it
            return error

    def _behind(self, job: _Job, choice: str) -> list[int]:
        """A choice's tokens: behind a prefill as they stand there, else as a new answer begins."""
        assert isinstance(job.ask, ScoreChoices)
        if job.ask.prefill:
            before = self._rows.tokens(job.text, alone=False)
            both = self._rows.tokens(job.text + choice, alone=False)
            if both[: len(before)] == before:
                return both[len(before) :]
        return self._rows.tokens(choice)

    def _generate(self, jobs: Sequence[_Job]) -> list[Reply]:
        room = [self._loaded.context - len(job.row.ids) for job in jobs]
        most = [
            min(job.ask.max_tokens, left) for job, left in zip(jobs, room, strict=True) if isinstance(job.ask, Generate)
        ]
        done = generate(self._loaded, self._rows, self._room, [job.row for job in jobs], most)
        return [
            _failed(one) if isinstance(one, Exception) else self._said(job, *one)
            for job, one in zip(jobs, done, strict=True)
        ]

    def _attend(self, jobs: Sequence[_Job]) -> list[Reply]:
        if self._rows.pictures is None:
            return [Failed("this model's pictures cannot be told apart among its tokens") for _ in jobs]
        done = attend(self._loaded, self._rows, self._room, [job.row for job in jobs])
        return [
            _failed(one) if isinstance(one, Exception) else Attention(one, len(job.row.ids))
            for job, one in zip(jobs, done, strict=True)
        ]

    def _said(self, job: _Job, tokens: list[int], cut: bool) -> Text:
        raw = self._loaded.tokenizer.decode(tokens, skip_special_tokens=False)
        return Text(self._chat.answer_in(raw, job.text), len(job.row.ids) + len(tokens), cut=cut)


def _failed(error: Exception) -> Failed:
    """The error as a reason, in one line."""
    if isinstance(error, TimeIsUp):
        return Failed(str(error), asked=error.begun)
    log.debug("an ask failed", exc_info=error)
    if is_out_of_memory(error):
        return Failed("memory ran out with this ask alone: show fewer or smaller pictures, or use a smaller model")
    first = (str(error).strip() or "no reason given").splitlines()[0]
    return Failed(first if isinstance(error, MMRetrievalError) else f"{type(error).__name__}: {first}")
