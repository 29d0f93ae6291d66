"""The picture of a query: a tile that takes one by choosing, pasting or dropping, and shows the one there is."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.html import icon
from mmretrieval.web.results import thumbnail_url

if TYPE_CHECKING:
    from gradio import HTML

    from mmretrieval.web.desk import Desk

# The script of the page does the work; it finds the events by these names.
_EVENTS = "window.mmPicture(element, trigger, ['sent', 'cleared']);"


def picture_tile() -> HTML:
    """Its events are "sent", with the `token` of an upload, and "cleared"."""
    import gradio as gr

    return gr.HTML(empty_html(), elem_id="mm-picture", js_on_load=_EVENTS, apply_default_css=False)


def picture_html(desk: Desk, form: SearchForm | None) -> str:
    """The picture of a form, or an empty tile. Raises NotFound for an upload that is not kept any more."""
    if form is None or not form.has_picture:
        return empty_html()
    if form.image is not None:
        address = f"data:image/jpeg;base64,{base64.b64encode(desk.uploads.get(form.image).shown).decode()}"
        return _filled(address, "the picture you gave")
    return _filled(thumbnail_url(form.image_id or "", 256), f"picture {form.image_id} of the collection")


def empty_html() -> str:
    """The tile that waits for a picture."""
    return (
        f'<label class="mm-drop" title="Choose a picture, paste one, or drop it anywhere">{icon("picture")}'
        '<span>Picture</span><input type="file" accept="image/*" class="mm-unseen" '
        'aria-label="Search with a picture: choose a file, paste one, or drop it anywhere on the page"></label>'
    )


def _filled(address: str, what: str) -> str:
    return (
        f'<div class="mm-given"><img src="{escape(address)}" alt="Search with {escape(what)}">'
        f'<button type="button" data-mm="clear" title="Take the picture out" aria-label="Take the picture out of the '
        f'search">{icon("wrong")}</button></div>'
    )
