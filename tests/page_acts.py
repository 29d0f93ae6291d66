"""What a visitor does on the page and sees there, and what the REST API says to the same search."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CARDS = "#mm-found .mm-grid:not(.mm-coming) > .mm-card"
WORDS = "#mm-words textarea"
PATIENCE = 60.0
Seen = TypeVar("Seen")


def comes(page: Page, look: Callable[[], Seen], wanted: Seen, seconds: float = PATIENCE) -> None:
    """Waits until the page shows what is wanted, and says what it shows instead when that does not come."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert seen == wanted


def shown(page: Page) -> list[str]:
    """The ids of the cards, in their order."""
    ids: list[str] = page.locator(CARDS).evaluate_all("cards => cards.map(card => card.dataset.id)")
    return ids


def card(page: Page, record_id: str) -> Locator:
    return page.locator(f'{CARDS}[data-id="{record_id}"]')


def status(page: Page) -> str:
    return page.locator("#mm-status").inner_text()


def search(page: Page, words: str) -> None:
    """Types the words in place of others, presses Enter, and waits for the answer."""
    page.locator(WORDS).fill(words)
    page.locator(WORDS).press("Enter")
    page.locator("#mm-status", has_text=f"“{words}”").wait_for()


def see(page: Page) -> None:
    """Waits until every picture in view has come; the page may speak to its server for long after."""
    page.wait_for_function(
        """() => [...document.images]
            .filter(each => each.offsetParent && each.getBoundingClientRect().top < innerHeight)
            .every(each => each.complete && each.naturalWidth > 0)"""
    )


def answer(page: Page, **form: Any) -> dict[str, Any]:
    """The REST API's answer to the same form as the page's; near-duplicates are folded as the page does it."""
    address = page.evaluate("location.origin")
    answered = page.context.request.post(f"{address}/api/v1/search", data={"collapse": True, **form})
    told: dict[str, Any] = answered.json()
    assert answered.ok, told
    return told


def uploaded(page: Page, picture: Path) -> str:
    """The token that the REST API gives for a file."""
    address = page.evaluate("location.origin")
    file = {"name": picture.name, "mimeType": "image/png", "buffer": picture.read_bytes()}
    answered = page.context.request.post(f"{address}/api/v1/uploads", multipart={"picture": file})
    token: str = answered.json()["token"]
    return token


def ids_of(answered: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answered["hits"]]
