"""What the page shows of a hit: its words are only words, its numbers add up, and its badges tell how it was placed."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from mmretrieval.features import Feature
from mmretrieval.types import Hit, ImageRecord, Query, Ranking, Step
from mmretrieval.web.form import SearchForm
from mmretrieval.web.links import from_link
from mmretrieval.web.page.breakdown import breakdown_html
from mmretrieval.web.page.cards import Card, card_html, glance_html, words_of
from mmretrieval.web.page.detail import detail_html
from mmretrieval.web.page.gallery import gallery_html, more_html, share_of, status_of
from mmretrieval.web.page.status import status_html

EVIL = '<img src=x onerror="alert(1)">\'&'


class Tags(HTMLParser):
    """The tags of a page with their attributes, as a browser reads them, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def having(self, name, value=None):
        return [found for _, found in self.tags if name in found and value in (None, found[name])]


class Shelf:
    """A collection of records without vectors."""

    def __init__(self, *records):
        self._records = {record.id: record for record in records}

    def records(self, ids):
        return [self._records[each] for each in ids]

    def feature_rows(self, ids):
        return {each: {"caption": Feature("caption", EVIL, origin="a model")} for each in ids}


def card(hit=None, record=None, **more):
    return Card(1, hit or Hit("a", "dense", 0.5), record or ImageRecord("a", "a.jpg"), **more)


def whole(of):
    """The card, and the larger view as the page takes it out of the card."""
    page = card_html(of, detail_html(of))
    [opened] = Tags(page).having("data-detail")
    return page + opened["data-detail"]


def ranking(*hits, steps=()):
    return Ranking(Query(text="soup"), hits, steps)


def test_words_of_a_collection_and_a_model_stay_words():
    details = {"matched": [EVIL], "missing": {EVIL: EVIL}, "verdict": EVIL, EVIL: EVIL}
    hit = Hit(EVIL, EVIL, 0.5, path=EVIL, why=EVIL, scores={EVIL: 0.5}, duplicates=(EVIL,), details=details)
    record = ImageRecord(EVIL, EVIL, EVIL, {EVIL: EVIL, "licence": EVIL, "list": [EVIL], "deep": {EVIL: EVIL}})
    said = {"caption": Feature("caption", EVIL, origin=EVIL), "ingredients": Feature("ingredients", EVIL)}
    form = SearchForm(text=EVIL, image_id=EVIL)
    page = whole(card(hit, record, features=said)) + glance_html(card(hit, record))
    page += status_html(form, ranking(hit), 3, [EVIL]) + status_html(sentence=EVIL)
    page += gallery_html(Shelf(record), form, ranking(hit), {}) + more_html(sentence=EVIL)
    found = Tags(page)
    places = {given["src"].partition("?")[0].rpartition("/")[0] for given in found.having("src")}
    assert places == {"/api/v1/images", "/api/v1/thumbnails"}
    assert not [name for _, given in found.tags for name in given if name.startswith("on")]
    assert found.text.count("onerror=") > 20


def test_a_picture_is_asked_for_by_its_id_and_named_by_its_caption():
    page = Tags(whole(card(record=ImageRecord("lake/heron 1?", "x.jpg", "a heron  with a fish"))))
    assert page.having("class", "mm-open")[0]["aria-label"] == "Picture 1: a heron with a fish. Show more"
    assert page.having("src")[0]["src"] == "/api/v1/thumbnails/lake%2Fheron%201%3F?side=384"
    assert page.having("alt", "a heron with a fish")[0]["src"] == "/api/v1/images/lake%2Fheron%201%3F"


def test_every_button_has_a_name_and_every_picture_a_place():
    page = Tags(whole(card(Hit("a", "dense", 0.5, duplicates=("b",)))))
    buttons = [given for tag, given in page.tags if tag == "button"]
    assert len(buttons) == 5
    assert all(given["type"] == "button" for given in buttons)
    assert all("aria-label" in given or given["class"] == "mm-main-action" for given in buttons)
    assert all("width" in given and "height" in given for given in page.having("loading", "lazy"))


@pytest.mark.parametrize(
    ("grade", "pressed"), [(None, ["false", "false"]), (1, ["true", "false"]), (0, ["false", "true"])]
)
def test_a_mark_stays_pressed(grade, pressed):
    page = Tags(whole(card(grade=grade)))
    assert [given["aria-pressed"] for given in page.having("data-grade")] == pressed


def test_the_badge_tells_who_placed_the_hit_and_how_that_went():
    steps = (Step("dense"), Step("grid", status="fallback"))
    hit = Hit("a", "grid", 0.1, first_stage_rank=4)
    assert status_of(hit, steps) == "fallback"
    assert status_of(Hit("a", "dense"), steps) == "ok"
    page = Tags(whole(card(hit, status="fallback")))
    assert page.having("title", "placed by grid, fallback")
    assert "up 3 from place 4" in page.text
    assert "↩grid" in page.text
    assert page.having("title", "placed by looks") == []


def test_a_bar_compares_with_the_best_score():
    assert share_of(Hit("a", "dense", 0.2), 0.4) == 0.5
    assert share_of(Hit("a", "dense", 0.5), 0.4) == 1.0
    assert share_of(Hit("a", "grid", -1.0), 0.4) == 0.0
    assert share_of(Hit("a", "grid", 0.0), -0.4) == 0.0
    assert share_of(Hit("a", "given"), 0.4) is None
    assert "mm-number" not in whole(card(Hit("a", "given")))


