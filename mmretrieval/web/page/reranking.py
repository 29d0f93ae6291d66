"""The panel for reranking: which methods, at what cost, how far they are, and what they changed.

A search never reranks by itself: it happens on a click, after the cost was told, and can be stopped at any time.
"""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr

from mmretrieval import registry
from mmretrieval.errors import MissingPrerequisite, UsageError
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import SearchForm
from mmretrieval.web.links import from_link
from mmretrieval.web.page import told
from mmretrieval.web.page.html import shortened
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.reranks import AFTER, BEFORE, FIRST, Outputs, Reranking, looked_at, ready

WITHOUT_MODEL = "This server has no language model, so methods that ask one are not offered; --mllm names one."
_DEPTH, _DEEPEST = 16, 100
_LONGEST_LABEL = 72


def panel(parts: Parts) -> None:
    """Draws the panel where it is called."""
    reranking = Reranking(parts)
    with gr.Column(elem_classes="mmb-form"):
        chosen, depth = _wishes(parts.desk)
    cost = told.slot(told.line(FIRST), "mmb-cost")
    with gr.Row():
        run = gr.Button("Rerank", variant="primary", size="md", elem_id="mmb-run", interactive=False)
        stop = gr.Button("Stop", size="md", elem_id="mmb-stop", interactive=False)
    progress = told.slot('<div class="mmb-progress"></div>', "mmb-progress")
    with gr.Column(elem_classes="mmb-form"):
        which = gr.Radio(
            [AFTER, BEFORE], value=AFTER, label="The results show the order", visible=False, elem_id="mmb-which"
        )
    sides, steps = told.slot("", "mmb-sides"), told.slot("", "mmb-steps")
    with gr.Accordion("What the language model saw and wrote", open=False, visible=False, elem_id="mmb-look") as look:
        seen = told.slot("", "mmb-seen")
    out = Outputs(progress, sides, steps, run, stop, which, look, gr.State(None, time_to_live=3600))
    wishes, quiet = [chosen, depth, parts.form], {"show_progress": "hidden", "api_visibility": "private"}
    changes = [chosen.change, depth.release, parts.form.change]
    gr.on(changes, reranking.cost, wishes, cost, concurrency_limit=None, trigger_mode="always_last", **quiet)
    gr.on([chosen.change, parts.form.change], ready, [chosen, parts.form], run, queue=False, **quiet)
    to = [*(getattr(out, name) for name in Outputs.__slots__), *parts.outputs]
    run.click(reranking.run, [*wishes, parts.marks], to, concurrency_limit=None, **quiet)
    stop.click(reranking.stop, None, stop, queue=False, **quiet)
    which.input(reranking.take, [which, out.done, parts.form, parts.marks], parts.outputs, queue=False, **quiet)
    parts.form.change(reranking.follow, [parts.form, out.done], to[: -len(parts.outputs)], queue=False, **quiet)
    gr.on(None, of_link, None, chosen, queue=False, **quiet)
    look.expand(looked_at, out.done, seen, queue=False, **quiet)


def _wishes(desk: Desk) -> tuple[Any, Any]:
    info = "One or several, in their order; with settings, as in ingredients:alpha=1."
    chosen = gr.Dropdown(
        choices(desk),
        value=[],
        multiselect=True,
        max_choices=3,
        allow_custom_value=True,
        label="Rerank by",
        info=info if desk.mllm is not None else f"{info} {WITHOUT_MODEL}",
        elem_id="mmb-chosen",
    )
    depth = gr.Slider(
        2,
        _DEEPEST,
        _DEPTH,
        step=1,
        label="How many of the best they look at",
        buttons=[],
        elem_id="mmb-depth",
    )
    return chosen, depth


def choices(desk: Desk) -> list[tuple[str, str]]:
    """The rerankers that a visitor may choose, each with one line about it.

    Those that load a model of their own are for the one who started the server; those that ask a language model need
    one that was named at the start.
    """
    found = []
    for name in registry.names("rerankers"):
        try:
            method = registry.load("rerankers", name)
        except MissingPrerequisite:
            continue  # not installed here, so nobody can choose it
        if "open_encoder" not in inspect.signature(method).parameters and _can_run(desk, name):
            about = (inspect.getdoc(method) or name).partition("\n")[0]
            found.append((shortened(f"{name}: {about}", _LONGEST_LABEL), name))
    return found


def _can_run(desk: Desk, name: str) -> bool:
    if desk.mllm is not None:
        return True
    try:
        desk.planned(SearchForm(text=name, rerank=(name,)))
    except UsageError:
        return False  # for want of a language model; a click on what is left tells anything else
    return True


def of_link(request: gr.Request) -> Any:
    """The methods that the page's address names: they are chosen, and wait for a click."""
    try:
        form, _ = from_link(dict(request.query_params))
    except UsageError:
        return gr.skip()  # the results tell what is wrong with it
    return list(form.rerank) if form.rerank else gr.skip()
