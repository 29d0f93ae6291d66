"""The page: one search box over a desk, its settings, the pictures, and the panels for all that comes after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mmretrieval.web.form import LONGEST_TEXT
from mmretrieval.web.page import exporting, indexing, marking, reranking
from mmretrieval.web.page.balance import balance_section
from mmretrieval.web.page.examples import examples_of, examples_row
from mmretrieval.web.page.filtering import filtering_section
from mmretrieval.web.page.header import header_html
from mmretrieval.web.page.landing import landing_html
from mmretrieval.web.page.limiting import limiting_section
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.picture import picture_tile
from mmretrieval.web.page.searching import Searching
from mmretrieval.web.page.section import Section
from mmretrieval.web.page.theme import theme
from mmretrieval.web.page.ways import ways_section

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradio.components import Component

    from mmretrieval.web.desk import Desk

PLAIN: dict[str, Any] = {"apply_default_css": False}  # the page has a style of its own
HERE = Path(__file__).parent
_GALLERY = "window.mmGallery(element, trigger, ['open', 'use', 'mark', 'more', 'link']);"
_TAIL = "window.mmTail(element, watch);"
_STATUS = "window.mmStatus(element);"


def build(desk: Desk) -> gr.Blocks:
    """The page over a desk; the server mounts it, and adds the MCP tools."""
    with gr.Blocks(title="mmretrieval", analytics_enabled=False, delete_cache=(600, 600), fill_width=True) as page:
        gr.HTML(header_html(desk), elem_id="mm-top", **PLAIN)
        with gr.Column(elem_id="mm-ask"):
            with gr.Row(elem_id="mm-box"):
                picture = picture_tile()
                words, go = _words(), gr.Button("Search", variant="primary", elem_id="mm-go", scale=0)
            examples = examples_of(desk.collection)
            tries = examples_row(examples)
        with gr.Row(elem_id="mm-body"):
            with gr.Column(elem_id="mm-rail", scale=0, min_width=280):
                sections = (words_section(words), *_rail(desk))
            with gr.Column(elem_id="mm-main"):
                parts = _results(desk, sections)
        searching = Searching(parts, picture, examples)
        _wire(page, searching, go=go, picture=picture, tries=tries)
    return page


def look() -> dict[str, Any]:
    """What the server hands to `mount_gradio_app` for the page: theme, css, js, head."""
    return {
        "theme": theme(),
        "css_paths": [HERE / "style.css", HERE / "panels.css"],
        "head": f"<script>{(HERE / 'script.js').read_text('utf-8')}</script>",
    }


def panels(desk: Desk) -> list[tuple[str, Callable[[Parts], None]]]:
    """What stands behind the results, each in a tab of its own."""
    found: list[tuple[str, Callable[[Parts], None]]] = [
        ("Rerank", reranking.panel),
        ("Marks", marking.panel),
        ("Export", exporting.panel),
    ]
    if desk.allow_index:
        found.append(("Add pictures", indexing.panel))
    return found


def words_section(words: Component) -> Section:
    """The search box as a section."""
    return Section([words], lambda text: {"text": text or ""}, lambda form: [form.text])


def _words() -> gr.Textbox:
    return gr.Textbox(
        label="What you look for, or what should change in the picture",
        placeholder="Describe what you look for",
        show_label=False,
        container=False,
        autofocus=True,
        max_length=LONGEST_TEXT,
        max_lines=4,
        elem_id="mm-words",
        scale=1,
    )


def _rail(desk: Desk) -> list[Section]:
    """The settings beside the results."""
    with gr.Column(elem_classes="mm-group"):
        balance, limiting = balance_section(desk.collection), limiting_section()
    with gr.Accordion("Narrow down", open=True, elem_classes="mm-group"):
        filtering = filtering_section(desk.collection)
    with gr.Accordion("More ways to search", open=False, elem_classes="mm-group"):
        ways = ways_section()
    return [balance, limiting, filtering, ways]


def _results(desk: Desk, sections: tuple[Section, ...]) -> Parts:
    form, ranking, marks = gr.State(None), gr.State(None), gr.State(())  # among the tabs they would count as tabs
    with gr.Tabs(elem_id="mm-tabs"):
        with gr.Tab("Results", id="results"):
            status = gr.HTML(_welcome(), elem_id="mm-status", js_on_load=_STATUS, **PLAIN)
            found = gr.HTML(landing_html(desk.collection), elem_id="mm-found", js_on_load=_GALLERY, **PLAIN)
        parts = Parts(desk, form, ranking, marks, found, status, sections)
        for title, panel in panels(desk):
            with gr.Tab(title, id=title.lower().replace(" ", "-")):
                panel(parts)
    return parts


def _welcome() -> str:
    told = '<b>A look into the collection</b> <span class="mm-quiet">choose a picture to find others like it</span>'
    return f'<div class="mm-status"><span>{told}</span></div>'


def _wire(page: gr.Blocks, searching: Searching, *, go: Any, picture: Any, tries: Any) -> None:
    parts, out = searching.parts, searching.outputs
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
    at_once = [each.input for section in parts.sections for each in section.acts_at_once]
    submits = [each.submit for section in parts.sections for each in section.inputs if isinstance(each, gr.Textbox)]
    gr.on([go.click, *submits], searching.search, parts.inputs, out, **quiet)
    gr.on(at_once, searching.search, parts.inputs, out, trigger_mode="always_last", **quiet)
    picture.sent(searching.send, parts.inputs, out, **quiet)
    picture.cleared(searching.clear, parts.inputs, out, **quiet)
    parts.found.use(searching.use, parts.inputs, out, **quiet)
    tries.example(searching.example, parts.marks, out, **quiet)
    tail = gr.HTML(elem_id="mm-tail", visible="hidden", js_on_load=_TAIL, **PLAIN)
    parts.found.more(searching.more, [parts.form, parts.marks], tail, **quiet)
    page.load(searching.link, parts.marks, out, **quiet)
