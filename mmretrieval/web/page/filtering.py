"""Filters out of the collection's own fields: what is chosen becomes a filter as the command line takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.facets import Facet, facets
from mmretrieval.web.page.section import Section

if TYPE_CHECKING:
    from gradio.components import Component

    from mmretrieval.collection import Collection

_FEW = 6  # values that are shown all at once


def filtering_section(collection: Collection) -> Section:
    """An input or two for each facet, and a line for everything that filters can say."""
    import gradio as gr

    found = facets(collection)
    chosen = [component for facet in found for component in _inputs(facet)]
    at_once = [each for each in chosen if not isinstance(each, gr.Textbox)]  # half a number is none: Enter sends it
    names = ", ".join(use.name for use in collection.fields()[:40])
    expression = gr.Textbox(
        label="Filter", placeholder="caption LIKE '%fish%'", info=f"Fields: {names}", max_length=2000
    )

    def read(*values: Any) -> dict[str, Any]:
        return {"filter": expression_of(found, values[:-1], values[-1] or "")}

    def write(form: SearchForm) -> list[Any]:
        return [*(None if facet.kind != "choice" else [] for facet in found for _ in range(_width(facet))), form.filter]

    return Section([*chosen, expression], read, write, acts_at_once=at_once)


def expression_of(found: Sequence[Facet], values: Sequence[Any], written: str) -> str:
    """All that was chosen and written, joined by AND; `values` are those of the facets' inputs in their order."""
    rest, conditions = list(values), []
    for facet in found:
        own, rest = rest[: _width(facet)], rest[_width(facet) :]
        if facet.kind == "choice":
            conditions.append(facet.chosen(own[0] or ()))
        else:
            conditions.append(facet.between(own[0] or "", own[1] or ""))
    kept = [each for each in conditions if each]
    if written.strip():
        kept.append(f"({written.strip()})" if kept else written.strip())
    return " AND ".join(kept)


def _width(facet: Facet) -> int:
    return 1 if facet.kind == "choice" else 2


def _inputs(facet: Facet) -> list[Component]:
    import gradio as gr

    label = facet.name.replace("_", " ").strip('"')
    if facet.kind == "choice":
        choices = [(f"{value} ({count:,})", value) for value, count in facet.values]
        if len(choices) <= _FEW:
            return [gr.CheckboxGroup(choices, label=label)]
        return [
            gr.Dropdown(
                choices, label=label, multiselect=True, value=[], info="All of them" if facet.is_list else "Any of them"
            )
        ]
    # boxes for words, since an untouched box for numbers sends a nought
    with gr.Row(elem_classes="mm-range"):
        return [
            gr.Textbox(label=f"{label} from", placeholder=_shown(facet.low), max_length=20),
            gr.Textbox(label="to", placeholder=_shown(facet.high), max_length=20),
        ]


def _shown(bound: float | str | None) -> str:
    return f"{bound:g}" if isinstance(bound, int | float) else str(bound)
