"""One hit as a card: the picture, its place, how good it is and why, and what can be done with it.

All words of a collection or a model are escaped. A card's size does not depend on its content, so nothing moves when
pictures arrive. What the larger view shows lies in an attribute of the card, so opening it asks the server nothing; a
<template> would keep what it held when Gradio turns the cards of one search into those of the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from mmretrieval.features import Feature
from mmretrieval.types import Hit, ImageRecord, Status
from mmretrieval.web.page.html import chips, icon, shortened, unseen
from mmretrieval.web.pictures import CARD
from mmretrieval.web.results import thumbnail_url

PLACED_BY = {"dense": "looks", "fused": "looks + captions"}  # stages whose names say little to a visitor
_SIGNS: dict[Status, str] = {"ok": "", "repaired": "✎", "partial": "◐", "fallback": "↩"}
_LONGEST_ALT = 160
_SEEN_AT_ONCE = 4  # pictures that are fetched before all others


@dataclass(frozen=True, slots=True)
class Card:
    """A hit at its 1-based rank with what is known of its picture; `share` is its score against the best, 0 to 1."""

    rank: int
    hit: Hit
    record: ImageRecord
    share: float | None = None
    grade: int | None = None
    status: Status = "ok"
    features: Mapping[str, Feature] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """A line that tells this picture from others."""
        return self.record.caption or self.record.path or self.record.id

    @property
    def placed_by(self) -> str:
        return PLACED_BY.get(self.hit.by, self.hit.by.replace("_", " "))

    @property
    def rose(self) -> int:
        """How many places later stages lifted it; negative where they lowered it."""
        before = self.hit.first_stage_rank
        return 0 if before is None else before - self.rank


def card_html(card: Card, detail: str) -> str:
    """The card; `detail` is the HTML of its larger view."""
    record_id, why = escape(card.record.id), escape(card.hit.why)
    return (
        f'<li class="mm-card" data-id="{record_id}" data-detail="{escape(detail)}">'
        f'<div class="mm-frame">{_picture(card)}{_place(card)}{_actions(card)}{_folded(card)}</div>'
        f'<div class="mm-foot">{_score(card)}<p class="mm-why" title="{why}">{why}</p>{_parts(card)}</div></li>'
    )


def _picture(card: Card) -> str:
    label = f"Picture {card.rank}: {shortened(card.title, _LONGEST_ALT)}. Show more"
    return (
        f'<button type="button" class="mm-open" data-mm="open" aria-label="{escape(label)}">'
        f"{_thumbnail(card, eager=card.rank <= _SEEN_AT_ONCE)}</button>"
    )


def _thumbnail(card: Card, *, eager: bool = False) -> str:
    """Without words of its own: the button around it is named. Its place is kept before it arrives."""
    when = 'fetchpriority="high"' if eager else 'loading="lazy"'
    address = escape(thumbnail_url(card.record.id))
    return f'<img src="{address}" alt="" width="{CARD}" height="{CARD}" {when} decoding="async">'


def _place(card: Card) -> str:
    moved = ""
    if card.rose:
        kind, sign, word = ("up", "▲", "up") if card.rose > 0 else ("down", "▼", "down")
        told = f"{word} {abs(card.rose)} from place {card.hit.first_stage_rank}"
        sign = f'<span aria-hidden="true">{sign}{abs(card.rose)}</span>'
        moved = f'<span class="mm-moved mm-{kind}" title="{told}">{sign}{unseen(told)}</span>'
    return f'<span class="mm-rank"><span class="mm-unseen">Place </span>{card.rank}{moved}</span>'


def _actions(card: Card) -> str:
    about = escape(shortened(card.title, 60))
    buttons = [
        _mark(1, "right", f"Relevant: {about}", card.grade),
        _mark(0, "wrong", f"Not relevant: {about}", card.grade),
    ]
    use = (
        f'<button type="button" data-mm="use" title="Search with this picture" '
        f'aria-label="Search with this picture: {about}">{icon("use")}</button>'
    )
    return f'<div class="mm-acts">{use}{"".join(buttons)}</div>'


def _mark(grade: int, kind: str, label: str, given: int | None) -> str:
    title, pressed = label.partition(":")[0], str(given == grade).lower()
    return (
        f'<button type="button" data-mm="mark" data-grade="{grade}" class="mm-{kind}" title="{title}" '
        f'aria-label="{label}" aria-pressed="{pressed}">{icon(kind)}</button>'
    )


def _folded(card: Card) -> str:
    count = len(card.hit.duplicates)
    if not count:
        return ""
    told = f"{count} near-duplicate{'s' if count > 1 else ''} folded in"
    shown = f'{icon("stack")}<span aria-hidden="true">+{count}</span>'
    return f'<span class="mm-folded" title="{told}">{shown}{unseen(told)}</span>'


def _score(card: Card) -> str:
    sign = _SIGNS[card.status]
    title = f"placed by {card.placed_by}" + (f", {card.status}" if sign else "")
    by = f'<span class="mm-by mm-is-{card.status}" title="{escape(title)}">{sign}{escape(card.placed_by)}</span>'
    if card.hit.score is None or card.share is None:
        return f'<div class="mm-score"><span class="mm-bar mm-none"></span>{by}</div>'
    number = f'<span class="mm-number">{unseen("score ")}{card.hit.score:.3f}</span>'
    return f'<div class="mm-score">{bar_html(card.share)}{number}{by}</div>'


def bar_html(share: float, kind: str = "mm-more") -> str:
    """A bar that is filled up to a share of 0 to 1; the number beside it says the same to a screen reader."""
    return f'<span class="mm-bar" aria-hidden="true"><i class="{kind}" style="width:{100 * share:.0f}%"></i></span>'


def _parts(card: Card) -> str:
    """What of the query a stage found in the picture, and what it missed."""
    matched, missing = words_of(card.hit, "matched"), words_of(card.hit, "missing")
    if not matched and not missing:
        return ""
    return f'<div class="mm-parts">{chips(matched, "matched", "Found")}{chips(missing, "missing", "Missing")}</div>'


def words_of(hit: Hit, name: str) -> list[str]:
    """A detail that is a list of words, or words with what stands for them; anything else is no such list."""
    given = hit.details.get(name)
    if isinstance(given, Mapping):
        return [str(asked) if asked == found else f"{asked}: {found}" for asked, found in given.items()]
    return [str(each) for each in given] if isinstance(given, list | tuple) else []


def glance_html(card: Card) -> str:
    """A picture that was not ranked: choosing it searches for what looks like it."""
    label = f"Find pictures like: {shortened(card.title, _LONGEST_ALT)}"
    return (
        f'<li class="mm-card" data-id="{escape(card.record.id)}"><div class="mm-frame">'
        f'<button type="button" class="mm-open" data-mm="use" aria-label="{escape(label)}">{_thumbnail(card)}</button>'
        "</div></li>"
    )
