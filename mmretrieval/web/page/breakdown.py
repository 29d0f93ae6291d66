"""How a hit's score is made up: what each channel adds, and within looks what each part of the query adds.

The rows of a table add up to the line below them, up to the rounding that is shown; where they do not, the page says so
instead of showing a sum that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from mmretrieval.types import Hit
from mmretrieval.web.page.cards import bar_html

NAMES = {
    "image": "looks",
    "caption": "caption",
    "text": "the words",
    "target": "the described target",
    "minus": "what to leave out",
    "like": "good examples",
    "unlike": "bad examples",
    "before": "the order before",
}
PARTS = {**NAMES, "image": "the picture"}
_EXACT = 0.002  # how far a sum of shown numbers may be from the whole


def breakdown_html(hit: Hit) -> str:
    """Tables for the score, for the looks in it, and for the search that a reranker was given; or a sentence."""
    if hit.score is None:
        return f'<p class="mm-quiet">The stage “{escape(hit.by)}” gives an order and no score.</p>'
    tables = [_table("The score", hit.scores, hit.score, NAMES, "score")]
    looks = hit.scores.get("image")
    if len(hit.shares) > 1 and looks is not None:
        tables.append(_table("Looks", hit.shares, looks, PARTS, "looks"))
    tables.append(_first_stage(hit.details.get("first_stage")))
    return "".join(tables)


def _first_stage(before: Any) -> str:
    """What the search said of the hit before a reranker placed it."""
    if not isinstance(before, Mapping) or not isinstance(before.get("score"), float):
        return ""
    title = f"Before, by {before.get('by', 'the search')}"
    return _table(title, before.get("scores", {}), before["score"], NAMES, "score")


def _table(title: str, parts: Mapping[str, float], whole: float, names: Mapping[str, str], what: str) -> str:
    rows = {names.get(name, name.replace("_", " ")): value for name, value in parts.items()}
    longest = max((abs(value) for value in [*rows.values(), whole]), default=0) or 1.0
    lines = "".join(_row(name, value, longest) for name, value in rows.items())
    adds_up = abs(sum(rows.values()) - whole) <= _EXACT * max(1.0, abs(whole))
    last = f"= {what}" if adds_up else f"{what} (the parts above do not add up to it)"
    return (
        f'<table class="mm-sum"><caption>{escape(title)}</caption><tbody>{lines}</tbody>'
        f'<tfoot><tr><th scope="row">{last}</th><td></td><td>{whole:.3f}</td></tr></tfoot></table>'
    )


def _row(name: str, value: float, longest: float) -> str:
    bar = bar_html(abs(value) / longest, "mm-less" if value < 0 else "mm-more")
    return f'<tr><th scope="row">{escape(name)}</th><td>{bar}</td><td>{value:+.3f}</td></tr>'
