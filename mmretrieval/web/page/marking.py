"""The panel for marks: search again with them as examples, and measure settings on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from mmretrieval.errors import UsageError
from mmretrieval.web.export import Export
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page import download, told
from mmretrieval.web.page.marks import Mark, gathered, grades_of, marked, marks_file, sought_by, with_feedback
from mmretrieval.web.page.measured import Done, measuring
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.settings import settings_words
from mmretrieval.web.page.work import Work
from mmretrieval.web.refusals import refusal

MOST_MARKS = 5_000
_TO_RESULTS = "() => { document.querySelector('#mm-tabs [role=tab]')?.click(); }"  # the first tab, where they stand
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def panel(parts: Parts) -> None:
    """Draws the panel where it is called, and takes the marks that visitors give in the gallery."""
    marking = Marking(parts)
    counts = told.slot(marking.counts(None, ()), "mmb-marks")
    with gr.Row():
        feedback = gr.Button(
            "Search with these marks", variant="primary", size="md", elem_id="mmb-feedback", interactive=False
        )
        plain = gr.Button("Search without them", size="md", elem_id="mmb-without", interactive=False)
        clear = gr.Button("Take the marks back", size="md", elem_id="mmb-clear", interactive=False)
    buttons = [feedback, plain, clear]
    # One after the other and none left out, for quick clicks: each takes up the marks that the one before left.
    in_turn: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1}
    parts.found.mark(marking.take, [parts.form, parts.marks], parts.marks, **in_turn, **_QUIET)
    gr.on(
        [parts.marks.change, parts.form.change],
        marking.ready,
        [parts.form, parts.marks],
        [counts, *buttons],
        queue=False,
        **_QUIET,
    )
    for button, search in ((feedback, marking.search), (plain, marking.search_without)):
        done = button.click(search, [parts.form, parts.marks], parts.outputs, **_QUIET)
        done.then(None, js=_TO_RESULTS, show_progress="hidden", api_visibility="private")
    clear.click(marking.clear, [parts.form, parts.marks, parts.ranking], [parts.marks, *parts.outputs], **_QUIET)
    _measuring_panel(parts, marking)


def _measuring_panel(parts: Parts, marking: Marking) -> None:
    told.slot('<h3 class="mmb-heading">How good are these settings on your marks?</h3>')
    cost = told.slot(marking.cost(None, ()), "mmb-measure-cost")
    with gr.Row():
        alone = gr.Button("Measure", size="md", elem_id="mmb-measure")
        keep = gr.Button("Keep as A", size="md", elem_id="mmb-keep")
        compare = gr.Button("Compare with A", size="md", elem_id="mmb-compare", interactive=False)
        stop = gr.Button("Stop", size="md", elem_id="mmb-measure-stop", interactive=False)
        save = gr.Button("Save marks", size="md", elem_id="mmb-save-marks")
    kept, figures = told.slot("", "mmb-kept"), told.slot("", "mmb-figures")
    first, slot = gr.State(None), download.slot("mmb-marks-file")
    inputs, out = [parts.form, parts.marks], [figures, stop]
    gr.on([parts.marks.change, parts.form.change], marking.cost, inputs, cost, queue=False, **_QUIET)
    alone.click(marking.measure, inputs, out, concurrency_limit=None, **_QUIET)
    keep.click(_kept, parts.form, [first, kept, compare], queue=False, **_QUIET)
    compare.click(marking.measure, [*inputs, first], out, concurrency_limit=None, **_QUIET)
    stop.click(marking.stop, None, stop, queue=False, **_QUIET)
    save.click(_saved, parts.marks, [slot, figures], queue=False, **_QUIET)


class Marking:
    """What the panel does; one for all visitors, each of whom may have one measuring under way."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._desk = parts, parts.desk
        self._running: dict[str, Work[Done, str]] = {}

    def take(self, form: SearchForm | None, marks: tuple[Mark, ...], event: gr.EventData) -> Any:
        """The marks with the one that was just given; what is no mark of a picture there is refused."""
        record_id, grade = getattr(event, "id", None), getattr(event, "grade", None)
        if form is None or grade not in (0, 1, None) or not isinstance(record_id, str):
            raise gr.Error("This is no mark of a picture.", print_exception=False)
        try:
            self._desk.collection.position(record_id)
        except Exception as error:
            raise gr.Error(self._sentence(error), print_exception=False) from error
        now = marked(marks, form, record_id, grade)
        if len(now) > MOST_MARKS:
            raise gr.Error(f"{MOST_MARKS:,} marks are kept at most: save them, and take some back.")
        return now

    def counts(self, form: SearchForm | None, marks: Sequence[Mark]) -> str:
        """How many marks there are, and what the search uses of them, as HTML."""
        if form is None:
            return told.line("Search first, then mark what is relevant and what is not with ✓ and ✗ on the pictures.")
        grades = list(grades_of(marks, form).values())
        right, wrong = sum(grades), len(grades) - sum(grades)
        others = len({mark.sought.model_dump_json() for mark in marks}) - bool(grades)
        more = f" Other searches have marks, too: {others}." if others else ""
        used = f" This search uses {len(form.like)} as examples." if form.like or form.unlike else ""
        if not grades:
            return told.line(f"Nothing is marked here yet: use ✓ and ✗ on the pictures.{used}{more}")
        return told.line(f"Marked here: {right} relevant, {wrong} not relevant.{used}{more}")

    def ready(self, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        """The counts, and which buttons can be used."""
        has = form is not None and bool(grades_of(marks, form))
        uses = form is not None and bool(form.like or form.unlike)
        return self.counts(form, marks), *(gr.update(interactive=each) for each in (has, uses, has))

    def search(self, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        """The same search with what was marked as examples and counter-examples."""
        return self._shown(None if form is None else with_feedback(form, marks), marks)

    def search_without(self, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        """The same search without any examples."""
        return self._shown(None if form is None else with_feedback(form, ()), marks)

    def clear(self, form: SearchForm | None, marks: tuple[Mark, ...], ranking: Any) -> tuple[Any, ...]:
        """Without the marks of this search; those of others stay."""
        if form is None or ranking is None:
            return (gr.skip(),) * (1 + len(self._parts.outputs))
        sought = sought_by(form)
        kept = tuple(mark for mark in marks if mark.sought != sought)
        return kept, *self._parts.shown(form, ranking, kept)

    def cost(self, form: SearchForm | None, marks: Sequence[Mark]) -> str:
        """What a measuring will take, as HTML."""
        judged = gathered(marks)
        right = sum(max(grades.values()) >= 1 for grades in judged.qrels.values())
        if form is None or not right:
            return told.line("Mark at least one relevant picture; ten searches or more tell something.")
        said = f"Measuring searches {right} {'time' if right == 1 else 'times'} with these settings"
        said += f" ({settings_words(form)})"
        if form.asks:
            try:
                calls = sum(each.calls for each in self._desk.planned(form))
            except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
                return self._error(error)
            said += f", and asks the language model at most {calls * right:,} times"
        return told.line(f"{said}.")

    def measure(
        self, form: SearchForm | None, marks: tuple[Mark, ...], request: gr.Request, other: SearchForm | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """The figures of the settings that are shown, against others where some were kept."""
        visitor = str(request.session_hash)
        self.stop(request)
        try:
            if form is None or not marks:
                raise UsageError("there is nothing to measure with yet: search, and mark some pictures")
            work = self._running[visitor] = measuring(self._desk, gathered(marks), form, other)
            try:
                yield from _watched(work)
                yield work.result(), gr.update(interactive=False)
            finally:
                work.stop()  # the visitor may have gone
                self._running.pop(visitor, None)
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            yield self._error(error), gr.update(interactive=False)

    def stop(self, request: gr.Request) -> Any:
        """Asks the visitor's measuring to end."""
        work = self._running.get(str(request.session_hash))
        if work is not None:
            work.stop()
        return gr.update(interactive=False)

    def _shown(self, form: SearchForm | None, marks: tuple[Mark, ...]) -> tuple[Any, ...]:
        try:
            if form is None:
                raise UsageError("there is nothing to search for yet")
            plain = form.model_copy(update={"rerank": (), "rewrite": ()})  # what costs waits for a click of its own
            return self._parts.shown(plain, self._desk.search(plain), marks)
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            return self._parts.refused(self._sentence(error))

    def _sentence(self, error: Exception) -> str:
        return refusal(error, self._desk.index)[1]

    def _error(self, error: Exception) -> str:
        return told.refused(self._sentence(error))


def _watched(work: Work[Done, str]) -> Iterator[tuple[str, Any]]:
    for far in work.watch():
        done, total = far or (0, 0)
        yield told.bar("Measuring", done, total, f"{done} of {total} searches"), gr.update(interactive=True)


def _kept(form: SearchForm | None) -> tuple[Any, str, Any]:
    if form is None:
        return gr.skip(), told.line("Search first: there are no settings to keep yet."), gr.skip()
    said = f"A is: {settings_words(form)}. Change the settings, search again, and compare."
    return form, told.line(said), gr.update(interactive=True)


def _saved(marks: tuple[Mark, ...]) -> tuple[Any, Any]:
    text, notes = marks_file(marks)
    if not text:
        return gr.skip(), told.line(" ".join(notes) or "There are no marks to save yet.")
    file = Export(text, "application/x-ndjson", "marks.jsonl")
    return download.handed(file), told.line(" ".join(notes)) if notes else gr.skip()
