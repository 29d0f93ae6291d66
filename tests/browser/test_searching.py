"""Searching on the page: words, a picture, both; what is set beside them; and the order is that of the REST API."""

import pytest
from page_acts import CARDS, WORDS, answer, card, comes, ids_of, search, shown, status, uploaded
from shown_collection import TWIN

pytestmark = pytest.mark.browser

PICTURE = "nature-000053"


@pytest.fixture
def picture(index):
    """A file as a visitor has it: one of the pictures that were indexed."""
    return index.parent / "world" / "images" / f"{PICTURE}.png"


def give(page, picture, how):
    """Hands a picture to the page as a visitor does."""
    if how == "choosing":
        page.locator("#mm-picture input[type=file]").set_input_files(picture)
        return
    script = """([bytes, how]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'mine.png', {type: 'image/png'}));
        const event = how === 'pasting'
            ? new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true})
            : new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true});
        (how === 'pasting' ? document.activeElement : document.body).dispatchEvent(event);
    }"""
    page.evaluate(script, [list(picture.read_bytes()), how])


def test_words_bring_the_pictures_in_the_order_of_the_rest_api(visit):
    page = visit()
    search(page, "two red foxes in the snow")
    told = answer(page, text="two red foxes in the snow")
    assert shown(page) == ids_of(told)
    assert len(shown(page)) == 24
    first = page.locator(CARDS).first
    assert first.locator(".mm-rank").inner_text().split()[-1] == "1"
    assert first.locator(".mm-number").inner_text().split()[-1] == f"{told['hits'][0]['score']:.3f}"
    assert first.locator(".mm-by").inner_text() == "looks"


def test_the_first_pictures_are_there_and_the_last_ones_wait_until_they_are_scrolled_to(visit):
    page = visit()
    search(page, "fish and rice on a blue plate")
    loaded = "img => img.complete && img.naturalWidth > 0"
    first, last = (page.locator(f"{CARDS} .mm-open img").nth(place) for place in (0, -1))
    comes(page, lambda: first.evaluate(loaded), wanted=True)
    assert last.get_attribute("loading") == "lazy"
    last.scroll_into_view_if_needed()
    comes(page, lambda: last.evaluate(loaded), wanted=True)


@pytest.mark.parametrize("how", ["choosing", "pasting", "dropping"])
def test_a_picture_of_ones_own_finds_itself_first(how, visit, picture):
    page = visit()
    page.locator(WORDS).click()
    give(page, picture, how)
    comes(page, lambda: shown(page)[:1], [PICTURE])
    assert page.locator("#mm-picture img").evaluate("img => img.naturalWidth") > 0
    assert shown(page) == ids_of(answer(page, image=uploaded(page, picture)))
    page.get_by_role("button", name="Take the picture out of the search").click()
    comes(page, lambda: page.locator("#mm-picture input[type=file]").count(), 1)


def test_what_is_no_picture_is_refused_with_a_sentence(visit, tmp_path, watched):
    watched.expected = ("answer: 4", "console: Failed to load resource")
    wrong = tmp_path / "mine.png"
    wrong.write_text("no picture at all")
    page = visit()
    page.locator("#mm-picture input[type=file]").set_input_files(wrong)
    page.locator("#mm-status [role=alert]", has_text="picture").wait_for()
    assert "Traceback" not in status(page)


def test_a_result_becomes_the_picture_and_words_the_change(visit):
    page = visit()
    search(page, "an elephant at sunset")
    chosen = shown(page)[2]
    card(page, chosen).hover()
    card(page, chosen).locator("[data-mm=use]").click()
    comes(page, lambda: shown(page), ids_of(answer(page, image_id=chosen)))
    assert page.locator(WORDS).input_value() == ""
    search(page, "in the snow")
    assert shown(page) == ids_of(answer(page, image_id=chosen, text="in the snow"))


def test_a_slider_acts_at_once(visit):
    page = visit()
    page.locator("#mm-examples button:has(img)").last.click()
    picture = page.locator("#mm-picture img").get_attribute("src")
    form = {"image_id": picture.split("/")[-1].split("?")[0], "text": page.locator(WORDS).input_value()}
    assert form["text"]
    assert shown(page) == ids_of(answer(page, **form))
    slider = page.locator("#mm-rail input[type=range]").first
    slider.focus()
    slider.press("End")
    for _ in range(2):
        slider.press("ArrowLeft")
    wanted = ids_of(answer(page, **form, weights={"text": 0.1, "image": 0.9}))
    assert wanted != ids_of(answer(page, **form))
    comes(page, lambda: shown(page), wanted)


def test_words_to_leave_out_lead_away_from_them(visit):
    page = visit()
    search(page, "fish")
    without = page.get_by_role("textbox", name="Without")
    without.fill("rice, a fork")
    without.press("Enter")
    wanted = ids_of(answer(page, text="fish", minus=["rice", "a fork"]))
    assert wanted != ids_of(answer(page, text="fish"))
    comes(page, lambda: shown(page), wanted)


def test_a_filter_of_the_collections_own_fields_keeps_to_what_fits(visit):
    page = visit()
    search(page, "snow")
    page.get_by_label("nature", exact=False).first.check()
    wanted = ids_of(answer(page, text="snow", filter="domain = 'nature'"))
    assert wanted != ids_of(answer(page, text="snow"))
    comes(page, lambda: shown(page), wanted)
    assert not any(record_id.startswith("food") for record_id in shown(page))


def test_a_misspelt_filter_is_told_with_the_fields_there_are(visit):
    page = visit()
    search(page, "snow")
    before = shown(page)
    written = page.get_by_placeholder("caption LIKE")
    written.fill("prise < 7")
    written.press("Enter")
    alert = page.locator("#mm-status [role=alert]")
    alert.wait_for()
    assert "price" in alert.inner_text()
    assert shown(page)[: len(before)] == before


def test_nothing_to_search_for_is_told_with_what_to_do(visit):
    page = visit()
    page.locator("#mm-go").click()
    alert = page.locator("#mm-status [role=alert]")
    alert.wait_for()
    assert "type what you look for" in alert.inner_text().lower()


def test_near_duplicates_are_folded_into_one_card_until_they_are_wanted(visit, index):
    page = visit()
    original = "food-000000"
    page.locator("#mm-picture input[type=file]").set_input_files(index.parent / "world" / "images" / f"{original}.png")
    comes(page, lambda: shown(page)[:1], [original])
    assert TWIN not in shown(page)
    assert "1 near-duplicate" in card(page, original).locator(".mm-folded").get_attribute("title")
    page.get_by_role("button", name="More ways to search").click()
    page.get_by_label("Fold near-duplicates").uncheck()
    comes(page, lambda: set(shown(page)[:2]), {original, TWIN})


def test_scrolling_brings_the_rest_without_a_gap_or_a_repeat(visit):
    page = visit()
    search(page, "a green plate")
    whole = ids_of(answer(page, text="a green plate", top_k=100))
    assert len(whole) > 48
    for _ in range(40):
        if len(shown(page)) >= len(whole):
            break
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(250)
    assert shown(page) == whole


def test_an_example_fills_the_box_and_searches(visit):
    page = visit()
    example = page.locator("#mm-examples button").first
    words = example.inner_text().strip()
    page.locator(WORDS).fill("something else")
    example.click()
    page.locator("#mm-status", has_text=words).wait_for()
    assert page.locator(WORDS).input_value() == words
    assert shown(page) == ids_of(answer(page, text=words))
