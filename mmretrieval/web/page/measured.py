"""One measuring in the background: how good settings are on marks, alone or against others that were kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mmretrieval.errors import MMRetrievalError
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.figures import comparison_html, measures_html
from mmretrieval.web.page.marks import Judged
from mmretrieval.web.page.measuring import Measured, against, measure
from mmretrieval.web.page.settings import settings_words
from mmretrieval.web.page.work import Work

if TYPE_CHECKING:
    from mmretrieval.web.desk import Desk

Done = tuple[int, int]  # searches that are done, of so many


class Stopped(MMRetrievalError):
    """The visitor stopped it; half a measuring is none."""


def measuring(desk: Desk, judged: Judged, settings: SearchForm, other: SearchForm | None = None) -> Work[Done, str]:
    """The figures as HTML; with `other` it is compared to these settings, as B to A. Raises Stopped after a stop."""

    def call(tell: Callable[[Done], None], stopped: Callable[[], bool]) -> str:
        total = len(judged.sought) * (1 if other is None else 2)

        def progress(before: int, done: int, _: int) -> None:
            if stopped():
                raise Stopped("stopped: nothing was measured")
            tell((before + done, total))

        second = measure(desk.search, desk.collection.ids, judged, settings, partial(progress, 0))
        if other is None:
            return measures_html(second.values, second.queries, second.notes)
        first = measure(desk.search, desk.collection.ids, judged, other, partial(progress, len(judged.sought)))
        names = settings_words(other), settings_words(settings)
        return comparison_html(against(first, second, judged), names, _both_notes(first, second))

    return Work(call)


def _both_notes(first: Measured, second: Measured) -> list[str]:
    return list(dict.fromkeys((*first.notes, *second.notes)))
