"""What a server can do, found out by asking it: several accept a field and silently drop it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmretrieval.mllms._openai_address import Address
from mmretrieval.mllms._openai_answers import next_tokens, said
from mmretrieval.mllms._openai_http import NoAnswer, Refused, Server
from mmretrieval.mllms._openai_messages import messages

MOST_LOG_PROBS = 20  # what the protocol allows; some servers give fewer
_FEWER = 5
_TELLING = -100.0  # a log-probability that is a number of the model's; servers fill up with -9999
_BAD_REQUEST = frozenset({400, 422})
_SCHEMA = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """`log_probs`: how many per place, 0 for none. `exact`: those of any tokens that are named, as in vLLM.

    `thinking_switch`: it takes `chat_template_kwargs`. `limit`: the name that the longest answer goes by.
    """

    log_probs: int = MOST_LOG_PROBS
    thinking_switch: bool = True
    limit: str = "max_tokens"
    exact: bool = False


class Talk:
    """One model on one server: requests with all that is always said, and what is known of its abilities."""

    def __init__(self, address: Address, server: Server) -> None:
        self._address = address
        self._server = server
        self._abilities: Abilities | None = None
        self._schemas: bool | None = None
        self._tokens: dict[str, tuple[int, ...]] = {}
        self._lock = asyncio.Lock()

    async def abilities(self) -> Abilities:
        """Found with the first call by requests of one token each; raises NoAnswer when the server gives none."""
        async with self._lock:
            if self._abilities is None:
                found = await self._probed()
                self._abilities = replace(found, exact=bool(found.log_probs) and await self._is_exact(found))
            return self._abilities

    async def takes_schemas(self) -> bool:
        """Whether answers keep to a JSON schema, found with the first call."""
        able = await self.abilities()
        async with self._lock:
            if self._schemas is None:
                try:
                    answer = await self._chat(able, _HELLO, 12, response_format=json_format(_SCHEMA))
                    self._schemas = said(answer).text.startswith("{")
                except Refused as refused:
                    if refused.status not in _BAD_REQUEST:
                        raise
                    self._schemas = False
            return self._schemas

    async def chat(self, turns: list[dict[str, Any]], tokens: int, **more: Any) -> dict[str, Any]:
        """The server's answer of at most so many tokens. Raises NoAnswer."""
        return await self._chat(await self.abilities(), turns, tokens, **more)

    async def tokens(self, words: str) -> tuple[int, ...]:
        """The tokens of words, by vLLM's own tokenizer; asked for once. Raises NoAnswer when the server tells none."""
        if words not in self._tokens:
            body = {"model": self._address.model, "prompt": words, "add_special_tokens": False}
            answer = await self._server.post(f"{self._address.root}/tokenize", body)
            found = answer.get("tokens")
            if not isinstance(found, list) or not all(isinstance(token, int) for token in found):
                raise NoAnswer("the server tells no tokens of words")
            self._tokens[words] = tuple(found)
        return self._tokens[words]

    async def prompt_tokens(self, turns: list[dict[str, Any]], **more: Any) -> int:
        """How many tokens vLLM makes of a chat, pictures included. Raises NoAnswer when the server does not tell."""
        body = {"model": self._address.model, "messages": turns, **more}
        count = (await self._server.post(f"{self._address.root}/tokenize", body)).get("count")
        if not isinstance(count, int):
            raise NoAnswer("the server does not count the tokens of a chat")
        return count

    async def _chat(self, able: Abilities, turns: list[dict[str, Any]], tokens: int, **more: Any) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._address.model,
            "messages": turns,
            "temperature": 0,  # a server's own default may be to sample
            able.limit: tokens,
            **more,
        }
        if able.thinking_switch:
            body["chat_template_kwargs"] = {"enable_thinking": False}
        return await self._server.post(f"{self._address.url}/chat/completions", body)

    async def _probed(self) -> Abilities:
        """One field after the other is left out until the server takes the request; its last word is raised."""
        able = Abilities()
        while True:
            try:
                answer = await self._chat(able, _HELLO, 1, **log_prob_fields(able.log_probs))
            except Refused as refused:
                less = _less(able, str(refused)) if refused.status in _BAD_REQUEST else None
                if less is None:
                    raise
                able = less
            else:
                return replace(able, log_probs=able.log_probs if _tells(answer) else 0)

    async def _is_exact(self, able: Abilities) -> bool:
        """Whether log-probabilities of tokens named by number come back, as many as were named."""
        try:
            wanted = [(await self.tokens(word))[0] for word in ("yes", "no", "7")]
            answer = await self._chat(able, _HELLO, 1, **exact_fields(wanted))
        except (NoAnswer, IndexError):
            return False
        return {f"token_id:{token}" for token in wanted} <= next_tokens(answer).keys()


_HELLO = messages(("Say hello.",), most_pixels=1)


def _less(able: Abilities, refusal: str) -> Abilities | None:
    """What to try next after a request that was found bad: without what the refusal names, if it names anything."""
    if "max_completion_tokens" in refusal and able.limit == "max_tokens":
        return replace(able, limit="max_completion_tokens")
    if able.thinking_switch and not (able.log_probs and "logprobs" in refusal):
        return replace(able, thinking_switch=False)
    if able.log_probs:
        return replace(able, log_probs=_FEWER if able.log_probs > _FEWER else 0)
    return replace(able, thinking_switch=False) if able.thinking_switch else None


def log_prob_fields(count: int) -> dict[str, Any]:
    return {"logprobs": True, "top_logprobs": count} if count else {}


def exact_fields(tokens: list[int]) -> dict[str, Any]:
    """What asks vLLM for the log-probabilities of these tokens, and to name them by number."""
    return {"logprobs": True, "logprob_token_ids": tokens, "return_tokens_as_token_ids": True}


def json_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}}


def _tells(answer: Mapping[str, Any]) -> bool:
    """Whether there are log-probabilities of several tokens; a server that gives them after sampling has one only."""
    return sum(value > _TELLING for value in next_tokens(answer).values()) > 1
