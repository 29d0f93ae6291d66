"""How long a visitor waits for the page of a warm server: the first paint, and the first pictures of a search."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page_acts import CARDS, WORDS
from real_browser import chromium

WORDS_OF_VISITS = (  # short ones, since the page shortens long ones where it repeats them
    "a red fox",
    "two tomatoes",
    "an owl at night",
    "rice and salmon",
    "a white rabbit",
    "three lemons",
    "a bear in the forest",
    "bread and cheese",
)
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
LOOKED_UP = "performance.getEntriesByType('resource').length"


def visits(address: str) -> dict[str, Any]:
    """Medians of some visits, milliseconds: each with an empty cache of the browser, the first one left out."""
    seen: dict[str, list[float]] = {"first paint": [], "search box": [], "cards": [], "pictures": []}
    files = 0
    with chromium() as browser:
        for text in WORDS_OF_VISITS:
            page = browser.new_context().new_page()
            began = time.perf_counter()
            page.goto(address, wait_until="commit")
            page.locator(WORDS).wait_for(timeout=120_000)
            usable = time.perf_counter()
            page.wait_for_function(f"({PAINTED}) > 0", timeout=120_000)
            page.wait_for_load_state("load", timeout=120_000)
            files = page.evaluate(LOOKED_UP)
            page.locator(WORDS).fill(text)
            asked = time.perf_counter()
            page.locator(WORDS).press("Enter")
            page.locator("#mm-status", has_text=f"“{text}”").wait_for(timeout=120_000)
            page.locator(CARDS).first.wait_for(timeout=120_000)
            shown = time.perf_counter()
            picture = f"document.querySelector('{CARDS} img')"
            page.wait_for_function(f"{picture}?.complete && {picture}.naturalWidth > 0", timeout=120_000)
            pictured = time.perf_counter()
            seen["first paint"].append(float(page.evaluate(PAINTED)))
            seen["search box"].append((usable - began) * 1e3)
            seen["cards"].append((shown - asked) * 1e3)
            seen["pictures"].append((pictured - asked) * 1e3)
            page.context.close()
    medians = {name: statistics.median(each[1:]) for name, each in seen.items()}
    return {"visits": len(WORDS_OF_VISITS) - 1, "files": files, "ms": medians}
