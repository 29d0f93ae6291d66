"""Sentences of the panels as HTML, and the components that they stand in."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr


def slot(value: str = "", elem_id: str | None = None) -> Any:
    """A place for HTML, with no more style than our own."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False)


def line(text: str) -> str:
    """A quiet remark."""
    return f'<p class="mmb-cost">{escape(text)}</p>'


def refused(sentence: str) -> str:
    """Why something was not done; a screen reader says it at once."""
    return f'<p class="mmb-error" role="alert">{escape(sentence)}</p>'


def bar(what: str, done: int = 0, total: int = 0, told: str = "") -> str:
    """How far something is; without a total only that it goes on. `what` is for screen readers."""
    far = f' max="{total}" value="{done}"' if total else ""
    said = f"<p>{escape(told)}</p>" if told else ""
    return f'<div class="mmb-progress"><progress aria-label="{escape(what)}"{far}></progress>{said}</div>'
