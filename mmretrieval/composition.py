"""Whether stages fit together, their model and their collection: asked before any picture is opened."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Protocol

from mmretrieval.asks import MLLM
from mmretrieval.errors import UsageError
from mmretrieval.stages import Collection, FirstStage, Refiner, Reranker, Rewriter, Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ChannelledCollection(Collection, Protocol):
    """A collection that says which families of vectors it holds, and which records a filter keeps."""

    @property
    def channels(self) -> AbstractSet[str]: ...

    def position(self, record_id: str) -> int: ...

    def matching(self, expression: str) -> NDArray[np.int64]:
        """Positions, rising."""
        ...


def keeps(collection: ChannelledCollection, expression: str, record_id: str) -> bool:
    """Whether a filter keeps this record; raises NotFound when there is none of that id."""
    kept, position = collection.matching(expression), collection.position(record_id)
    at = bisect_left(kept, position)
    return at < len(kept) and int(kept[at]) == position


def in_order(stages: Sequence[Stage]) -> tuple[list[Rewriter], FirstStage, list[Stage]]:
    """The rewriters, the one first stage, and the later stages; UsageError when they stand in another order."""
    for stage in stages:
        if not isinstance(stage, Rewriter | FirstStage | Refiner | Reranker):
            raise UsageError(f"{stage!r} is no stage: give instances of rewriters, a first stage, refiners, rerankers")
    firsts = [place for place, stage in enumerate(stages) if isinstance(stage, FirstStage)]
    if len(firsts) != 1:
        raise UsageError(f"a pipeline needs exactly one first stage, and this one has {len(firsts)}")
    first = stages[firsts[0]]
    assert isinstance(first, FirstStage)
    before, after = stages[: firsts[0]], stages[firsts[0] + 1 :]
    rewriters = [stage for stage in before if isinstance(stage, Rewriter)]
    for stage in before:
        if not isinstance(stage, Rewriter):
            raise UsageError(f"'{stage.name}' stands before the first stage '{first.name}', where only rewriters can")
    for stage in after:
        if isinstance(stage, Rewriter):
            raise UsageError(f"the rewriter '{stage.name}' stands behind the first stage '{first.name}': put it before")
        if isinstance(stage, Reranker) and stage.depth < 1:
            raise UsageError(f"'{stage.name}' has depth {stage.depth}: let it look at one hit at least")
    return rewriters, first, list(after)


def check_asks(stage: Stage, mllm: MLLM | None) -> None:
    """UsageError when the stage will yield asks that the model does not answer."""
    missing = stage.needs - (mllm.answers if mllm else frozenset())
    if missing:
        wanted = ", ".join(sorted(kind.__name__ for kind in missing))
        have = f"'{mllm.spec}' does not answer" if mllm else "this pipeline has no language model to answer"
        raise UsageError(f"'{stage.name}' asks for {wanted}, which {have}: give another model or leave the stage out")


def check_channels(stage: Stage, collection: ChannelledCollection | None) -> None:
    """UsageError when the stage reads a channel that the collection does not have."""
    if collection is None:
        if stage.reads or isinstance(stage, Refiner | Reranker):
            raise UsageError(f"'{stage.name}' reads the collection, and this pipeline was given none")
        return
    missing = ", ".join(sorted(stage.reads - collection.channels))
    if missing:
        have = ", ".join(sorted(collection.channels)) or "none"
        raise UsageError(f"'{stage.name}' reads the channel {missing}, and this collection has: {have}")
