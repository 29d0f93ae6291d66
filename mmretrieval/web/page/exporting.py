"""The panel for export: what is shown, as CSV, JSON or a TREC run."""

from __future__ import annotations

from functools import partial
from typing import Any

import gradio as gr

from mmretrieval.errors import MMRetrievalError
from mmretrieval.types import Ranking
from mmretrieval.web.export import Format, export
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page import download, told
from mmretrieval.web.page.parts import Parts

_KINDS: tuple[tuple[str, Format], ...] = (("CSV", "csv"), ("JSON", "json"), ("TREC run", "trec"))


def panel(parts: Parts) -> None:
    """Draws the panel where it is called."""
    told.slot(told.line("The results as they are shown, in their order."))
    with gr.Row():
        buttons = [gr.Button(label, size="md", elem_id=f"mmb-export-{kind}", min_width=90) for label, kind in _KINDS]
    remark = told.slot("", "mmb-export-told")
    slot = download.slot("mmb-export-file")
    for button, (_, kind) in zip(buttons, _KINDS, strict=True):
        button.click(
            partial(exported, kind),
            [parts.form, parts.ranking],
            [slot, remark],
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )


def exported(kind: Format, form: SearchForm | None, ranking: Ranking | None) -> tuple[Any, str]:
    """The file for a slot, and a sentence where there is none."""
    if form is None or ranking is None:
        return gr.skip(), told.refused("There is nothing to export yet: search first.")
    try:
        file = export(form, ranking, kind)
    except MMRetrievalError as error:
        return gr.skip(), told.refused(str(error))
    return download.handed(file), ""
