"""What is left out of the results: things to avoid, near-duplicates, and what does not fit."""

from __future__ import annotations

from typing import Any

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.section import Section


def limiting_section() -> Section:
    """Words to lead away from, with commas between them, and two switches."""
    import gradio as gr

    minus = gr.Textbox(
        label="Without", placeholder="rice, a fork", info="Commas between several things.", max_length=1000
    )
    collapse = gr.Checkbox(True, label="Fold near-duplicates")
    cutoff = gr.Checkbox(False, label="Leave out what does not fit")
    return Section([minus, collapse, cutoff], _read, _write, acts_at_once=[collapse, cutoff])


def _read(minus: str, collapse: bool, cutoff: bool) -> dict[str, Any]:
    words = (each.strip() for each in (minus or "").split(","))
    return {"minus": tuple(each for each in words if each), "collapse": collapse, "cutoff": cutoff}


def _write(form: SearchForm) -> tuple[str, bool, bool]:
    return ", ".join(form.minus), bool(form.collapse), bool(form.cutoff)
