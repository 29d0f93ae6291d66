"""The larger view of a picture: whatever is known of it, a score that adds up, and words that cannot do harm."""

import json
import re

import pytest
from page_acts import CARDS, answer, card, comes, search, shown
from shown_collection import HOSTILE

pytestmark = pytest.mark.browser


def opened(page, record_id):
    card(page, record_id).locator(".mm-open").click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    return dialog


def test_a_picture_is_opened_and_closed_and_the_focus_goes_back(visit):
    page = visit()
    search(page, "fish")
    chosen = shown(page)[1]
    dialog = opened(page, chosen)
    assert chosen in dialog.get_by_role("heading", level=2).inner_text()
    comes(page, lambda: dialog.locator(".mm-large img").evaluate("img => img.naturalWidth"), 256)
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.closest('.mm-card')?.dataset.id") == chosen


def test_the_view_holds_caption_credits_and_details_of_the_manifest(visit, index):
    rows = [json.loads(line) for line in (index.parent / "world" / "manifest.jsonl").read_text("utf-8").splitlines()]
    page = visit()
    search(page, "snow")
    chosen = shown(page)[0]
    row = next(row for row in rows if row["id"] == chosen)
    told = opened(page, chosen).inner_text()
    for field in ("caption", "maker", "licence", "domain"):
        assert row[field] in told
    assert str(row["price"]) in told


def test_the_parts_of_a_score_add_up_to_it(visit):
    page = visit()
    search(page, "snow")
    page.get_by_role("button", name="More ways to search").click()
    page.get_by_label("By scores").check()
    told = answer(page, text="snow", hybrid="blend")
    first = page.locator(CARDS).first
    comes(page, lambda: first.locator(".mm-number").inner_text().split()[-1], f"{told['hits'][0]['score']:.3f}")
    table = opened(page, shown(page)[0]).locator("table.mm-sum").first
    parts = [float(each) for each in table.locator("tbody td:last-child").all_inner_texts()]
    whole = float(table.locator("tfoot td:last-child").inner_text())
    assert len(parts) >= 2
    assert whole == pytest.approx(told["hits"][0]["score"], abs=0.001)
    assert sum(parts) == pytest.approx(whole, abs=0.002)


def test_a_caption_that_attacks_is_shown_as_the_words_it_is(visit):
    page = visit()
    search(page, "a photo of three slices of bread and 3 steaks")
    hostile = "food-000001"
    while hostile not in shown(page):
        before = len(shown(page))
        page.mouse.wheel(0, 4000)
        comes(page, lambda before=before: len(shown(page)) > before, wanted=True)
    assert HOSTILE in opened(page, hostile).inner_text()
    page.wait_for_timeout(300)
    assert page.evaluate("window.attacked") is None


def test_the_arrow_keys_go_on_to_the_next_picture(visit):
    page = visit()
    search(page, "fish")
    first, second = shown(page)[:2]
    dialog = opened(page, first)
    page.keyboard.press("ArrowRight")
    comes(page, lambda: second in dialog.get_by_role("heading", level=2).inner_text(), wanted=True)


def test_everything_can_be_done_by_keyboard(visit):
    page = visit()
    comes(page, lambda: page.evaluate("document.activeElement.closest('#mm-words') !== null"), wanted=True)
    page.keyboard.type("fish")
    page.keyboard.press("Enter")
    page.locator("#mm-status", has_text="“fish”").wait_for()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#mm-found .mm-open')"):
            break
    first = page.locator(CARDS).first.get_attribute("data-id")
    assert page.evaluate("document.activeElement.closest('.mm-card').dataset.id") == first
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert re.search(first, dialog.inner_text())
