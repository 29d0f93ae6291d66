"""Two orders of one search side by side, with a line from each picture's old place to its new one, as HTML.

All words that come from a collection or from a model are escaped. Rows are equally high, so that the lines between
them need no script: a row is one unit of the drawing's height.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape

from mmretrieval.types import Hit
from mmretrieval.web.page.movements import Movement, gone, movements

_SIGNS = {"new": "new", "up": "▲", "down": "▼", "same": "="}
_WIDTH = 100  # units of the drawing between the columns

Picture = Callable[[str], str]  # the address of a thumbnail, by id


def sides_html(
    before: Sequence[Hit],
    after: Sequence[Hit],
    picture: Picture,
    *,
    names: tuple[str, str],
    titles: Mapping[str, str] | None = None,
    whys: bool = True,
    rows: int | None = None,
) -> str:
    """Both orders, best first; `names` stand above them. Empty orders give a sentence.

    Without `rows` all are shown; what moved is counted over all in any case. `titles` say what a picture shows, by its
    id, which stands there without one; `whys` tells the reasons of `after`.
    """
    if not before and not after:
        return '<p class="mmb-empty">Neither order holds a picture.</p>'
    told = summed_up(before, after)
    before, after = before[:rows], after[:rows]
    moved, rows = movements(before, after), max(len(before), len(after))
    known = titles or {}
    left = "".join(_old_row(rank, hit, picture, known) for rank, hit in enumerate(before, start=1))
    right = "".join(_new_row(movement, picture, known, whys=whys) for movement in moved)
    return (
        f'<p class="mmb-sum">{escape(told)}</p>'
        f'<section class="mmb-sides" aria-label="Before and after" style="--mmb-rows:{rows}">'
        f"{_column(names[0], left, 'before')}{_lines(moved, rows)}{_column(names[1], right, 'after')}</section>"
    )


def worth_showing(before: Sequence[Hit], after: Sequence[Hit], least: int, most: int) -> int:
    """How many rows tell all that moved: up to the last place that changed, within these bounds."""
    changed = [rank for rank, pair in enumerate(zip(before, after, strict=False), start=1) if pair[0].id != pair[1].id]
    return min(most, max([least, *changed]))


def summed_up(before: Sequence[Hit], after: Sequence[Hit]) -> str:
    """How much moved, in one sentence."""
    moved = movements(before, after)
    counts = {kind: sum(each.kind == kind for each in moved) for kind in _SIGNS}
    lost = len(gone(before, after))
    if moved and counts["same"] == len(moved) and not lost:
        return "The order stayed as it was."
    told = [
        f"{counts['up']} rose" if counts["up"] else "",
        f"{counts['down']} fell" if counts["down"] else "",
        f"{counts['new']} came in from further below" if counts["new"] else "",
        f"{lost} dropped out of the first {len(before)}" if lost else "",
        f"{counts['same']} stayed" if counts["same"] else "",
    ]
    return ", ".join(part for part in told if part) + "."


def _column(name: str, rows: str, kind: str) -> str:
    title = f"mmb-{kind}-title"
    return (
        f'<div class="mmb-side mmb-{kind}"><h4 id="{title}">{escape(name)}</h4>'
        f'<ol aria-labelledby="{title}">{rows}</ol></div>'
    )


def _old_row(rank: int, hit: Hit, picture: Picture, titles: Mapping[str, str]) -> str:
    return (
        f'<li class="mmb-row" data-id="{escape(hit.id)}">{_thumb(hit, picture)}<span class="mmb-rank">{rank}</span>'
        f'<span class="mmb-who">{_title(hit, titles)}</span></li>'
    )


def _new_row(movement: Movement, picture: Picture, titles: Mapping[str, str], *, whys: bool) -> str:
    hit = movement.hit
    shift = str(abs(movement.places)) if movement.places else ""
    why = f'<span class="mmb-why" title="{escape(hit.why)}">{escape(hit.why)}</span>' if hit.why and whys else ""
    return (
        f'<li class="mmb-row" data-id="{escape(hit.id)}">{_thumb(hit, picture)}'
        f'<span class="mmb-rank">{movement.rank}</span>'
        f'<span class="mmb-shift mmb-{movement.kind}" title="{escape(movement.words)}">'
        f'<span aria-hidden="true">{_SIGNS[movement.kind]}{shift}</span>'
        f'<span class="mmb-unseen">{escape(movement.words)}</span></span>'
        f'<span class="mmb-who">{_title(hit, titles)}{why}</span></li>'
    )


def _title(hit: Hit, titles: Mapping[str, str]) -> str:
    title = titles.get(hit.id) or hit.id
    return f'<span class="mmb-title" title="{escape(f"{hit.id}: {title}")}">{escape(title)}</span>'


def _thumb(hit: Hit, picture: Picture) -> str:
    return (
        f'<img class="mmb-thumb" src="{escape(picture(hit.id))}" alt="" width="56" height="56" loading="lazy" '
        'decoding="async">'
    )


def _lines(moved: Sequence[Movement], rows: int) -> str:
    """From the middle of each old row to the middle of the new one; what is new has none."""
    paths = "".join(
        f'<path class="mmb-{each.kind}" d="M0 {each.was - 0.5:g}C{_WIDTH / 2:g} {each.was - 0.5:g} '
        f'{_WIDTH / 2:g} {each.rank - 0.5:g} {_WIDTH} {each.rank - 0.5:g}"/>'
        for each in moved
        if each.was is not None
    )
    return (
        f'<svg class="mmb-lines" viewBox="0 0 {_WIDTH} {rows}" preserveAspectRatio="none" aria-hidden="true">'
        f"{paths}</svg>"
    )
