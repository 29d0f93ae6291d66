"""A model behind any server that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from threading import Lock
from time import monotonic
from typing import Any

from mmretrieval.asks import MLLM, TIME_IS_UP, Ask, Failed, Generate, Reply, ScoreChoices, Text
from mmretrieval.errors import MMRetrievalError, UsageError
from mmretrieval.mllms._background_loop import BackgroundLoop
from mmretrieval.mllms._openai_abilities import Abilities, Talk, json_format
from mmretrieval.mllms._openai_address import key_in, parse_address
from mmretrieval.mllms._openai_answers import said
from mmretrieval.mllms._openai_http import NoAnswer, Patience, Refused, Server
from mmretrieval.mllms._openai_messages import messages
from mmretrieval.mllms._openai_scoring import WORDS, score
from mmretrieval.mllms._openai_secrets import excerpt
from mmretrieval.mllms._openai_sheets import Sheets

log = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"


class OpenAI(MLLM):
    """A model behind a server that speaks OpenAI's protocol: vLLM, llama.cpp, `transformers serve`, a hosted one.

    Nothing is sent before the first ask. The first ones bring up to four requests of one token, which find out what the
    server can do: log-probabilities of any token (vLLM), of the 20 likeliest, or none, in which case the model is asked
    to name a choice and the reply says `in_words`; a switch for thoughts, which is off; JSON schemas. Answers are
    greedy (temperature 0). A request is repeated when no server was reached, the connection broke, or the server was
    busy (429), never after another refusal. Pictures are scaled down and sent inside the request, small ones without
    loss. vLLM started with --trust-request-mm-kwargs reads marked sheets at their own size where the model's tower is
    convolutional, as in this process; elsewhere a warning tells what is lost. The key comes from the environment alone.
    Safe to use from many threads.
    """

    answers = frozenset({Generate, ScoreChoices})

    def __init__(
        self,
        address: str,
        *,
        compact: bool | None = None,
        key_variable: str = "",
        concurrency: int = 8,
        max_pixels: int = 1_000_000,
        max_prompt_pixels: int = 4_000_000,
        connect_seconds: float = 10,
        answer_seconds: float = 120,
        tries: int = 4,
        pause_seconds: float = 0.5,
        longest_pause_seconds: float = 30,
    ) -> None:
        """`address` is MODEL@URL or MODEL@URL?key_variable=NAME: the key is held by the environment variable of that
        name, else by `key_variable`, else by OPENAI_API_KEY.

        At most `concurrency` requests are under way. A picture is scaled down to `max_pixels`, and the pictures of one
        ask together to `max_prompt_pixels`. A connection has `connect_seconds`, a whole answer `answer_seconds`; up to
        `tries` requests are made, `pause_seconds` apart at first and twice as long each time, or as the server says.

        Raises UsageError for an address that is not understood or a setting out of range, MissingPrerequisite when
        another variable than the usual one is named and holds no key.
        """
        _check(concurrency=concurrency, max_pixels=max_pixels, max_prompt_pixels=max_prompt_pixels, tries=tries)
        self._address = parse_address(address)
        named = self._address.key_variable or key_variable
        self._key_variable = named or KEY_VARIABLE
        self._key = key_in(self._key_variable, needed=bool(named))
        self.spec = f"openai:{self._address.model}@{self._address.url}"
        self.compact = bool(compact)
        self.concurrency, self.at_once = concurrency, 4 * concurrency
        self.max_pixels, self.max_prompt_pixels = max_pixels, max_prompt_pixels
        self._patience = Patience(connect_seconds, answer_seconds, tries, pause_seconds, longest_pause_seconds)
        self._lock = Lock()
        self._running: _Running | None = None
        self._closed = False

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Names of the model and the server, and the settings that shape an answer; what weights it serves under that
        name, a server does not say.
        """
        return {
            "mllm": self.name,
            "model": self._address.model,
            "url": self._address.url,
            "max_pixels": self.max_pixels,
            "max_prompt_pixels": self.max_prompt_pixels,
        }

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """As in `MLLM`; at `deadline` what is under way is given up."""
        if not asks:
            return []
        running = self._run()
        if running is None:
            return [Failed(f"the model '{self.spec}' is closed", asked=False) for _ in asks]
        try:
            return running.loop.run(self._answered(running, asks, self.deadline))
        except CancelledError:
            return [Failed(f"the model '{self.spec}' was closed meanwhile") for _ in asks]

    def abilities(self) -> Abilities:
        """What the server can do. Raises MMRetrievalError when it cannot be asked."""
        running = self._run()
        if running is None:
            raise MMRetrievalError(f"the model '{self.spec}' is closed")
        try:
            return running.loop.run(running.talk.abilities())
        except NoAnswer as error:
            raise MMRetrievalError(str(error)) from None

    def tokens_at_most(self, ask: Ask) -> int:
        """A choice may have to be named in words."""
        return super().tokens_at_most(ask) + (WORDS if isinstance(ask, ScoreChoices) else 0)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None:
            running.loop.run(running.server.close())
            running.loop.close()

    def _run(self) -> _Running | None:
        with self._lock:
            if self._running is None and not self._closed:
                server = Server(self._address, self._key, self._key_variable, self._patience, self.concurrency)
                talk = Talk(self._address, server)
                sheets = Sheets(talk, self.spec, compact=self.compact)
                self._running = _Running(server, talk, sheets, self.concurrency)
            return self._running

    async def _answered(self, running: _Running, asks: Sequence[Ask], deadline: float) -> list[Reply]:
        """The server's abilities are found out first, so that a dead server is tried once and not for every ask."""
        if deadline <= monotonic():
            return [Failed(TIME_IS_UP, asked=False) for _ in asks]
        try:
            async with asyncio.timeout(_left(deadline)):
                able = await running.talk.abilities()
        except (NoAnswer, TimeoutError) as error:
            return [Failed(str(error) or TIME_IS_UP, asked=False) for _ in asks]
        log.debug("%s: %s", self.spec, able)
        return list(await asyncio.gather(*(self._one(running, ask, deadline) for ask in asks)))

    async def _one(self, running: _Running, ask: Ask, deadline: float) -> Reply:
        begun = False
        try:
            async with asyncio.timeout(_left(deadline)), running.places:
                begun = True
                return await self._reply(running, ask)
        except TimeoutError:
            return Failed(TIME_IS_UP, asked=begun)
        except (NoAnswer, MMRetrievalError) as error:
            return Failed(str(error))
        except Exception as error:  # noqa: BLE001 - pictures and words come from anywhere, and may not fit a request
            return Failed(f"the ask cannot be sent: {type(error).__name__}: {excerpt(str(error), self._key)}")

    async def _reply(self, running: _Running, ask: Ask) -> Reply:
        if not ask.parts:
            return Failed("the ask is empty", asked=False)
        pictures = sum(not isinstance(part, str) for part in ask.parts)
        most_pixels = min(self.max_pixels, max(1, self.max_prompt_pixels // max(1, pictures)))
        looks = await running.sheets.fields(ask.parts, most_pixels)
        if isinstance(ask, ScoreChoices):
            return await score(running.talk, ask, most_pixels, compact=self.compact, looks=looks)
        if not isinstance(ask, Generate):
            return Failed(f"a server does not answer {type(ask).__name__}", asked=False)
        if ask.max_tokens < 1:
            return Failed(f"max_tokens is {ask.max_tokens}, and an answer needs at least 1", asked=False)
        return await self._text(running.talk, ask, most_pixels, looks)

    async def _text(self, talk: Talk, ask: Generate, most_pixels: int, looks: Mapping[str, Any]) -> Text:
        """With a schema the answer keeps to it where the server can see to that; else the prompt has to do."""
        turns = await asyncio.to_thread(messages, ask.parts, most_pixels)
        formed = {"response_format": json_format(ask.schema)} if ask.schema and await talk.takes_schemas() else {}
        try:
            found = said(await talk.chat(turns, ask.max_tokens, **formed, **looks))
        except Refused as refused:
            if not formed or refused.status != _BAD_REQUEST:
                raise
            log.warning("%s does not take the schema of an ask, so it is asked without: %s", self.spec, refused)
            found = said(await talk.chat(turns, ask.max_tokens, **looks))
        return Text(found.text, found.tokens, cut=found.cut)


class _Running:
    """What exists from the first ask until the model is closed."""

    def __init__(self, server: Server, talk: Talk, sheets: Sheets, concurrency: int) -> None:
        self.loop = BackgroundLoop()
        self.server = server
        self.talk = talk
        self.sheets = sheets
        self.places = asyncio.Semaphore(concurrency)


_BAD_REQUEST = 400


def _left(deadline: float) -> float | None:
    return None if deadline == math.inf else max(0.0, deadline - monotonic())


def _check(**numbers: int) -> None:
    for key, number in numbers.items():
        if number < 1:
            raise UsageError(f"{key} is {number}, and it must be at least 1")
