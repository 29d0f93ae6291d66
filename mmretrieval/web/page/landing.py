"""What stands in place of results before the first search: a look into the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmretrieval.types import Hit
from mmretrieval.web.page.cards import Card, glance_html

if TYPE_CHECKING:
    from mmretrieval.collection import Collection

_SHOWN = 24


def landing_html(collection: Collection) -> str:
    """Pictures from all over the collection; each is a search for what looks like it."""
    if not collection.count:
        return '<div class="mm-nothing"><p>This index holds no picture yet.</p></div>'
    count, shown = collection.count, min(collection.count, _SHOWN)
    ids = [collection.ids[(2 * place + 1) * count // (2 * shown)] for place in range(shown)]
    cards = "".join(glance_html(Card(0, Hit(record.id, ""), record)) for record in collection.records(ids))
    grid = f'<ol class="mm-grid" aria-label="A look into the collection">{cards}</ol>'
    return f'<div class="mm-gallery mm-landing">{grid}</div>'
