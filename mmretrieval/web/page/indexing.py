"""The panel for indexing: brings the index up to date with a folder that the one who started the server allowed.

The browser sends the number of a folder of that list and never a path. One run at a time, which all visitors see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape
from threading import Lock
from typing import Any

import gradio as gr

from mmretrieval.errors import UsageError
from mmretrieval.indexing import IndexReport, Progress
from mmretrieval.making import index
from mmretrieval.web.page import told
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.work import Work
from mmretrieval.web.refusals import refusal

_MOST_SKIPPED = 50  # files that are told with their reason
_ABOVE = re.compile(r"(?<!\S)/(?:[^\s/;:,]+/)+")  # the folders above one, which are no matter of a visitor
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


def panel(parts: Parts) -> None:
    """Draws the panel where it is called; nothing where no folder was allowed."""
    folders = parts.desk.allow_index
    if not folders:
        return
    indexing = Indexing(parts)
    names = [(folder.name or "the folder", number) for number, folder in enumerate(folders)]
    told.slot(told.line("New and changed pictures are added, and those that are gone are taken out."))
    with gr.Column(elem_classes="mmb-form", visible=len(folders) > 1):
        folder = gr.Dropdown(names, value=0, label="Folder", elem_id="mmb-folder")
    with gr.Row():
        start = gr.Button(f"Index {names[0][0]}" if len(folders) == 1 else "Index", size="md", elem_id="mmb-index")
        stop = gr.Button("Stop", size="md", elem_id="mmb-index-stop", interactive=False)
    remark = told.slot("", "mmb-index-told")
    start.click(indexing.run, folder, [remark, start, stop], **_QUIET)
    stop.click(indexing.stop, None, stop, queue=False, show_progress="hidden", api_visibility="private")
    gr.on(None, indexing.look, None, [remark, start, stop], **_QUIET)


class Indexing:
    """What the panel does; one for all visitors."""

    def __init__(self, parts: Parts) -> None:
        self._desk = parts.desk
        self._lock = Lock()
        self._work: Work[Progress, IndexReport] | None = None

    def run(self, folder: int) -> Iterator[tuple[Any, ...]]:
        """Begins a run, or joins the one under way, and shows how far it is."""
        try:
            yield from self._shown(self._begun(folder))
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            yield self._error(error), *_buttons(runs=False)

    def look(self) -> Iterator[tuple[Any, ...]]:
        """For a page that opens while a run is under way."""
        work = self._work
        if work is None or work.is_over:
            yield (gr.skip(),) * 3
            return
        try:
            yield from self._shown(work)
        except Exception as error:  # noqa: BLE001 - as above
            yield self._error(error), *_buttons(runs=False)

    def stop(self) -> Any:
        """Asks the run under way to end; what was committed is kept."""
        if self._work is not None:
            self._work.stop()
        return gr.update(interactive=False)

    def _begun(self, folder: int) -> Work[Progress, IndexReport]:
        if folder not in range(len(self._desk.allow_index)):
            raise UsageError("this folder may not be indexed from the page")
        source = self._desk.allow_index[folder]
        with self._lock:
            if self._work is None or self._work.is_over:

                def call(tell: Callable[[Progress], None], stopped: Callable[[], bool]) -> IndexReport:
                    try:
                        desk = self._desk
                        return index(source, desk.index, desk.encoder, progress=tell, stop=stopped)
                    finally:
                        self._desk.refresh()  # what was committed before an error or a stop is searched, too

                self._work = Work(call)
            return self._work

    def _shown(self, work: Work[Progress, IndexReport]) -> Iterator[tuple[Any, ...]]:
        for progress in work.watch():
            yield _progress_html(progress), *_buttons(runs=True)
        yield _report_html(work.result()), *_buttons(runs=False)

    def _error(self, error: Exception) -> str:
        return told.refused(_ABOVE.sub("…/", refusal(error, self._desk.index)[1]))


def _progress_html(progress: Progress | None) -> str:
    if progress is None or not progress.total:
        return told.bar("Indexing", told="Looking for pictures…")
    what = "captions" if progress.stage == "captions" else "pictures"
    return told.bar("Indexing", progress.done, progress.total, f"{progress.done:,} of {progress.total:,} {what}")


def _report_html(report: IndexReport) -> str:
    """What a run did, and what it could not do, in sentences."""
    counts = {"new or changed": report.indexed, "removed": report.removed, "moved": report.moved}
    changes = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "nothing had changed"
    head = "Stopped" if report.interrupted else "Done"
    notes = [f"{each.path}: {each.reason}" for each in report.skipped[:_MOST_SKIPPED]]
    if (more := len(report.skipped) - _MOST_SKIPPED) > 0:
        notes.append(f"{more:,} further files could not be read; mmretrieval info --files lists them")
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes)
    files = "1 file" if len(report.skipped) == 1 else f"{len(report.skipped):,} files"
    skipped = f" {files} could not be read:" if report.skipped else ""
    facts = f"{head} in {report.seconds:.1f} s: {changes}, {report.unchanged:,} as before.{skipped}"
    listed = f'<ul class="mmb-remarks">{remarks}</ul>' if remarks else ""
    warned = "".join(f"<p>{escape(warning)}</p>" for warning in report.warnings)
    return f'<div class="mmb-progress"><p role="status">{facts}</p>{listed}{warned}</div>'


def _buttons(*, runs: bool) -> tuple[Any, Any]:
    return gr.update(interactive=not runs), gr.update(interactive=runs)
