"""Searches to begin with: food, nature, and a picture of this collection with a change."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.html import icon
from mmretrieval.web.results import thumbnail_url

if TYPE_CHECKING:
    from gradio import HTML

    from mmretrieval.collection import Collection

_DRAWN = ("two red foxes in the snow", "fish and rice", "an elephant at sunset")
_PHOTOGRAPHED = ("a bowl of soup with an egg", "a bird on a branch", "people at the sea")
_EVENTS = "window.mmExamples(element, trigger, ['example']);"


def examples_of(collection: Collection) -> tuple[SearchForm, ...]:
    """Words first, then pictures with a change; none for an empty collection."""
    if not collection.count:
        return ()
    drawn = collection.is_drawn
    words = tuple(SearchForm(text=text, collapse=True) for text in (_DRAWN if drawn else _PHOTOGRAPHED))
    if not drawn:
        return (*words, SearchForm(text="at night", image_id=collection.ids[collection.count // 3], collapse=True))
    pairs = (_first(collection, "food"), "on a blue plate"), (_first(collection, "nature"), "at sunset instead")
    return (
        *words,
        *(SearchForm(text=change, image_id=record_id, collapse=True) for record_id, change in pairs if record_id),
    )


def examples_row(examples: Sequence[SearchForm]) -> HTML:
    """Its event is "example", with the `number` of the one that was chosen."""
    import gradio as gr

    chips = "".join(_chip(number, form) for number, form in enumerate(examples))
    html = f'<div class="mm-tries" role="group" aria-label="Examples"><span class="mm-quiet">Try</span>{chips}</div>'
    return gr.HTML(html if chips else "", elem_id="mm-examples", js_on_load=_EVENTS, apply_default_css=False)


def _chip(number: int, form: SearchForm) -> str:
    words = escape(form.text)
    if form.image_id is None:
        return f'<button type="button" data-number="{number}">{icon("search")}{words}</button>'
    picture = f'<img src="{escape(thumbnail_url(form.image_id, 128))}" alt="a picture" width="26" height="26">'
    return f'<button type="button" data-number="{number}">{picture}<span>+ {words}</span></button>'


def _first(collection: Collection, prefix: str) -> str:
    """The first id of one half of the drawn world."""
    return next((each for each in collection.ids[:5000] if each.startswith(prefix)), "") or next(
        (each for each in collection.ids[-5000:] if each.startswith(prefix)), ""
    )
