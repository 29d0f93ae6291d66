"""The panel for reranking: which methods, at what cost, how far they are, and what they changed.

A search never reranks by itself: it happens on a click, after the cost was told, and can be stopped at any time.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from pydantic import ValidationError

from mmretrieval import registry
from mmretrieval.errors import MissingPrerequisite, UsageError
from mmretrieval.types import Hit, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page import told
from mmretrieval.web.page.badges import badge, steps_html
from mmretrieval.web.page.costs import cost_line
from mmretrieval.web.page.html import shortened
from mmretrieval.web.page.marks import Mark
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.rerunning import Done, Far, rerank, with_depth
from mmretrieval.web.page.seen import seen_html
from mmretrieval.web.page.sides import sides_html, worth_showing
from mmretrieval.web.page.work import Work
from mmretrieval.web.refusals import refusal
from mmretrieval.web.results import thumbnail_url

BEFORE, AFTER, SO_FAR = "Before", "Reranked", "So far"
_DEPTH, _DEEPEST = 16, 100
_FEWEST_ROWS, _MOST_ROWS = 8, 24
_LONGEST_LABEL = 72
_FIRST = "Search first; then the best of what was found can be ranked again."
_CHOOSE = "Choose a method, and its cost is told here before anything is spent."
_SIDE = 128  # of a thumbnail in the two columns
_PATIENCE = 0.3  # seconds between two looks at how far it is


@dataclass(frozen=True, slots=True)
class Outputs:
    """The components that a rerank writes to, besides those of the results."""

    progress: Any
    sides: Any
    steps: Any
    run: Any
    stop: Any
    which: Any
    look: Any
    done: Any


def panel(parts: Parts) -> None:
    """Draws the panel where it is called."""
    reranking = Reranking(parts)
    with gr.Column(elem_classes="mmb-form"):
        chosen, depth = _wishes()
    cost = told.slot(told.line(_FIRST), "mmb-cost")
    with gr.Row():
        run = gr.Button("Rerank", variant="primary", elem_id="mmb-run", interactive=False)
        stop = gr.Button("Stop", elem_id="mmb-stop", interactive=False)
    progress = told.slot('<div class="mmb-progress"></div>', "mmb-progress")
    with gr.Column(elem_classes="mmb-form"):
        which = gr.Radio(
            [AFTER, BEFORE], value=AFTER, label="The results show the order", interactive=False, elem_id="mmb-which"
        )
    sides, steps = told.slot("", "mmb-sides"), told.slot("", "mmb-steps")
    with gr.Accordion("What the language model saw and wrote", open=False, visible=False, elem_id="mmb-look") as look:
        seen = told.slot("", "mmb-seen")
    out = Outputs(progress, sides, steps, run, stop, which, look, gr.State(None, time_to_live=3600))
    wishes, quiet = [chosen, depth, parts.form], {"show_progress": "hidden", "api_visibility": "private"}
    changes = [chosen.change, depth.release, parts.form.change]
    gr.on(changes, reranking.cost, wishes, cost, concurrency_limit=None, trigger_mode="always_last", **quiet)
    gr.on([chosen.change, parts.form.change], _ready, [chosen, parts.form], run, queue=False, **quiet)
    to = [*(getattr(out, name) for name in Outputs.__slots__), *parts.outputs]
    run.click(reranking.run, [*wishes, parts.marks], to, concurrency_limit=None, **quiet)
    stop.click(reranking.stop, None, stop, queue=False, **quiet)
    which.input(reranking.take, [which, out.done, parts.form, parts.marks], parts.outputs, queue=False, **quiet)
    look.expand(_looked_at, out.done, seen, queue=False, **quiet)


def _wishes() -> tuple[Any, Any]:
    chosen = gr.Dropdown(
        choices(),
        value=[],
        multiselect=True,
        max_choices=3,
        allow_custom_value=True,
        label="Rerank by",
        info="One or several, in their order; with settings, as in grid:orders=2.",
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


def choices() -> list[tuple[str, str]]:
    """The rerankers that a visitor may choose, each with one line about it: those that load no model of their own."""
    found = []
    for name in registry.names("rerankers"):
        try:
            method = registry.load("rerankers", name)
        except MissingPrerequisite:
            continue  # not installed here, so nobody can choose it
        if "open_encoder" not in inspect.signature(method).parameters:
            about = (inspect.getdoc(method) or name).partition("\n")[0]
            found.append((shortened(f"{name}: {about}", _LONGEST_LABEL), name))
    return found


class Reranking:
    """What the panel does; one for all visitors, each of whom may have one rerank under way."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._desk = parts, parts.desk
        self._running: dict[str, Work[Far, Done]] = {}
        self._paces: dict[str, float] = {}

    def cost(self, chosen: list[str], depth: float, form: SearchForm | None) -> Iterator[str]:
        """The cost of what is chosen, or why it cannot be done, as HTML; the first time the model has to be opened."""
        if form is None or not chosen:
            yield told.line(_FIRST if form is None else _CHOOSE)
            return
        yield told.line("Working out what this costs…")
        try:
            yield told.line(cost_line(self._desk.planned(_with_rerank(form, chosen, depth)), self._paces))
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            yield self._error(error)

    def run(
        self, chosen: list[str], depth: float, form: SearchForm | None, marks: tuple[Mark, ...], request: gr.Request
    ) -> Iterator[tuple[Any, ...]]:
        """Reranks, and shows how far it is; a new run of the same visitor stops the one before."""
        visitor = str(request.session_hash)
        self.stop(request)
        yield self._updates(
            progress=_far_html(None), run=gr.update(interactive=False), stop=gr.update(interactive=True)
        )
        try:
            asked = _with_rerank(form, chosen, depth)
            work = self._running[visitor] = rerank(self._desk, asked)
            try:
                yield from self._watched(work)
                done = work.result()
                yield self._ended(done, marks, stopped=work.was_stopped)
            finally:
                work.stop()  # the visitor may have gone
                self._running.pop(visitor, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            yield self._updates(
                progress=self._error(error), run=gr.update(interactive=True), stop=gr.update(interactive=False)
            )

    def stop(self, request: gr.Request) -> Any:
        """Asks the visitor's rerank to end with the best order so far."""
        work = self._running.get(str(request.session_hash))
        if work is not None:
            work.stop()
        return gr.update(interactive=False)

    def take(self, which: str, done: Done | None, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        """Shows the order that the visitor wants to see."""
        if done is None or form is None:
            return (gr.skip(),) * len(self._parts.outputs)
        if which == BEFORE:
            return self._parts.shown(done.form.model_copy(update={"rerank": ()}), done.before, marks)
        return self._parts.shown(done.form, done.after, marks)

    def _ended(self, done: Done, marks: tuple[Mark, ...], *, stopped: bool) -> tuple[Any, ...]:
        for step in done.after.steps:
            if step.calls:
                self._paces[step.name] = step.seconds / step.calls
        return self._updates(
            progress=_done_html(done.after, stopped=stopped),
            sides=self._sides(done.before, done.after.hits, AFTER),
            steps=steps_html(done.after.steps),
            run=gr.update(interactive=True),
            stop=gr.update(interactive=False),
            which=gr.update(interactive=True, value=AFTER),
            look=gr.update(visible=True, open=False),
            done=done,
            results=self._parts.shown(done.form, done.after, marks),
        )

    def _watched(self, work: Work[Far, Done]) -> Iterator[tuple[Any, ...]]:
        """An update whenever there is something new to see."""
        latest: Far | None = None
        for far in work.watch(_PATIENCE):
            if far is not None and far is not latest:
                is_other = latest is None or far.order != latest.order
                yield self._updates(
                    progress=_far_html(far),
                    sides=self._sides(far.before, far.order, SO_FAR) if is_other else gr.skip(),
                )
                latest = far

    def _sides(self, before: Ranking, after: Sequence[Hit], name: str) -> str:
        """Reasons are told at the end alone: before that, many say only that nothing was asked yet."""
        rows = worth_showing(before.hits, after, _FEWEST_ROWS, _MOST_ROWS)
        shown = before.hits[:rows], after[:rows]
        with self._desk.reading() as collection:
            records = collection.records(list({hit.id for hits in shown for hit in hits}))
        return sides_html(
            *shown,
            lambda each: thumbnail_url(each, _SIDE),
            names=("Search alone", name),
            titles={record.id: record.caption or record.path for record in records},
            whys=name != SO_FAR,
        )

    def _updates(self, *, results: tuple[Any, ...] | None = None, **changed: Any) -> tuple[Any, ...]:
        """One value for each component of `Outputs`, then those of the results; what is not named stays as it is."""
        own = tuple(changed.get(name, gr.skip()) for name in Outputs.__slots__)
        return (*own, *(results or (gr.skip(),) * len(self._parts.outputs)))

    def _error(self, error: Exception) -> str:
        return told.refused(refusal(error, self._desk.index)[1])


def _with_rerank(form: SearchForm | None, chosen: list[str], depth: float) -> SearchForm:
    if form is None or form.is_empty:
        raise UsageError("there is nothing to rerank yet: search first")
    if not chosen:
        raise UsageError("no method is chosen: choose one of the list")
    wished = {"rerank": with_depth(chosen, int(depth)), "offset": 0}
    try:
        return SearchForm.model_validate({**form.model_dump(), **wished})
    except ValidationError as error:
        raise UsageError(f"the methods are not understood: {error.errors()[0]['msg']}") from error


def _far_html(far: Far | None) -> str:
    if far is None or not far.planned:
        return told.bar("Reranking", told="Starting…")
    return told.bar("Reranking", far.done, far.planned, f"{far.stage}: {far.done} of at most {far.planned} answers")


def _done_html(ranking: Ranking, *, stopped: bool) -> str:
    said = "Stopped: this is the best order so far." if stopped else "Done."
    shown = "".join(f" {badge(step.status)}" for step in ranking.steps if step.status != "ok")
    remarks = "".join(f"<li>{escape(warning)}</li>" for warning in ranking.warnings)
    more = f'<ul class="mmb-remarks">{remarks}</ul>' if remarks else ""
    return f'<div class="mmb-progress"><p role="status">{said}{shown}</p>{more}</div>'


def _looked_at(done: Done | None) -> str:
    return "" if done is None else seen_html(done.seen, done.unseen)


def _ready(chosen: list[str], form: SearchForm | None) -> Any:
    return gr.update(interactive=bool(chosen) and form is not None)