def test_parts_that_were_found_and_missed_are_told_whatever_their_form():
    named = {"rice": "rice", "soup": "broth"}
    assert words_of(Hit("a", "x", details={"matched": ["fox", 2]}), "matched") == ["fox", "2"]
    assert words_of(Hit("a", "x", details={"matched": named}), "matched") == ["rice", "soup: broth"]
    assert words_of(Hit("a", "x", details={"matched": "rice"}), "matched") == []
    text = Tags(whole(card(Hit("a", "x", details={"matched": ["a fox"], "missing": ["snow"]})))).text
    assert text.count("a fox") == text.count("snow") == 2  # on the card and in the larger view


def sums(html):
    """The parts of each table and the number below them."""
    tables = re.findall(r"<tbody>(.*?)</tbody><tfoot>(.*?)</tfoot>", html)
    found = [re.findall(r"<td>([+-]?\d+\.\d+)</td>", part) for table in tables for part in table]
    numbers = [[float(each) for each in part] for part in found]
    return list(zip(numbers[::2], [last for [last] in numbers[1::2]], strict=True))


def test_the_parts_of_a_score_add_up_to_it_and_those_of_looks_to_looks():
    hit = Hit("a", "fused", 0.5, scores={"image": 0.4, "caption": 0.1}, shares={"text": 0.45, "minus": -0.05})
    assert sums(breakdown_html(hit)) == [([0.4, 0.1], 0.5), ([0.45, -0.05], 0.4)]
    assert "do not add up" not in breakdown_html(hit)


def test_a_reranked_hit_shows_its_own_sum_and_that_of_the_search_before():
    before = {"by": "dense", "score": 0.3, "scores": {"image": 0.3}, "shares": {"text": 0.3}}
    hit = Hit("a", "grid", 1.5, scores={"grid": 1.0, "before": 0.5}, details={"first_stage": before})
    assert sums(breakdown_html(hit)) == [([1.0, 0.5], 1.5), ([0.3], 0.3)]


def test_parts_that_do_not_add_up_are_not_passed_off_as_a_sum():
    assert "do not add up" in breakdown_html(Hit("a", "odd", 0.9, scores={"image": 0.4}))
    assert "an order and no score" in breakdown_html(Hit("a", "given"))


@pytest.mark.parametrize(
    ("value", "is_link"),
    [("https://a.example/x", True), ("javascript:alert(1)", False), ("https://a.example/ and more", False)],
)
def test_only_an_address_of_the_web_becomes_a_link(value, is_link):
    record = ImageRecord("a", "a.jpg", meta={"source": value})
    links = [given for given in Tags(detail_html(card(record=record))).having("rel") if given["href"] == value]
    assert bool(links) == is_link
    assert all(given["rel"] == "noopener noreferrer nofollow" for given in links)


def test_credits_and_other_metadata_stand_apart():
    record = ImageRecord("a", "a.jpg", meta={"Licence": "CC-BY-4.0", "place": "Bonn", "nothing": None})
    text = Tags(detail_html(card(record=record))).text
    assert text.index("Details") < text.index("Bonn") < text.index("Credits") < text.index("CC-BY-4.0")
    assert "nothing" not in text


def test_a_caption_tells_which_model_wrote_it():
    record = ImageRecord("a", "a.jpg", "a heron")
    said = Shelf(record).feature_rows("a")["a"]
    assert "written by a model" in detail_html(card(record=record, features=said))
    assert "written by" not in detail_html(card(record=record))


def test_a_gallery_carries_the_link_to_its_search_and_the_way_on():
    form = SearchForm(text="soup & rice", minus=("egg",), top_k=2)
    shelf = Shelf(ImageRecord("a", "a.jpg"), ImageRecord("b", "b.jpg"))
    hits = Hit("a", "dense", 0.5), Hit("b", "dense", 0.25)
    html = gallery_html(shelf, form, ranking(*hits), {"b": 1})
    [grid] = Tags(html).having("data-link")
    assert from_link(grid["data-link"])[0] == form
    assert (grid["data-next"], float(grid["data-best"])) == ("2", 0.5)
    assert Tags(html).having("style", "width:50%")
    assert Tags(gallery_html(shelf, form, ranking(hits[0]), {})).having("data-next", "")
    following = Tags(more_html(shelf, form.model_copy(update={"offset": 2}), ranking(*hits), {}, 0.5))
    assert following.having("data-from", "2")[0]["data-next"] == "4"
    names = [given["aria-label"].partition(":")[0] for given in following.having("class", "mm-open")]
    assert names == ["Picture 3", "Picture 4"]


def test_nothing_found_is_told_with_what_may_help():
    html = unescape(gallery_html(Shelf(), SearchForm(text="a", cutoff=True, filter="x = 1"), ranking(), {}))
    assert "Nothing in this collection fits." in html
    assert "loosen the filter" in html
    assert "leave out less" not in html
    assert from_link(Tags(html).having("data-link")[0]["data-link"])[0].filter == "x = 1"
    told = status_html(SearchForm(text="a"), ranking(), 9, ["query 'q': no record matches"])
    assert "none of 9" in told
    assert "<li>No record matches.</li>" in told
