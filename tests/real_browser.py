"""A headless Chromium for tests and pictures: Playwright's own where it is installed, else the system's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing but this machine can be reached: a page that asks another one is told at once that there is none.
ALONE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
CURE = "Chromium is not installed: on Debian `apt-get install chromium`, elsewhere `playwright install chromium`"


def find_chromium(own: str) -> str | None:
    """The program to start; `own` is where Playwright would have put its own."""
    if Path(own).exists():
        return own
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A started browser. Raises FileNotFoundError, with the cure, where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = find_chromium(playwright.chromium.executable_path)
        if program is None:
            raise FileNotFoundError(CURE)
        # Chromium refuses its sandbox to root, as whom containers run.
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=[*root, ALONE, "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()
