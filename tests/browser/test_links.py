"""A link reproduces the search: opened anew it shows the same pictures, and the same settings beside them."""

import pytest
from page_acts import WORDS, answer, card, comes, ids_of, search, shown

pytestmark = pytest.mark.browser


def copied(page):
    """What the button for the link put into the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    comes(page, lambda: page.evaluate("navigator.clipboard.readText()").startswith("http"), wanted=True)
    return page.evaluate("navigator.clipboard.readText()")


def test_a_copied_link_shows_the_same_search_to_somebody_else(visit):
    page = visit()
    search(page, "an elephant at sunset")
    chosen = shown(page)[1]
    card(page, chosen).hover()
    card(page, chosen).locator("[data-mm=use]").click()
    comes(page, lambda: shown(page), ids_of(answer(page, image_id=chosen)))
    search(page, "in the snow")
    page.get_by_label("nature", exact=False).first.check()
    wanted = ids_of(answer(page, image_id=chosen, text="in the snow", filter="domain = 'nature'"))
    comes(page, lambda: shown(page), wanted)
    other = visit(copied(page))
    comes(other, lambda: shown(other), wanted)
    assert other.locator(WORDS).input_value() == "in the snow"
    assert other.locator("#mm-picture img").count() == 1


def test_a_link_that_was_cut_off_is_told_so(visit):
    page = visit("?text=fish&minus=%5B%22ri")
    alert = page.locator("#mm-status [role=alert]")
    alert.wait_for()
    assert "link" in alert.inner_text()


def test_a_search_too_long_for_a_link_says_so(visit):
    page = visit()
    page.get_by_role("textbox", name="Without").fill("é" * 900)
    page.locator(WORDS).fill("é" * 900)
    page.locator(WORDS).press("Enter")
    button = page.locator("[data-mm=link]")
    button.wait_for()
    button.click()
    comes(page, lambda: button.inner_text().strip(), "Too long for a link")
