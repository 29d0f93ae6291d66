"""The first stage of a collection, as it was asked for: dense search alone, or hybrid search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmretrieval import registry
from mmretrieval.errors import UsageError
from mmretrieval.first_stages.hybrid import METHODS
from mmretrieval.planner import AUTO, open_index
from mmretrieval.remembering import Remembering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmretrieval.collection import Collection
    from mmretrieval.protocols import Encoder
    from mmretrieval.stages import FirstStage


def check_hybrid(hybrid: str | None) -> None:
    """Raise UsageError for a kind of hybrid search that there is not."""
    if hybrid is not None and hybrid not in METHODS:
        raise UsageError(f"there is no hybrid search '{hybrid}': choose one of: {', '.join(METHODS)}")


def open_first_stage(
    collection: Collection,
    encoder: Encoder,
    *,
    index_kind: str = AUTO,
    hybrid: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> FirstStage:
    """Dense search, or with `hybrid` "rrf" or "blend" all channels of the collection joined.

    A blend has the given `weights`, else those fitted for this collection, else the usual ones.
    """
    check_hybrid(hybrid)
    nearest = open_index(collection, index_kind)
    dense_search = registry.load("first_stages", "dense")
    dense: FirstStage
    if hybrid is None:
        dense = dense_search(encoder, collection, nearest)
        return dense
    dense = dense_search(Remembering(encoder), collection, nearest)
    bm25 = registry.load("first_stages", "bm25")(collection)
    joined: FirstStage = registry.load("first_stages", "hybrid")(
        collection, dense, bm25, method=hybrid, weights=weights or collection.blend
    )
    return joined
