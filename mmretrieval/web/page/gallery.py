"""A ranking as a grid of cards, and the further cards that scrolling brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import count

from mmretrieval.collection import Collection
from mmretrieval.errors import UsageError
from mmretrieval.types import Hit, Ranking, Status, Step
from mmretrieval.web.form import FARTHEST, SearchForm
from mmretrieval.web.links import to_link
from mmretrieval.web.page.cards import Card, card_html
from mmretrieval.web.page.detail import detail_html

_made = count()  # tells one gallery from the next, even of the same search
_NOBODYS: Mapping[str, int] = {}
_WAITING = 6  # grey cards that stand for those that are under way


def gallery_html(collection: Collection, form: SearchForm, ranking: Ranking, grades: Mapping[str, int]) -> str:
    """The whole grid; it carries the form, so that the page can ask for what comes next."""
    if not ranking.hits:
        told = f'<div class="mm-nothing"><p>Nothing in this collection fits.</p>{_cures(form)}</div>'
        link = escape(_link(form))
        return f'<div class="mm-gallery" data-made="{next(_made)}" data-next="" data-link="{link}">{told}</div>'
    kind = "mm-judged" if any(hit.first_stage_rank is not None for hit in ranking.hits) else ""
    best = max((hit.score for hit in ranking.hits if hit.score is not None), default=0.0)
    cards = cards_html(collection, form, ranking, grades, best)
    waiting = '<li class="mm-card mm-wait" aria-hidden="true"><div class="mm-frame"></div></li>' * _WAITING
    return (
        f'<div class="mm-gallery" data-made="{next(_made)}" data-best="{best:.6f}" data-next="{_next(form, ranking)}" '
        f'data-link="{escape(_link(form))}">'
        f'<ol class="mm-grid {kind}" aria-label="Pictures, best first">{cards}</ol>'
        f'<ol class="mm-grid mm-coming" aria-hidden="true" hidden>{waiting}</ol>'
        f'<p class="mm-end" role="status"></p></div>'
    )


def cards_html(
    collection: Collection, form: SearchForm, ranking: Ranking, grades: Mapping[str, int], best: float
) -> str:
    """The cards alone, ranks counted from the first hit of all; `best` is the score that fills a bar."""
    ids = ranking.ids
    records = {record.id: record for record in collection.records(ids)}
    features = collection.feature_rows(ids)
    cards = [
        Card(
            rank,
            hit,
            records[hit.id],
            share=share_of(hit, best),
            grade=grades.get(hit.id),
            status=status_of(hit, ranking.steps),
            features=features.get(hit.id, {}),
        )
        for rank, hit in enumerate(ranking.hits, start=form.offset + 1)
    ]
    return "".join(card_html(card, detail_html(card)) for card in cards)


def more_html(
    collection: Collection | None = None,
    form: SearchForm | None = None,
    ranking: Ranking | None = None,
    grades: Mapping[str, int] = _NOBODYS,
    best: float = 0.0,
    *,
    sentence: str = "",
) -> str:
    """Cards that the page puts below those it has; or the sentence that says why there are none."""
    if collection is None or form is None or ranking is None:
        return f'<ol data-next="" data-told="{escape(sentence)}"></ol>'
    cards = cards_html(collection, form, ranking, grades, best)
    return f'<ol data-next="{_next(form, ranking)}" data-from="{form.offset}">{cards}</ol>'


def share_of(hit: Hit, best: float) -> float | None:
    """The score against the best one, from 0 to 1; None where a stage gives no score."""
    if hit.score is None:
        return None
    return min(1.0, max(0.0, hit.score / best)) if best > 0 else 0.0


def status_of(hit: Hit, steps: Sequence[Step]) -> Status:
    """How well the stage that placed the hit went."""
    return next((step.status for step in reversed(steps) if step.name == hit.by), "ok")


def _next(form: SearchForm, ranking: Ranking) -> str:
    """The offset of what comes next; nothing at the end."""
    following = form.offset + form.top_k
    return str(following) if len(ranking.hits) == form.top_k and following <= FARTHEST else ""


def _link(form: SearchForm) -> str:
    """The parameters of the page's address; none for a search that is too long for one."""
    try:
        return to_link(form)
    except UsageError:
        return ""


def _cures(form: SearchForm) -> str:
    cures = []
    if form.cutoff:
        cures.append("show also what fits badly: take away “Leave out what does not fit”")
    if form.filter:
        cures.append("loosen the filter")
    if form.minus:
        cures.append("leave out less")
    return f"<p>You may {', or '.join(cures)}.</p>" if cures else ""
