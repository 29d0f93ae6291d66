"""How the page serves everybody: no grave finding of axe-core, in light and dark, on a phone, and it stands still."""

import io

import pytest
from accessibility import grave_findings
from page_acts import CARDS, search, see, shown
from PIL import Image

pytestmark = pytest.mark.browser

PHONE = 390


def luminance(page):
    """How bright the ground of the page is, 0 to 255."""
    page.locator("#mm-found .mm-card").first.wait_for()
    seen = Image.open(io.BytesIO(page.screenshot(clip={"x": 2, "y": 2, "width": 1, "height": 1}))).convert("L")
    return seen.getpixel((0, 0))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_grave(dark, width, visit):
    page = visit(dark=dark, width=width)
    page.locator("#mm-found .mm-card").first.wait_for()
    assert grave_findings(page) == []
    search(page, "fish and rice on a blue plate")
    assert grave_findings(page) == []
    page.locator(CARDS).first.locator(".mm-open").click()
    page.get_by_role("dialog").wait_for()
    assert grave_findings(page) == []


@pytest.mark.parametrize("tab", ["Rerank", "Marks", "Export"])
def test_axe_finds_nothing_grave_in_the_panels(tab, visit):
    page = visit()
    search(page, "fish")
    page.get_by_role("tab", name=tab).click()
    page.get_by_role("tabpanel").locator("visible=true").first.wait_for()
    assert grave_findings(page) == []


def test_the_page_is_dark_where_the_visitor_likes_it_dark_and_can_be_switched(visit):
    light, dark = luminance(visit()), visit(dark=True)
    assert luminance(dark) < 60 < 200 < light
    dark.get_by_role("button", name="Switch between light and dark").click()
    dark.wait_for_timeout(300)
    assert luminance(dark) > 200


def test_on_a_phone_nothing_is_cut_off_and_a_search_shows_pictures_at_once(visit):
    page = visit(width=PHONE, height=844)
    search(page, "two red foxes in the snow")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE
    box = page.locator(CARDS).first.bounding_box()
    assert box["y"] < 844
    assert 0 <= box["x"] < box["x"] + box["width"] <= PHONE
    page.locator(CARDS).first.locator(".mm-open").click()
    page.get_by_role("dialog").wait_for()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE


def test_nothing_jumps_while_pictures_arrive(visit):
    page = visit()
    page.locator("#mm-found .mm-card").first.wait_for()
    page.evaluate(
        """() => {
            window.jumped = 0;
            new PerformanceObserver(list => list.getEntries().forEach(each => { window.jumped += each.value; }))
                .observe({type: 'layout-shift'});
        }"""
    )
    search(page, "fish and rice on a blue plate")
    see(page)
    page.wait_for_timeout(300)
    assert len(shown(page)) == 24
    assert page.evaluate("window.jumped") < 0.02
