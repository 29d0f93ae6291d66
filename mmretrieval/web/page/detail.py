"""The larger view of a hit: the whole picture, why it is there, how its score adds up, and all that is known of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from mmretrieval.features import MANIFEST
from mmretrieval.types import Hit
from mmretrieval.web.page.breakdown import breakdown_html
from mmretrieval.web.page.cards import Card, words_of
from mmretrieval.web.page.html import chips, icon, shortened
from mmretrieval.web.results import picture_url, thumbnail_url

_CREDITS = (
    "attribution", "credit", "creator", "author", "photographer", "artist", "maker",
    "license", "licence", "rights", "copyright", "source", "source_url", "url",
)  # fmt: skip
_SHOWN_ELSEWHERE = {"matched", "missing", "first_stage"}
_LONGEST = 600


def detail_html(card: Card) -> str:
    """The content of the dialog; the picture is fetched when it is opened."""
    return f'<div class="mm-large">{_picture(card)}</div><div class="mm-about">{_head(card)}{_body(card)}</div>'


def _picture(card: Card) -> str:
    alt = escape(shortened(card.title, 400))
    return f'<img src="{escape(picture_url(card.record.id))}" alt="{alt}">'


def _head(card: Card) -> str:
    record_id, address = escape(card.record.id), escape(picture_url(card.record.id))
    return (
        f'<h2><span class="mm-rank">{card.rank}</span> {escape(shortened(card.record.id, 120))}</h2>'
        f'<p class="mm-why">{escape(card.hit.why)}</p>'
        f'<div class="mm-does"><button type="button" class="mm-main-action" data-mm="use" data-id="{record_id}">'
        f"{icon('use')}Search with this picture</button>"
        f'<a href="{address}" target="_blank" rel="noopener">{icon("open")}Open alone</a></div>'
    )


def _body(card: Card) -> str:
    hit = card.hit
    found = _part("Found in the picture", chips(words_of(hit, "matched"), "matched", "Found"))
    missing = _part("Missing", chips(words_of(hit, "missing"), "missing", "Missing"))
    score = _part(f"How the score adds up, by {card.placed_by}", _placed(card) + breakdown_html(hit))
    said = _table(_said(hit))
    return "".join(
        (
            _part("Caption", _caption(card)),
            found + missing,
            score,
            _part("What the stages said", said),
            _part("Near-duplicates", _twins(hit)),
            _part("Details", _table(_metadata(card))),
            _part("Credits", _table(_credits(card))),
        )
    )


def _part(title: str, content: str) -> str:
    return f"<section><h3>{escape(title)}</h3>{content}</section>" if content else ""


def _caption(card: Card) -> str:
    if not card.record.caption:
        return ""
    feature = card.features.get("caption")
    by = "" if feature is None or feature.origin == MANIFEST else feature.origin
    told = f'<span class="mm-quiet"> — written by {escape(by)}</span>' if by else ""
    return f"<p>{escape(card.record.caption)}{told}</p>"


def _placed(card: Card) -> str:
    before = card.hit.first_stage_rank
    if before is None:
        return ""
    moved = "and stayed there" if not card.rose else f"and {'rose' if card.rose > 0 else 'fell'} to {card.rank}"
    return f'<p class="mm-quiet">The search had it at place {before}, {moved}.</p>'


def _twins(hit: Hit) -> str:
    pictures = "".join(
        f'<li><img src="{escape(thumbnail_url(each, 128))}" alt="{escape(each)}" title="{escape(each)}" '
        'width="72" height="72" loading="lazy"></li>'
        for each in hit.duplicates[:24]
    )
    more = len(hit.duplicates) - 24
    told = f'<li class="mm-quiet">and {more} more</li>' if more > 0 else ""
    return f'<ul class="mm-twins">{pictures}{told}</ul>' if pictures else ""


def _said(hit: Hit) -> dict[str, Any]:
    return {name: value for name, value in hit.details.items() if name not in _SHOWN_ELSEWHERE}


def _metadata(card: Card) -> dict[str, Any]:
    own = {name: value for name, value in card.record.meta.items() if name.lower() not in _CREDITS}
    spoken = {kind: feature.text for kind, feature in card.features.items() if kind != "caption" and feature.text}
    return {**own, **spoken, "file": card.record.path}


def _credits(card: Card) -> dict[str, Any]:
    return {name: value for name, value in card.record.meta.items() if name.lower() in _CREDITS}


def _table(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{_value(value)}</dd></div>"
        for name, value in values.items()
        if value not in (None, "", [], {})
    )
    return f'<dl class="mm-facts">{rows}</dl>' if rows else ""


def _value(value: Any) -> str:
    if isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value):
        return chips((str(each) for each in value), "words", "Values")
    if isinstance(value, str) and value.startswith(("https://", "http://")) and not value.split()[1:]:
        address = escape(value)
        return f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{address}</a>'
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return escape(shortened(told, _LONGEST))
