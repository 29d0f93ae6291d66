"""Find pictures with words, with a picture, or with a picture plus a change.

    import mmretrieval as mm
    mm.index("photos", "photos.index")
    with mm.Searcher.open("photos.index") as searcher:
        for hit in searcher.search("a red bowl of soup", top_k=10).hits:
            ...

Names are imported when they are first used, so that `import mmretrieval` stays quick.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mmretrieval.collection import Collection
    from mmretrieval.encoders import open_encoder
    from mmretrieval.errors import MMRetrievalError
    from mmretrieval.evaluation.experiment import evaluate
    from mmretrieval.indexing import IndexReport
    from mmretrieval.indexing_vectors import index_vectors
    from mmretrieval.making import index
    from mmretrieval.pipeline import Pipeline
    from mmretrieval.preparing import prepare
    from mmretrieval.searcher import Searcher
    from mmretrieval.types import Hit, ImageRecord, Query, Ranking, Step
    from mmretrieval.watching import Watch

_HOMES = {
    "Collection": "collection",
    "Hit": "types",
    "ImageRecord": "types",
    "IndexReport": "indexing",
    "MMRetrievalError": "errors",
    "Pipeline": "pipeline",
    "Query": "types",
    "Ranking": "types",
    "Searcher": "searcher",
    "Step": "types",
    "Watch": "watching",
    "evaluate": "evaluation.experiment",
    "index": "making",
    "index_vectors": "indexing_vectors",
    "open_encoder": "encoders",
    "prepare": "preparing",
}

__all__ = [
    "Collection",
    "Hit",
    "ImageRecord",
    "IndexReport",
    "MMRetrievalError",
    "Pipeline",
    "Query",
    "Ranking",
    "Searcher",
    "Step",
    "Watch",
    "evaluate",
    "index",
    "index_vectors",
    "open_encoder",
    "prepare",
]

logging.getLogger("mmretrieval").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mmretrieval' has no attribute '{name}'")
    value = getattr(import_module(f"mmretrieval.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
