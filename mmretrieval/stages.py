"""The four verbs: rewrite, search, refine, rerank.

A pipeline is a plain list of such stages: any rewriters, one first stage, then refiners and rerankers. Whatever
needs a language model is a generator that yields lists of asks and is sent the replies; whatever does not may
simply return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TypeAlias, TypeVar

from mmretrieval.asks import MLLM, Ask, Attend, Generate, Reply, ScoreChoices
from mmretrieval.protocols import Extension
from mmretrieval.types import Hit, ImageRecord, Query, Ranking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

T = TypeVar("T")
Flow: TypeAlias = T | Generator[list[Ask], list[Reply], T]
AskKind = type[Generate] | type[ScoreChoices] | type[Attend]


class Collection(Protocol):
    """What a stage may read of a collection."""

    def record(self, record_id: str) -> ImageRecord: ...

    def open_image(self, record_id: str) -> Image: ...

    def vectors(self, channel: str, ids: Sequence[str]) -> NDArray[np.float32]:
        """Stored unit rows, (n, dim), in the order of `ids`."""
        ...

    def features(self, record_id: str) -> Mapping[str, str]:
        """What is said of its picture, by kind: "caption", "ingredients" (separated by ", "), "aspects".

        A kind that nothing usable is stored of is not in it; nothing there is of another picture, or of older bytes.
        """
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record offered to a reranker, with the hit that brought it; its picture is opened only when asked for."""

    record: ImageRecord
    hit: Hit
    collection: Collection

    @property
    def image(self) -> Image:
        return self.collection.open_image(self.record.id)

    def vector(self, channel: str) -> NDArray[np.float32]:
        """Its stored unit row of that channel, (dim,)."""
        row: NDArray[np.float32] = self.collection.vectors(channel, [self.record.id])[0]
        return row


@dataclass(frozen=True, slots=True)
class Reranked:
    """What a reranker returns that has more to say than the order of its hits, best first.

    `parsed` counts how many of a model's answers were read as "ok", "repaired", "partial" and "failed" (see
    `parsing`); the step's status follows from it. `flips` is the share of pairs ordered otherwise when shown in
    another order, None where there were no two orders to compare. `note` is one line for the user.
    """

    hits: Sequence[Hit]
    parsed: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    flips: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a rewriter returns that has more to say than the query; `parsed` and `note` as in `Reranked`."""

    query: Query
    parsed: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""


class Stage(Extension, ABC):
    """What the four verbs share. `needs`: asks it will yield; `reads`: vector channels it will read."""

    paper: ClassVar[str] = ""
    needs: frozenset[AskKind] = frozenset()
    reads: ClassVar[frozenset[str]] = frozenset()

    def calls(self, candidates: int) -> int:  # noqa: ARG002 (for those that ask per candidate)
        """How many asks one query will cost at most, given so many candidates (0 before a first stage)."""
        return 0 if not self.needs else 1

    def suited(self, mllm: MLLM) -> Self:  # noqa: ARG002 (for those that work otherwise with a small model)
        """The form of it that suits the model, as a new stage; itself where one form serves all models."""
        return self


class Rewriter(Stage):
    """Query → Query."""

    @abstractmethod
    def rewrite(self, query: Query) -> Flow[Query] | Flow[Rewritten]: ...


class FirstStage(Stage):
    """Query → Ranking, over the whole collection."""

    @property
    def scores_compare_queries(self) -> bool:
        """Whether equal scores of different queries mean equally good hits, so that a cutoff can be learned."""
        return True

    @abstractmethod
    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """One ranking per query, in order, each of at most `top_k` hits."""


class Refiner(Stage):
    """Ranking → Ranking; may bring images that the first stage did not. It is given `depth` hits where there are."""

    depth: int = 0

    @abstractmethod
    def refine(self, ranking: Ranking, collection: Collection) -> Ranking:
        """A ranking of the same query; the notes of steps that it adds are kept."""


class Reranker(Stage):
    """Ranking → Ranking; may only reorder. It looks at the top `depth` hits."""

    depth: int = 20

    @abstractmethod
    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Flow[list[Hit]] | Flow[Reranked]:
        """The candidates' hits, best first. The pipeline puts those it forgot behind them, in their old order.

        A hit's `scores` add up to its `score`; a hit that states none gets the score under the method's own name.
        """
