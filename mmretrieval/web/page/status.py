"""The line above the pictures: what was found, how fast, and what a visitor should know; its place is always kept."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mmretrieval.types import Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.html import as_sentence, icon, shortened

_QUERY = "query 'q': "  # which query of several a warning is about; here there is one


def status_html(
    form: SearchForm | None = None,
    ranking: Ranking | None = None,
    count: int = 0,
    warnings: Sequence[str] = (),
    *,
    sentence: str = "",
) -> str:
    """A sentence on what went wrong; or the facts of a ranking over so many pictures, with warnings below them."""
    if form is None or ranking is None:
        return f'<div class="mm-status mm-wrong" role="alert">{escape(as_sentence(sentence))}</div>'
    shown, seconds = len(ranking.hits), sum(step.seconds for step in ranking.steps)
    told = f"<b>{_asked(form)}</b>"
    number = f"all {count:,}" if shown == count else f"best {shown} of {count:,}" if shown else f"none of {count:,}"
    facts = f'<span class="mm-quiet">{number} in {_time(seconds)}</span>'
    link = (
        '<button type="button" class="mm-quiet-button" data-mm="link" aria-label="Copy link to this search">'
        f"{icon('link')}<span>Copy link</span></button>"
    )
    told_of = "".join(f"<li>{escape(as_sentence(each.removeprefix(_QUERY)))}</li>" for each in warnings)
    notes = f'<ul class="mm-notes">{told_of}</ul>' if told_of else ""
    return f'<div class="mm-status" role="status"><span>{told} {facts}</span>{link}</div>{notes}'


def _asked(form: SearchForm) -> str:
    """What was sought, in words."""
    words = f"“{escape(shortened(form.text, 80))}”" if form.text.strip() else ""
    if form.has_picture:
        told = [f"Your picture, {words}" if words else "Similar to your picture", _examples(form)]
        return " and ".join(part for part in told if part)
    return " and ".join(part for part in (words, _examples(form)) if part)


def _examples(form: SearchForm) -> str:
    counts = [(len(form.like), "good"), (len(form.unlike), "bad")]
    told = [f"{count} {kind} example{'' if count == 1 else 's'}" for count, kind in counts if count]
    return " and ".join(told)


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
