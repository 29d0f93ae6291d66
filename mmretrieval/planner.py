"""Which index serves a collection: what was chosen for it when it was indexed, or exact search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmretrieval import registry

if TYPE_CHECKING:
    from mmretrieval.collection import Collection
    from mmretrieval.protocols import Index

AUTO = "auto"


def open_index(collection: Collection, kind: str = AUTO) -> Index:
    """The index over the pictures' vectors; "auto" is the kind planned for this collection."""
    chosen = registry.load("indexes", "exact" if kind == AUTO else kind)
    index: Index = chosen(collection.rows("image"), cache=collection.index / "cache" / "image")
    return index
