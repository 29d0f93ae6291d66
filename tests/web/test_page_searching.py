"""The handlers of the page: its inputs become a form, the ranking is the desk's, and what fails becomes a sentence."""

import asyncio
from types import SimpleNamespace
from urllib.parse import parse_qsl

import gradio as gr
import pytest
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.indexing import index
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import Fuse, SearchForm
from mmretrieval.web.links import to_link
from mmretrieval.web.page.balance import balance_section
from mmretrieval.web.page.filtering import filtering_section
from mmretrieval.web.page.landing import landing_html
from mmretrieval.web.page.limiting import limiting_section
from mmretrieval.web.page.page import build, look, words_section
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.searching import Searching
from mmretrieval.web.page.section import formed, inputs_of, written
from mmretrieval.web.page.ways import ways_section

SIZE = 30
FORM, RANKING, STATUS, FOUND, PICTURE, INPUTS = *range(5), slice(5, None)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    place = tmp_path_factory.mktemp("searching")
    (place / "pictures").mkdir()
    for number in range(SIZE):
        (place / "pictures" / f"p{number:02}.png").write_bytes(encoded(picture(number), "PNG"))
    index(place / "pictures", place / "index", encoder=SketchEncoder())
    with Desk(place / "index", encoder=SketchEncoder()) as desk:
        yield desk


async def made(make):
    """Gradio makes an event loop where none runs, and leaves it open: so one runs."""
    return make()


@pytest.fixture(scope="module")
def searching(desk):
    """The handlers over the page's own inputs; the parts that only show things are left out."""

    def make():
        with gr.Blocks(analytics_enabled=False):
            words, balance, limiting = words_section(gr.Textbox()), balance_section(desk.collection), limiting_section()
            sections = (words, balance, limiting, filtering_section(desk.collection), ways_section())
            parts = Parts(desk, None, None, None, None, None, sections)
            return Searching(parts, gr.HTML(), [SearchForm(text="an example")])

    return asyncio.run(made(make))


@pytest.fixture
def values(searching):
    """What stands in the inputs, with some of it filled in."""

    def filled(**fields):
        return written(SearchForm(collapse=True, **fields), searching.parts.sections)

    return filled


def is_kept(value):
    return value == gr.skip()


FORMS = {
    "words": SearchForm(text="soup"),
    "weights": SearchForm(text="soup", weights={"text": 0.25, "image": 0.75}),
    "captions": SearchForm(text="soup", fuse=Fuse(image=0.6, caption=0.4)),
    "words to avoid": SearchForm(text="soup", minus=("an egg", "rice")),
    "a filter": SearchForm(text="soup", filter="path LIKE '%1%'"),
    "words of captions": SearchForm(text="soup", collapse=True, hybrid="rrf", compose="slerp"),
    "a cutoff": SearchForm(text="soup", cutoff=True),
}


@pytest.mark.parametrize("name", FORMS)
def test_inputs_that_show_a_form_say_that_form(name, searching):
    sections = searching.parts.sections
    shown = written(FORMS[name], sections)
    assert len(shown) == len(inputs_of(sections))
    assert formed(None, sections, shown) == FORMS[name]


def test_the_picture_and_the_examples_of_a_search_stay_when_an_input_changes(searching, values):
    before = SearchForm(text="old", image_id="p03", like=("p01",), filter="path = 'x'")
    made = formed(before, searching.parts.sections, values(text="new"))
    assert (made.text, made.image_id, made.like, made.filter) == ("new", "p03", ("p01",), "")


@pytest.mark.parametrize("name", ["words", "words to avoid", "a filter", "words of captions"])
def test_the_page_shows_the_ranking_of_the_desk(name, searching, desk):
    form = FORMS[name]
    told = searching.search(None, (), *written(form, searching.parts.sections))
    wanted = desk.search(form)
    assert told[FORM] == form
    assert told[RANKING].ids == wanted.ids
    assert [told[FOUND].index(f'data-id="{each}"') for each in wanted.ids] == sorted(
        told[FOUND].index(f'data-id="{each}"') for each in wanted.ids
    )
    assert all(is_kept(value) for value in told[INPUTS])
    among = len(desk.collection.matching(form.filter)) if form.filter else SIZE
    shown = len(wanted.ids)
    assert (f"all {among} in" if shown == among else f"best {shown} of {among} in") in told[STATUS]


def test_scrolling_goes_on_where_the_gallery_ends(searching, desk):
    form = SearchForm(text="soup")
    following = desk.search(form.model_copy(update={"offset": 24})).ids
    html = searching.more(form, (), SimpleNamespace(next=24, best=0.5))
    assert len(following) == SIZE - 24
    assert [html.index(f'data-id="{each}"') > 0 for each in following] == [True] * len(following)
    assert 'data-next=""' in html
    assert "Picture 25" in html


def test_a_result_becomes_the_picture_and_its_words_go(searching, values):
    told = searching.use(SimpleNamespace(id="p04"), None, (), *values(text="soup"))
    assert (told[FORM].image_id, told[FORM].text) == ("p04", "")
    assert told[RANKING].ids[0] == "p04"
    assert told[INPUTS][0] == ""
    assert "p04" in told[PICTURE]


