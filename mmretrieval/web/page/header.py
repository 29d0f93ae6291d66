"""The top of the page: what is searched, with which models, and what those know."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mmretrieval.encoders import is_demo
from mmretrieval.searcher import doubts
from mmretrieval.web.page.html import as_sentence, icon

if TYPE_CHECKING:
    from mmretrieval.web.desk import Desk

DEMO_KNOWS = "a small model that knows nothing but the drawn pictures of the demo; for photographs use another one"
_DEMO = "Demo models: they know drawn pictures only"
_MARK = (
    '<svg class="mm-mark-sign" viewBox="0 0 24 24" aria-hidden="true"><rect x="2" y="2" width="9" height="9" rx="2.5"/>'
    '<rect x="13" y="2" width="9" height="9" rx="2.5"/><rect x="2" y="13" width="9" height="9" rx="2.5"/>'
    '<circle cx="17" cy="17" r="4.2"/></svg>'
)


def header_html(desk: Desk) -> str:
    """A bar with the name, the models, and a switch between light and dark."""
    collection = desk.collection
    doubt = "".join(f'<p class="mm-doubt" role="note">{escape(as_sentence(each))}</p>' for each in doubts(collection))
    return (
        f'<header class="mm-bar-top">{_MARK}<h1>mmretrieval</h1>'
        f'<span class="mm-count">{collection.count:,} pictures</span><span class="mm-space"></span>'
        f'<button type="button" class="mm-round mm-settings-button" data-mm="settings" aria-label="Settings" '
        f'aria-expanded="false" title="Settings">{icon("settings")}</button>'
        f"{_models(desk)}"
        f'<button type="button" class="mm-round" data-mm="theme" aria-label="Switch between light and dark" '
        f'title="Light or dark">{icon("theme")}</button></header>{doubt}'
    )


def _models(desk: Desk) -> str:
    encoder = desk.collection.encoder_spec
    asked = model_name(desk.mllm)
    facts = [("Looks", encoder, knows(encoder))]
    facts.append(("Language model", asked or "none", knows(asked) if asked else "start the server with --mllm for one"))
    rows = "".join(
        f"<div><dt>{name}</dt><dd><b>{escape(model)}</b><span>{escape(told)}</span></dd></div>"
        for name, model, told in facts
    )
    short = _DEMO if is_demo(encoder) else " · ".join(model for model in (encoder, asked) if model)
    return (
        f'<details class="mm-models"><summary title="Which models are loaded, and what they know">{icon("info")}'
        f'<span>{escape(short)}</span></summary><dl class="mm-facts">{rows}</dl></details>'
    )


def knows(model: str) -> str:
    """What a model knows, as far as its name tells."""
    return DEMO_KNOWS if is_demo(model) else "knows what it was trained on; see its card"


def model_name(model: object) -> str:
    """The name of a language model that was given by name or opened; empty where there is none."""
    return (
        model if isinstance(model, str) else "" if model is None else str(getattr(model, "name", type(model).__name__))
    )
