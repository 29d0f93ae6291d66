"""One warm server and one browser for all tests; every test has a fresh page that must stay without faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from real_browser import chromium
from served_index import serving
from shown_collection import make_collection
from watched_page import Watched

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SECONDS = 60  # how long a test waits for anything on the page


@pytest.fixture(scope="package")
def context() -> Iterator[BrowserContext]:
    """A window that keeps what it loaded; with CI set, a test that lacks it fails the run, see tests/conftest.py."""
    pytest.importorskip("playwright")
    try:
        with chromium() as browser:
            context = browser.new_context()
            context.set_default_timeout(1000 * SECONDS)
            yield context
            context.close()
    except FileNotFoundError as lack:
        pytest.skip(str(lack))


@pytest.fixture(scope="package")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="package")
def address(index: Path, context: BrowserContext) -> Iterator[str]:
    """Depends on the browser, so that no server is started where there is none."""
    log = index.parent / "server.log"
    with serving(index, log, "--mllm", "demo", "--allow-index", str(index.parent / "world")) as address:
        yield address
    assert "Traceback" not in log.read_text("utf-8")


@pytest.fixture
def watched(address: str) -> Watched:
    return Watched(address)


@pytest.fixture
def visit(context: BrowserContext, address: str, watched: Watched) -> Iterator[Callable[..., Page]]:
    """Opens the page, or a link into it: `visit("?q=fox", width=390, dark=True)`."""
    opened: list[Page] = []

    def visit(link: str = "", *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        page = context.new_page()
        opened.append(page)
        watched.watch(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(link if link.startswith("http") else f"{address}/{link}")
        return page

    yield visit
    for page in opened:
        page.close()
    assert watched.unexpected() == []
