"""What goes wrong in a page behind the user's back: errors in its console, failed requests, requests to strangers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request, Response

INSIDE = ("data:", "blob:", "about:")  # addresses of things that the page itself holds


@dataclass
class Watched:
    """Faults of the pages of a test, in words; the test ends by looking at them."""

    address: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of faults that a test provokes on purpose

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("requestfailed", self._failed)

    def unexpected(self) -> list[str]:
        return [fault for fault in self.faults if not any(part in fault for part in self.expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(INSIDE) and urlsplit(request.url).netloc != urlsplit(self.address).netloc:
            self.faults.append(f"stranger: the page asked {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"answer: {response.status} for {response.url}")

    def _failed(self, request: Request) -> None:
        # A stream that the page closes, and a picture that it no longer wants, are aborted by the page itself.
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"request: {request.failure} for {request.url}")
