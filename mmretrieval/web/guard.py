"""Stands before every request: who may come in, how often, how much may be sent and for how long.

A body is taken whole before anything works on it, so whoever sends slowly holds nothing but a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from mmretrieval.web.auth import Accounts
from mmretrieval.web.doors import GRADIO, is_closed, names_a_file
from mmretrieval.web.limits import Limits, Rate

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/health",)  # tells nothing, so that whoever watches over the server needs no password
_JSON_BYTES = 2**20
_LARGE_AT_ONCE = 8  # bodies above that, which are kept in memory while they come
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
        "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
        "worker-src 'self' blob:; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
}


class Refused(Exception):
    """A request that is answered here: a status, a sentence, and headers that go with it."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


class Guard:
    """An ASGI application around another one."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        *,
        accounts: Accounts | None = None,
        hosts: Sequence[str] = (),
        origins: Sequence[str] = (),
    ) -> None:
        """`hosts` are the names that it answers to, all without any; `origins` are the other sites that may ask."""
        self._app, self._limits, self._accounts = app, limits, accounts
        self._hosts, self._origins = frozenset(hosts), frozenset(origins)
        self._rate = Rate(limits.requests_per_second, limits.burst)
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks over websockets
        send = _with_headers(send)
        try:
            self._check(scope)
            body = await self._body(scope, receive)
            if body and scope["path"].startswith(GRADIO) and names_a_file(body):
                raise Refused(422, "the page takes pictures by its own upload, and no files by name")
        except Refused as refused:
            answer = JSONResponse({"status": "error", "errors": [str(refused)]}, refused.status, refused.headers)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive if body is None else _replayed(body, receive), send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._hosts and _name(headers.get("host", "")) not in self._hosts:
            raise Refused(421, "this server answers to its own name alone: open it as http://localhost")
        if wait := self._rate.take((scope.get("client") or ("",))[0]):
            told = f"more requests than {self._limits.requests_per_second:g} a second came from here: wait a little"
            raise Refused(429, told, {"Retry-After": str(max(1, round(wait)))})
        is_open = self._accounts is None or scope["path"] in OPEN or scope["method"] == "OPTIONS"
        if self._accounts is not None and not is_open and not self._accounts.admits(headers.get("authorization")):
            told = "this server asks for a name and a password"
            raise Refused(401, told, {"WWW-Authenticate": 'Basic realm="mmretrieval", charset="UTF-8"'})
        if is_closed(scope["path"]):
            raise Refused(404, "there is nothing at this address")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and self._is_foreign(headers):
            raise Refused(403, "another site sent this request, and this server takes none from there")

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether a browser says that the request comes from a page of another site."""
        origin = headers.get("origin")
        if origin is None or origin in self._origins:
            return False
        return origin.partition("://")[2] != headers.get("host", "")

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None where there is none to be had."""
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        most = self._limits.upload_bytes + 2**16 if "upload" in scope["path"] or _is_form(scope) else _JSON_BYTES
        length = Headers(scope=scope).get("content-length", "")
        if length.isdigit() and int(length) > most:
            raise Refused(413, f"too large: {int(length)} bytes were sent, the limit is {most}")
        try:
            async with asyncio.timeout(self._limits.upload_seconds):
                if length.isdigit() and int(length) <= _JSON_BYTES:
                    return await _taken(receive, most)
                async with self._large:
                    return await _taken(receive, most)
        except TimeoutError:
            told = f"the request took longer than {self._limits.upload_seconds:g} seconds to arrive"
            raise Refused(408, told, {"Connection": "close"}) from None


async def _taken(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request ended before all of it was there")
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise Refused(413, f"too large: the limit is {most} bytes", {"Connection": "close"})
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body at once, and after it what the connection says, which is when it ends."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return adding


def _is_form(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
