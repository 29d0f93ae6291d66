"""JSON out and JSON back, over httpx: pools, timeouts and streams are all that is needed of a client, and retries are
ours to decide (the SDK repeats requests that a server refused, and carries many protocols besides).
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx

from mmretrieval.mllms._openai_address import Address
from mmretrieval.mllms._openai_secrets import excerpt

log = logging.getLogger(__name__)

MOST_BYTES = 8 * 2**20  # of an answer; no model says so much
TOO_MANY = 429


class NoAnswer(Exception):
    """The server gave no answer that can be used; the reason is a plain sentence without secrets."""


class Refused(NoAnswer):
    """The server answered, with a status that says no."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, for a whole answer, and between tries."""

    connect: float
    answer: float
    tries: int
    pause: float  # before the second try; it doubles
    longest_pause: float


class Server:
    """One server. All methods belong to one event loop."""

    def __init__(self, address: Address, key: str, key_variable: str, patience: Patience, connections: int) -> None:
        self._address = address
        self._key = key
        self._key_variable = key_variable
        self._patience = patience
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(patience.answer, connect=patience.connect, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=not address.on_this_machine,  # a proxy cannot reach this machine's own servers
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, url: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the server answers with status 200, a JSON object.

        A try that found no server or lost it, and one that came too soon (429), is repeated; an answer that takes too
        long is not, since it would again. Raises Refused for any other status, NoAnswer for all else.
        """
        for tries_left in reversed(range(self._patience.tries)):
            try:
                response, data = await self._once(url, body)
            except httpx.TransportError as error:
                reason, wait = self._unreachable(error), None
                if not tries_left or (isinstance(error, httpx.TimeoutException) and not _no_connection(error)):
                    raise NoAnswer(reason) from None
            else:
                if response.status_code != TOO_MANY or not tries_left:
                    return self._read(response.status_code, data)
                reason, wait = f"{self._address.url} is busy (status 429)", _asked_wait(response)
            pause = self._pause(self._patience.tries - 1 - tries_left, wait)
            log.info("%s; trying again in %.1f s", reason, pause)
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, url: str, body: Mapping[str, Any]) -> tuple[httpx.Response, bytes]:
        whole = self._patience.connect + self._patience.answer
        try:
            async with asyncio.timeout(whole), self._client.stream("POST", url, json=body) as response:
                data = bytearray()
                async for piece in response.aiter_bytes():
                    data += piece
                    if len(data) > MOST_BYTES:
                        raise NoAnswer(f"{self._address.url} answers without end: over {MOST_BYTES >> 20} MiB")
                return response, bytes(data)
        except TimeoutError:
            raise NoAnswer(self._too_slow()) from None
        except httpx.DecodingError:
            raise NoAnswer(f"{self._address.url} answered with data that is packed wrongly") from None

    def _pause(self, tries: int, asked: float | None) -> float:
        """Seconds until the next try: as the server asked, else twice the last, in part by chance; never too long."""
        patience = self._patience
        wait = patience.pause * 2**tries * random.uniform(0.5, 1) if asked is None else asked * random.uniform(1, 1.1)
        return min(wait, patience.longest_pause)

    def _unreachable(self, error: httpx.TransportError) -> str:
        if _no_connection(error):
            why = excerpt(str(error) or "no connection in time", self._key)
            return f"{self._address.url} cannot be reached ({why}): is the server running?"
        if isinstance(error, httpx.TimeoutException):
            return self._too_slow()
        return f"{self._address.url} ended the connection before its answer was complete"

    def _too_slow(self) -> str:
        return f"{self._address.url} gave no complete answer within {self._patience.answer:g} s"

    def _read(self, status: int, data: bytes) -> dict[str, Any]:
        said = excerpt(data.decode("utf-8", "replace"), self._key)
        if status != httpx.codes.OK:
            cure = self._cure(status)
            raise Refused(f"{self._address.url} refused with status {status}: {said or 'no reason'}{cure}", status)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            raise NoAnswer(f"{self._address.url} answered with no JSON: {said or 'nothing at all'}") from None
        if not isinstance(answer, dict):
            raise NoAnswer(f"{self._address.url} answered with JSON of another shape: {said}")
        if answer.get("error"):
            raise NoAnswer(f"{self._address.url} answered with an error: {said}")
        return answer

    def _cure(self, status: int) -> str:
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return f"; put its key into the environment variable {self._key_variable}"
        if status == httpx.codes.NOT_FOUND:
            return "; check the model's name and the address, which often ends in /v1"
        return "; it moved: name its new address" if 300 <= status < 400 else ""


def _no_connection(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _asked_wait(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, as a number or a date; None when it does not say."""
    told = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None
