"""What should not be there: words to lead away from, with commas between them."""

from __future__ import annotations

from typing import Any

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.section import Section


def limiting_section() -> Section:
    """One line of words; Enter searches."""
    import gradio as gr

    minus = gr.Textbox(label="Without", placeholder="rice, a fork", max_length=1000)
    return Section([minus], _read, _write)


def _read(minus: str) -> dict[str, Any]:
    words = (each.strip() for each in (minus or "").split(","))
    return {"minus": tuple(each for each in words if each)}


def _write(form: SearchForm) -> list[str]:
    return [", ".join(form.minus)]
