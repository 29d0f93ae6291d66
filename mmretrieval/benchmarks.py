"""What a loader of the `datasets` hands over: queries with judgements, choices between captions, or graded pairs.

A loader reads the publisher's files where the user put them and downloads nothing. Whatever it found wrong in a small
way, left out or could not check stands in `notes`, as sentences; what cannot be used at all is an error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Extension
from mmretrieval.types import Query

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Queries over a fixed set of candidates, with graded judgements (1 or more is relevant).

    A candidate is an id of `texts` (its captions, one a line), of `images` (a path relative to the folder of the
    data; the file need not be there), or of both. A query that may choose from a pool alone has it in
    `Query.within`; a reference that is removed before scoring stands in `Query.exclude`. `qrels` may lack queries
    whose answers their publisher keeps. `measures` are the published ones, `average` says whether their mean is
    taken over queries or over the means of the `categories`, which part the queries; `groups` are named sets of
    queries that may overlap. `subsets` holds the few candidates of a query on which a second, published measure
    (CIRR's Recall_subset) is taken. `dialogues` lists the queries of one dialogue, round by round.
    """

    name: str
    split: str
    queries: tuple[Query, ...]
    qrels: Mapping[str, Mapping[str, int]]
    categories: Mapping[str, str] = field(default_factory=_nothing)
    texts: Mapping[str, str] = field(default_factory=_nothing)
    images: Mapping[str, str] = field(default_factory=_nothing)
    measures: tuple[str, ...] = ("R@1", "R@5", "R@10")
    notes: tuple[str, ...] = ()
    average: Literal["queries", "categories"] = "queries"
    groups: Mapping[str, frozenset[str]] = field(default_factory=_nothing)
    subsets: Mapping[str, frozenset[str]] = field(default_factory=_nothing)
    dialogues: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    licence: str = ""

    def __post_init__(self) -> None:
        known = {query.id for query in self.queries}
        if len(known) != len(self.queries):
            raise InvalidData(f"the benchmark {self.name} holds a query id twice")
        for what in (self.qrels, self.categories, self.subsets):
            for query in sorted(what.keys() - known):
                raise InvalidData(f"the benchmark {self.name} judges the query '{query}', which it does not have")

    @property
    def candidates(self) -> list[str]:
        """All ids that may be found, sorted."""
        return sorted(self.texts.keys() | self.images.keys())


@dataclass(frozen=True, slots=True)
class Choice:
    """A picture with its caption and a caption that is nearly right; the right one should score higher."""

    id: str
    image: str  # an id of `Choices.images`
    caption: str
    negative: str
    category: str


@dataclass(frozen=True, slots=True)
class Choices:
    """Tasks of two captions for one picture (SugarCrepe): the measure is the share of right choices by category."""

    name: str
    split: str
    choices: tuple[Choice, ...]
    images: Mapping[str, str]  # image id to a path relative to the folder of the data
    texts: Mapping[str, str] = field(default_factory=_nothing)  # image id to its captions, one a line, where known
    notes: tuple[str, ...] = ()
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two things and how alike people found them, as the mean of their marks; larger is more alike."""

    id: str
    left: str
    right: str
    score: float


@dataclass(frozen=True, slots=True)
class Correlations:
    """Pairs whose similarities should follow people's marks (Crisscrossed Captions): the measure is a correlation.

    Each of `left` and `right` is an id of `texts` or of `images`.
    """

    name: str
    split: str
    pairs: tuple[Pair, ...]
    texts: Mapping[str, str] = field(default_factory=_nothing)
    images: Mapping[str, str] = field(default_factory=_nothing)
    notes: tuple[str, ...] = ()
    licence: str = ""


class Dataset(Extension, ABC):
    """A published benchmark, read from a folder that the user filled."""

    paper: ClassVar[str] = ""
    source: ClassVar[str]  # the official page where its files are had
    licence: ClassVar[str]
    splits: ClassVar[tuple[str, ...]]  # the first is the default

    def load(self, data: Path, split: str = "") -> Benchmark | Choices | Correlations:
        """Read and check everything.

        Raises UsageError for an unknown split, NotFound naming a missing file and its official page, InvalidData with
        one sentence naming file and entry for whatever contradicts itself or the published counts.
        """
        split = split or self.splits[0]
        if split not in self.splits:
            raise UsageError(f"{self.name} has no split '{split}': choose one of: {', '.join(self.splits)}")
        return self._load(data, split)

    @abstractmethod
    def _load(self, data: Path, split: str) -> Benchmark | Choices | Correlations:
        """The work of `load`, for a split that exists."""
