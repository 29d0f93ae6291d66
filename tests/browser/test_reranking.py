"""Reranking on the page: its cost before it runs, both orders side by side, what the model saw, and a stop."""

import pytest
from page_acts import answer, comes, ids_of, search, shown

pytestmark = pytest.mark.browser


def choose(page, method, depth):
    page.get_by_role("tab", name="Rerank").click()
    box = page.locator("#mmb-chosen input").first
    box.fill(method)
    page.get_by_role("option", name=f"{method}:").first.click()
    box.press("Escape")
    number = page.locator("#mmb-depth input[type=number]")
    number.fill(str(depth))
    number.press("Enter")
    number.blur()
    page.locator("#mmb-cost", has_text="At most").wait_for()


def column(page, side):
    return page.locator(f".mmb-{side} .mmb-row").evaluate_all("rows => rows.map(row => row.dataset.id)")


def test_a_rerank_tells_its_cost_then_shows_both_orders_and_what_the_model_saw(visit):
    page = visit()
    words = "two red foxes in the snow"
    search(page, words)
    before = shown(page)
    choose(page, "grid", 6)
    assert "At most 2 calls" in page.locator("#mmb-cost").inner_text()  # a small model sees two orders
    page.locator("#mmb-run").click()
    page.locator("#mmb-progress", has_text="Done").wait_for()
    reranked = answer(page, text=words, rerank=["grid:depth=6"])
    after = ids_of(reranked)
    assert column(page, "before") == before[: len(column(page, "before"))]
    assert column(page, "after") == after[: len(column(page, "after"))]
    assert len(column(page, "after")) >= 6
    moves = page.locator(".mmb-after .mmb-row")
    for place in range(6):
        told = moves.nth(place).locator(".mmb-shift .mmb-unseen").inner_text()
        was = before.index(after[place])
        wanted = "same place" if was == place else f"was {was + 1}"
        assert wanted in told
    [step] = [step for step in reranked["steps"] if step["name"] == "grid"]
    assert step["status"] in page.locator("#mmb-steps .mmb-step", has_text="grid").inner_text()
    page.get_by_role("button", name="What the language model saw").click()
    sheet = page.locator(".mmb-shown img").first
    comes(page, lambda: sheet.evaluate("img => img.complete && img.naturalWidth > 100"), wanted=True)
    assert words in page.locator(".mmb-ask pre").first.inner_text()
    page.get_by_role("tab", name="Results").click()
    assert shown(page) == after


def test_a_rerank_can_be_stopped_and_keeps_every_picture(visit):
    page = visit()
    words = "a bowl with fish, eggs and corn"
    search(page, words)
    before = shown(page)
    choose(page, "pointwise", 72)
    page.locator("#mmb-run").click()
    page.locator("#mmb-stop:not([disabled])").click()
    page.locator("#mmb-progress", has_text="best order so far").wait_for()
    step = page.locator("#mmb-steps .mmb-step", has_text="pointwise").inner_text()
    assert "partial" in step or "fallback" in step  # as far as it had come
    assert "stopped" in step
    page.locator("#mmb-run:not([disabled])").wait_for()
    page.get_by_role("tab", name="Results").click()
    assert len(set(shown(page))) == len(shown(page)) == len(before)


def test_nothing_can_be_reranked_before_a_search(visit):
    page = visit()
    page.get_by_role("tab", name="Rerank").click()
    page.locator("#mmb-cost", has_text="Search first").wait_for()
    assert page.locator("#mmb-run").is_disabled()
