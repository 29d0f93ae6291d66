"""How good a search is on what was marked, as HTML: each measure with its interval, alone or of two settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from mmretrieval.evaluation.comparison import Comparison, Difference
from mmretrieval.evaluation.significance import LEVEL, Interval

_FEW = 10  # queries; below it an interval is as good as none


def measures_html(values: Mapping[str, Interval], queries: int, notes: Sequence[str] = ()) -> str:
    """A table with a row a measure; all measures lie between 0 and 1, larger is better."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value.mean:.3f}</td><td>{_between(value)}</td>'
        f"<td>{_whisker(value, 0.0, 1.0)}</td></tr>"
        for name, value in values.items()
    )
    head = '<tr><th scope="col">measure</th><th scope="col">mean</th><th scope="col">95% interval</th><td></td></tr>'
    caption = f"On {_counted(queries)} with a relevant picture; larger is better, 1 is perfect."
    return _table(caption, head, rows) + _remarks([*_few(queries), *notes])


def comparison_html(compared: Comparison, settings: tuple[str, str], notes: Sequence[str] = ()) -> str:
    """A row a measure: both means, their difference with its interval, and on how many queries each is better.

    `settings` are A and B in words.
    """
    rows = "".join(_compared(each) for each in compared.differences)
    titles = ("measure", "A", "B", "B - A", "95% interval", "", "better / worse / same", "p")
    head = "".join(f'<th scope="col">{title}</th>' if title else "<td></td>" for title in titles)
    caption = f"On {_counted(compared.queries)}. A is {settings[0]}; B is {settings[1]}."
    verdict = "".join(f"<li>{escape(verdict_of(each))}</li>" for each in compared.differences)
    told = f'<ul class="mmb-verdicts" role="status">{verdict}</ul>'
    return told + _table(caption, f"<tr>{head}</tr>", rows) + _remarks([*_few(compared.queries), *notes])


def verdict_of(found: Difference) -> str:
    """Which of A and B is better by this measure, or that the marks do not tell."""
    if found.wins == found.losses == 0:
        return f"{found.measure}: no difference on any query."
    if found.p < 1 - LEVEL and (found.delta.low > 0 or found.delta.high < 0):  # few queries please the interval alone
        better, worse = ("B", "A") if found.delta.mean > 0 else ("A", "B")
        return f"{found.measure}: {better} is better than {worse} by {abs(found.delta.mean):.3f}."
    return f"{found.measure}: the marks do not tell which is better; mark more queries."


def _compared(found: Difference) -> str:
    span = max(abs(found.delta.low), abs(found.delta.high), 0.05)
    return (
        f'<tr><th scope="row">{escape(found.measure)}</th><td>{found.first:.3f}</td><td>{found.second:.3f}</td>'
        f"<td>{found.delta.mean:+.3f}</td><td>{_between(found.delta, sign=True)}</td>"
        f"<td>{_whisker(found.delta, -span, span)}</td>"
        f"<td>{found.wins} / {found.losses} / {found.ties}</td><td>{found.p:.3f}</td></tr>"
    )


def _between(value: Interval, *, sign: bool = False) -> str:
    shape = "+.3f" if sign else ".3f"
    return f"{value.low:{shape}} to {value.high:{shape}}"


def _whisker(value: Interval, low: float, high: float) -> str:
    """The interval as a line with a dot at its mean, over an axis from `low` to `high`; 0 has a mark of its own."""
    left, dot, right, zero = (100 * (each - low) / (high - low) for each in (value.low, value.mean, value.high, 0.0))
    axis = f'<line class="mmb-zero" x1="{zero:.1f}" y1="1" x2="{zero:.1f}" y2="15"/>' if low < 0 else ""
    return (
        '<svg class="mmb-whisker" viewBox="-4 0 108 16" width="108" height="16" aria-hidden="true">'
        f'<line class="mmb-axis" x1="0" y1="8" x2="100" y2="8"/>{axis}'
        f'<line class="mmb-range" x1="{left:.1f}" y1="8" x2="{right:.1f}" y2="8"/>'
        f'<circle cx="{dot:.1f}" cy="8" r="4"/></svg>'
    )


def _table(caption: str, head: str, rows: str) -> str:
    return (
        f'<div class="mmb-scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="mmb-table">'
        f"<caption>{escape(caption)}</caption><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
    )


def _remarks(notes: Sequence[str]) -> str:
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="mmb-remarks">{told}</ul>' if told else ""


def _few(queries: int) -> list[str]:
    if queries >= _FEW:
        return []
    return [f"{_counted(queries)} {'tells' if queries == 1 else 'tell'} little: ten or more would mean something."]


def _counted(queries: int) -> str:
    return f"{queries} {'query' if queries == 1 else 'queries'}"