def test_an_upload_is_searched_with_the_words_beside_it(searching, desk, values):
    kept = desk.uploads.add(encoded(picture(7), "PNG"))
    told = searching.send(SimpleNamespace(token=kept.token), None, (), *values(text=""))
    assert told[RANKING].ids[0] == "p07"
    assert "data:image/jpeg;base64," in told[PICTURE]
    assert told[FORM].image == kept.token
    cleared = searching.clear(told[FORM], (), *values(text="soup"))
    assert cleared[FORM].image is None
    assert cleared[RANKING].ids == desk.search(SearchForm(text="soup", collapse=True)).ids


def test_taking_the_picture_out_of_a_search_of_nothing_else_leaves_the_results(searching, values):
    told = searching.clear(SearchForm(image_id="p04"), (), *values(text=""))
    assert told[FORM].image_id is None
    assert is_kept(told[FOUND])
    assert 'type="file"' in told[PICTURE]


def test_an_example_takes_the_place_of_everything(searching):
    told = searching.example((), SimpleNamespace(number=0))
    assert told[FORM] == SearchForm(text="an example")
    assert formed(None, searching.parts.sections, told[INPUTS]) == told[FORM]


def opened(searching, link):
    return searching.link((), SimpleNamespace(query_params=dict(parse_qsl(link))))


def test_a_link_brings_back_the_search_and_shows_it_in_the_inputs(searching, desk):
    form = SearchForm(text="soup & rice", minus=("egg",), collapse=True, weights={"text": 0.25, "image": 0.75})
    told = opened(searching, to_link(form))
    assert told[FORM] == form
    assert told[RANKING].ids == desk.search(form).ids
    assert formed(None, searching.parts.sections, told[INPUTS]) == form


def test_a_link_spends_nothing_at_a_language_model(searching, desk):
    told = opened(searching, to_link(SearchForm(text="soup", rerank=("pointwise",))))
    assert told[RANKING].ids == desk.search(SearchForm(text="soup")).ids
    assert [step.calls for step in told[RANKING].steps] == [0]
    assert "by pointwise: choose that under Rerank" in told[STATUS]


def test_a_link_to_an_uploaded_picture_says_what_it_lacks(searching):
    told = opened(searching, to_link(SearchForm(text="soup", image="x" * 20)))
    assert told[RANKING].ids
    assert "The uploaded picture is not in this link: upload it again." in told[STATUS]


def test_the_examples_of_a_search_are_told(searching, desk):
    form = SearchForm(text="soup", like=("p01", "p02"), unlike=("p03",))
    assert "“soup” and 2 good examples and 1 bad example" in searching.parts.shown(form, desk.search(form))[STATUS]


def test_a_page_without_a_link_stays_as_it_is(searching):
    assert all(is_kept(value) for value in opened(searching, ""))
    assert all(is_kept(value) for value in opened(searching, "utm_source=elsewhere"))


REFUSED = {
    "nothing": ({}, "Type what you look for"),
    "an unknown field": ({"text": "a", "filter": "colour = 1"}, "No record has the field colour"),
    "a filter that is none": ({"text": "a", "filter": "path =="}, "filter"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_searched_is_told_and_the_results_stay(name, searching, values):
    fields, sentence = REFUSED[name]
    told = searching.search(None, (), *values(**fields))
    assert sentence in told[STATUS]
    assert 'role="alert"' in told[STATUS]
    assert all(is_kept(value) for place, value in enumerate(told) if place != STATUS)


def test_an_upload_that_is_gone_is_told(searching, values):
    told = searching.search(SearchForm(image="x" * 20), (), *values(text="soup"))
    assert "upload it again" in told[STATUS]


def test_too_many_words_to_avoid_are_told(searching, values):
    inputs = values(text="soup")
    place = next(at for at, each in enumerate(inputs_of(searching.parts.sections)) if each.label == "Without")
    inputs[place] = "a, b, c, d, e, f, g, h, i, j"
    assert "minus" in searching.search(None, (), *inputs)[STATUS].lower()


def test_a_look_into_the_collection_goes_all_through_it(desk):
    html = landing_html(desk.collection)
    assert html.count('class="mm-card"') == 24
    assert 'data-id="p00"' in html
    assert 'data-id="p29"' in html


def test_the_page_can_be_built_and_asks_nothing_of_strangers(desk):
    page, worn = asyncio.run(made(lambda: build(desk))), look()
    assert {each.label for each in page.blocks.values() if isinstance(each, gr.Slider) and each.visible is False} == {
        "Looks ↔ captions"
    }
    files = [path.read_text("utf-8") for path in worn["css_paths"]]
    assert not [text for text in [worn["head"], *files] if "http:" in text or "https:" in text or "@import" in text]
    assert worn["theme"]._stylesheets == []
    visible = [each for each in page.config["dependencies"] if each.get("api_visibility", "public") == "public"]
    assert visible == []
