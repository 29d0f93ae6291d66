"""Further ways of searching: what is folded or left out, captions looked up by their words, how parts are joined."""

from __future__ import annotations

from typing import Any

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.section import Section

_JOINS = [("Added", "sum"), ("Halfway between", "slerp"), ("Both at once", "product")]
_WORDS = [("No", ""), ("By ranks", "rrf"), ("By scores", "blend")]


def ways_section() -> Section:
    """Two switches and two choices, which act at once."""
    import gradio as gr

    collapse = gr.Checkbox(True, label="Fold near-duplicates")
    cutoff = gr.Checkbox(False, label="Leave out what does not fit")
    hybrid = gr.Radio(_WORDS, value="", label="Look words up in captions, too")
    compose = gr.Radio(_JOINS, value="sum", label="Words and picture are")
    inputs = [collapse, cutoff, hybrid, compose]
    return Section(inputs, _read, _write, acts_at_once=inputs)


def _read(collapse: bool, cutoff: bool, hybrid: str, compose: str) -> dict[str, Any]:
    return {"collapse": collapse, "cutoff": cutoff, "hybrid": hybrid or None, "compose": compose or "sum"}


def _write(form: SearchForm) -> tuple[bool, bool, str, str]:
    return bool(form.collapse), bool(form.cutoff), form.hybrid or "", form.compose
