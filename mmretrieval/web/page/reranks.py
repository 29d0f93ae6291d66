"""What the panel for reranking does when a visitor acts: tell the cost, run, stop, choose an order, search anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from pydantic import ValidationError

from mmretrieval.errors import UsageError
from mmretrieval.types import Hit, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page import told
from mmretrieval.web.page.badges import badge, steps_html
from mmretrieval.web.page.costs import cost_line
from mmretrieval.web.page.marks import Mark
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.rerunning import Done, Far, rerank, with_depth
from mmretrieval.web.page.seen import seen_html
from mmretrieval.web.page.sides import sides_html, worth_showing
from mmretrieval.web.page.work import Work
from mmretrieval.web.refusals import refusal
from mmretrieval.web.results import thumbnail_url

BEFORE, AFTER, SO_FAR = "Before", "Reranked", "So far"
FIRST = "Search first; then the best of what was found can be ranked again."
_CHOOSE = "Choose a method, and its cost is told here before anything is spent."
_NOTHING = '<div class="mmb-progress"></div>'
_FEWEST_ROWS, _MOST_ROWS = 8, 24
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


@dataclass(slots=True)
class _Run:
    """A rerank under way; it is outdated once its visitor searches for something else."""

    form: SearchForm
    work: Work[Far, Done]
    is_outdated: bool = False


class Reranking:
    """What the panel does; one for all visitors, each of whom may have one rerank under way."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._desk = parts, parts.desk
        self._running: dict[str, _Run] = {}
        self._paces: dict[str, float] = {}

    def cost(self, chosen: list[str], depth: float, form: SearchForm | None) -> Iterator[str]:
        """The cost of what is chosen, or why it cannot be done, as HTML; the first time the model has to be opened."""
        if form is None or not chosen:
            yield told.line(FIRST if form is None else _CHOOSE)
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
        self.stop(request)
        yield self._updates(
            progress=_far_html(None),
            run=gr.update(interactive=False),
            stop=gr.update(interactive=True),
            which=gr.update(visible=True, interactive=False),  # now, so that nothing below it jumps at the end
        )
        try:
            asked = _with_rerank(form, chosen, depth)
            run = _Run(asked, rerank(self._desk, asked))
            yield from self._followed(run, str(request.session_hash), marks)
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            yield self._updates(
                progress=self._error(error), run=gr.update(interactive=True), stop=gr.update(interactive=False)
            )

    def stop(self, request: gr.Request) -> Any:
        """Asks the visitor's rerank to end with the best order so far."""
        run = self._running.get(str(request.session_hash))
        if run is not None:
            run.work.stop()
        return gr.update(interactive=False)

    def follow(self, form: SearchForm | None, done: Done | None, request: gr.Request) -> tuple[Any, ...]:
        """Another search than the one that was reranked: a run under way ends, and what stands here goes."""
        run = self._running.get(str(request.session_hash))
        reranked = run.form if run is not None else None if done is None else done.form
        if reranked is None or _is_same(reranked, form):
            return (gr.skip(),) * len(Outputs.__slots__)
        if run is not None:
            run.is_outdated = True
            run.work.stop()
        return self._cleared()

    def take(self, which: str, done: Done | None, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        """Shows the order that the visitor wants to see."""
        if done is None or form is None:
            return (gr.skip(),) * len(self._parts.outputs)
        if which == BEFORE:
            return self._parts.shown(done.form.model_copy(update={"rerank": ()}), done.before, marks)
        return self._parts.shown(done.form, done.after, marks)

    def _followed(self, run: _Run, visitor: str, marks: tuple[Mark, ...]) -> Iterator[tuple[Any, ...]]:
        self._running[visitor] = run
        try:
            yield from self._watched(run.work)
            done = run.work.result()
            if run.is_outdated:
                yield (*self._cleared(), *(gr.skip(),) * len(self._parts.outputs))
            else:
                yield self._ended(done, marks, stopped=run.work.was_stopped)
        finally:
            run.work.stop()  # the visitor may have gone
            if self._running.get(visitor) is run:
                del self._running[visitor]

    def _cleared(self) -> tuple[Any, ...]:
        nothing = {"progress": _NOTHING, "sides": "", "steps": "", "done": None}
        off, on = gr.update(interactive=False), gr.update(interactive=True)
        gone = {"which": gr.update(visible=False), "look": gr.update(visible=False, open=False)}
        values = {**nothing, **gone, "run": on, "stop": off}
        return tuple(values[name] for name in Outputs.__slots__)

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
        count = min(len(before.hits), len(after))
        orders = before.hits[:count], after[:count]
        rows = worth_showing(*orders, _FEWEST_ROWS, _MOST_ROWS)
        with self._desk.reading() as collection:
            records = collection.records(list({hit.id for hits in orders for hit in hits[:rows]}))
        return sides_html(
            *orders,
            lambda each: thumbnail_url(each, _SIDE),
            names=("Search alone", name),
            titles={record.id: record.caption or record.path for record in records},
            whys=name != SO_FAR,
            rows=rows,
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


def _is_same(form: SearchForm, other: SearchForm | None) -> bool:
    """Whether both are one search, whatever reranks it and however far one has scrolled."""
    plain: dict[str, Any] = {"rerank": (), "offset": 0}
    return other is not None and form.model_copy(update=plain) == other.model_copy(update=plain)


def looked_at(done: Done | None) -> str:
    """What the model was asked in a run, and what it said, as HTML."""
    return "" if done is None else seen_html(done.seen, done.unseen)


def ready(chosen: list[str], form: SearchForm | None) -> Any:
    """Whether there is something to run."""
    return gr.update(interactive=bool(chosen) and form is not None)
