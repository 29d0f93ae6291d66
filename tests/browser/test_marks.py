"""Marks on the page: they lead the search on, and settings are measured and compared on them."""

import pytest
from page_acts import answer, card, comes, ids_of, search, shown

pytestmark = pytest.mark.browser


def mark(page, record_id, name):
    card(page, record_id).hover()
    button = card(page, record_id).get_by_role("button", name=f"{name}:", exact=False)
    button.first.click()
    comes(page, lambda: button.first.get_attribute("aria-pressed"), "true")


def test_marks_become_examples_and_counter_examples(visit):
    page = visit()
    search(page, "fish")
    wrong, right = shown(page)[0], shown(page)[4]
    mark(page, right, "Relevant")
    mark(page, wrong, "Not relevant")
    page.get_by_role("tab", name="Marks").click()
    page.locator("#mmb-marks", has_text="1 relevant, 1 not relevant").wait_for()
    page.locator("#mmb-feedback").click()
    comes(page, lambda: page.get_by_role("tab", name="Results").get_attribute("aria-selected"), "true")
    wanted = ids_of(answer(page, text="fish", like=[right], unlike=[wrong]))
    assert wrong not in wanted
    comes(page, lambda: shown(page), wanted)
    assert card(page, right).get_by_role("button", name="Relevant:").first.get_attribute("aria-pressed") == "true"


def test_settings_are_measured_on_marks_and_compared(visit):
    page = visit()
    search(page, "fish")
    right = shown(page)[4]
    mark(page, right, "Relevant")
    page.get_by_role("tab", name="Marks").click()
    page.locator("#mmb-keep").click()
    page.locator("#mmb-kept", has_text="A is").wait_for()
    page.locator("#mmb-measure").click()
    row = page.locator("#mmb-figures tr", has_text="AP@100")
    row.wait_for()
    assert row.locator("td").first.inner_text() == "0.200"  # the one relevant picture stands at place 5
    page.get_by_role("button", name="More ways to search").click()
    page.get_by_label("By ranks").check()
    page.locator("#mmb-measure-cost", has_text="rrf").wait_for()
    place = 1 + ids_of(answer(page, text="fish", hybrid="rrf", top_k=100)).index(right)
    page.locator("#mmb-compare").click()
    page.locator("#mmb-figures .mmb-verdicts", has_text="AP@100").wait_for()
    assert row.locator("td").all_inner_texts()[:2] == ["0.200", f"{1 / place:.3f}"]


def test_a_mark_can_be_taken_back(visit):
    page = visit()
    search(page, "snow")
    chosen = shown(page)[0]
    mark(page, chosen, "Relevant")
    card(page, chosen).get_by_role("button", name="Relevant:").first.click()
    page.get_by_role("tab", name="Marks").click()
    page.locator("#mmb-marks", has_text="Nothing is marked").wait_for()
    assert page.locator("#mmb-feedback").is_disabled()
