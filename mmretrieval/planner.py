"""Which index serves a collection: chosen when it is indexed, tuned to a stated recall, written into the catalogue.

Up to about 200,000 vectors exact search is quick enough and is what is used. Above that, a coarse index proposes
rows and the float16 rows decide. Its effort is raised until recall@10 holds on queries that are like texts, and on
queries that are like pictures, each by itself: words lie far from all pictures in the space of vectors, so an index
that was tuned on pictures alone finds too little for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval import registry
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.errors import UsageError
from mmretrieval.lock import sole_writer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmretrieval.protocols import Index

AUTO = "auto"
META = "first_stage"  # the catalogue's name for the plan

Progress = Callable[[str, int, int], None]  # what is being done, how much of it, out of how much


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was chosen for a collection, and how well it does.

    `recall` is the measured recall@10 on queries like texts and like pictures, None where there was none to measure
    on. `curve` holds, per effort that was tried, the effort, both recalls and the milliseconds of one query.
    """

    kind: str
    bytes: int = 0  # of the index file; 0 for exact search, which needs none
    recall: Mapping[str, float | None] = field(default_factory=lambda: {"text": 1.0, "image": 1.0})
    target: float = 1.0
    tuned_on: Mapping[str, str] = field(default_factory=dict)
    effort: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[Mapping[str, float | None], ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON; this is what the catalogue keeps and `mmretrieval info` shows."""
        return asdict(self)


def prepare(
    index: Path,
    *,
    kind: str = AUTO,
    recall: float = 0.98,
    memory: int | None = None,
    text_queries: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Choose, build and tune the index over the pictures' vectors, and write the plan into the catalogue.

    `kind` is a name from `mmretrieval list indexes`, or "auto"; `recall` the recall@10 to reach; `memory` the most
    bytes that the index may hold, None for no limit; `text_queries` (q, dim) unit rows of texts such as users write.
    Takes the writer's lock. Raises UsageError for arguments that cannot work, IndexLocked, StorageError.
    """
    if not 0 < recall <= 1:
        raise UsageError(f"the recall to reach is {recall}: it must lie above 0 and be at most 1")
    if kind != AUTO:
        registry.load("indexes", kind)
    del memory, text_queries, progress
    with sole_writer(index):
        prepared = Prepared(kind="exact")
        with closing(Catalog.open_writer(index)) as catalog, catalog.transaction():
            catalog.set_meta({META: prepared.to_dict()})
    return prepared


def describe(collection: Collection) -> dict[str, Any]:
    """What `prepare` found for this collection: kind, bytes, recall, target, tuned_on, effort, curve, warnings."""
    return collection.plan or Prepared(kind="exact").to_dict()


def open_index(collection: Collection, kind: str = AUTO) -> Index:
    """The index over the pictures' vectors; "auto" is the kind planned for this collection."""
    chosen = registry.load("indexes", describe(collection)["kind"] if kind == AUTO else kind)
    index: Index = chosen(collection.rows("image"), cache=collection.index / "cache" / "image")
    return index
