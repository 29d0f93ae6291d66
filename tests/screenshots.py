"""Makes the README's pictures of the page: the real app over the demo collection, in a real browser.

python tests/screenshots.py --index demo/index --out assets/readme
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from page_acts import CARDS, WORDS, search, see
from PIL import Image
from real_browser import chromium
from served_index import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SECONDS = 120
COLOURS = 256  # the drawn pictures need no more, and the files stay small


def words(page: Page) -> None:
    """A search by words."""
    search(page, "two red foxes in the snow")


def composed(page: Page) -> None:
    """A picture of the collection and a change."""
    page.locator("#mm-examples button", has_text="+ ").last.click()
    page.locator("#mm-picture img").wait_for()


def detail(page: Page) -> None:
    """The larger view of a hit."""
    search(page, "a red fox in the snow")
    page.locator(CARDS).first.locator(".mm-open").click()
    page.get_by_role("dialog").wait_for()


def reranked(page: Page) -> None:
    """Before and after the small language model, side by side."""
    search(page, "a green dish with a single grilled fish and toasts")
    page.get_by_role("tab", name="Rerank").click()
    box = page.locator("#mmb-chosen input").first
    box.fill("pointwise")
    page.get_by_role("option", name="pointwise:").first.click()
    box.press("Escape")
    page.locator("#mmb-run:not([disabled])").click()
    page.locator("#mmb-progress", has_text="Done").wait_for()
    page.locator("#mmb-sides").scroll_into_view_if_needed()


SCENES: dict[str, tuple[Callable[[Page], None], int, int, bool]] = {  # what is done, width, height, dark
    "words": (words, 1280, 860, False),
    "composed": (composed, 1280, 860, False),
    "detail": (detail, 1280, 860, False),
    "reranked": (reranked, 1280, 1000, False),
    "dark": (words, 1280, 860, True),
    "phone": (words, 390, 844, True),
}


def picture_of(browser: Browser, address: str, name: str) -> Image.Image:
    """The page as a visitor sees it once the scene has been played and all pictures in sight have come."""
    play, width, height, dark = SCENES[name]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    context.set_default_timeout(1000 * SECONDS)
    page = context.new_page()
    page.goto(address)
    page.locator(WORDS).wait_for()
    play(page)
    page.mouse.move(0, 0)
    see(page)
    page.wait_for_timeout(800)  # pictures fade in
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    context.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the README's pictures of the page.")
    parser.add_argument("--index", type=Path, default=Path("demo/index"))
    parser.add_argument("--out", type=Path, default=Path("assets/readme"))
    parser.add_argument("--scene", choices=SCENES, action="append", help="only this one; may be repeated")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        chromium() as browser,
        serving(chosen.index, Path(folder) / "server.log", "--mllm", "demo") as address,
    ):
        for name in chosen.scene or SCENES:
            file = chosen.out / f"page-{name}.png"
            picture_of(browser, address, name).quantize(COLOURS).save(file, optimize=True)
            sys.stderr.write(f"{file}: {file.stat().st_size // 1024} kB\n")


if __name__ == "__main__":
    main()
