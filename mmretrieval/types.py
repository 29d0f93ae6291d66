"""The values that travel between stages: records, queries, hits, steps, rankings.

All are frozen; a stage makes a new value instead of changing the one it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from mmretrieval.errors import InvalidData, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Status = Literal["ok", "repaired", "partial", "fallback"]
Compose = Literal["sum", "slerp", "product"]
_PARSED = ("ok", "repaired", "partial", "failed")  # how an answer can be read; in JSON each has its count

MINUS_WEIGHT = 0.25  # how far words to avoid lead a query away; chosen by assets/reports/composed.md
TARGET_SHARE = 0.5  # of a description of what is sought in the whole query; see assets/reports/target-captions.md

_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return _NOTHING  # a factory, since Python 3.11 takes a mapping proxy for a mutable default


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One picture of a collection.

    `id` is unique and never changes, even when the file moves; `path` is relative to the collection's root.
    """

    id: str
    path: str
    caption: str = ""
    meta: Mapping[str, Any] = field(default_factory=_nothing)

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "path": self.path, "caption": self.caption, "meta": dict(self.meta)}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A vector that stands for a picture, of the same encoder as the index: it needs no model. Any length will do."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One more part of a query: words, or a picture (a file, an opened image, its vector, or a record's id).

    A negative weight leads away from the part.
    """

    text: str = ""
    image: Path | Image | Encoded | None = None
    image_id: str | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        given = (bool(self.text.strip()), self.image is not None, self.image_id is not None)
        if sum(given) != 1:
            raise UsageError("a part of a query is words, a picture, or the id of one: give exactly one of them")
        if not -1e6 < self.weight < 1e6:  # also refuses NaN, which compares false
            raise UsageError(f"a part of a query has the weight {self.weight}: use a finite number")


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A query taken apart: short sub-queries that can each be searched alone, and what should not be there."""

    wanted: tuple[str, ...] = ()
    avoided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """What is sought: words, a picture, a picture plus a change, examples, or several of these.

    The picture is a file or its bytes, an opened image or a vector (`image`), or a record of the collection
    (`image_id`).
    With a picture, `text` is the modification. `weights` holds one number for "text" and one for "image";
    a missing one is 1. `parts` are further words and pictures with weights of their own; `compose` says how words and
    pictures are joined. `like` and `unlike` are ids of confirmed examples and counter-examples, which `weights` may
    name too; counter-examples are never returned. `target` describes in words the picture that is sought, as a language
    model imagines it from picture and change; `weights["target"]` is its share of the whole, from 0 to 1, by default
    TARGET_SHARE. `plan` is the query taken apart: its sub-queries are searched beside it.
    Ids in `exclude` are never returned; `within`, if given, restricts the search to its ids, and `filter` to the
    records whose metadata it describes (see `filters`).
    """

    id: str = "q"
    text: str = ""
    image: Path | bytes | Image | Encoded | None = None
    image_id: str | None = None
    weights: Mapping[str, float] = field(default_factory=_nothing)
    exclude: frozenset[str] = frozenset()
    within: frozenset[str] | None = None
    parts: tuple[Part, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    compose: Compose = "sum"
    filter: str = ""
    target: str = ""
    plan: QueryPlan | None = None

    def __post_init__(self) -> None:
        if not (self.text.strip() or self.has_image or self.parts or self.like or self.target.strip()):
            raise UsageError(f"query '{self.id}' is empty: give words, a picture, an example, or several of these")
        if self.image is not None and self.image_id is not None:
            raise UsageError(f"query '{self.id}' names two pictures: give a file or an id, not both")
        for part, weight in self.weights.items():
            if part not in ("text", "image", "like", "unlike", "target"):
                raise UsageError(f"query '{self.id}' weights '{part}': the parts are text, image, like, unlike, target")
            if not -1e6 < weight < 1e6:  # also refuses NaN, which compares false
                raise UsageError(f"query '{self.id}' gives {part} the weight {weight}: use a finite number")
        if not 0 <= self.weights.get("target", TARGET_SHARE) <= 1:
            raise UsageError(f"query '{self.id}': the target's weight is its share of the whole: give it from 0 to 1")

    @property
    def target_share(self) -> float:
        """How much of the query its target is: 0 without one, 1 when nothing else is asked for."""
        return self.weights.get("target", TARGET_SHARE) if self.target.strip() else 0.0

    @property
    def has_image(self) -> bool:
        return self.image is not None or self.image_id is not None

    @property
    def is_composed(self) -> bool:
        """Whether it is a picture plus a change."""
        return self.has_image and bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class Hit:
    """One placed candidate.

    Its position in the ranking is the result; `score` is only the evidence of the stage named in `by`: larger is
    better, comparable only between hits of the same `by` and query, None where that stage gives an order alone.
    `scores` holds what each channel adds to it, `shares` what each part of the query adds to the channel of looks,
    empty where a stage joins ranks, and `why` one line for the user. `duplicates` are the ids of near-duplicates that
    were folded into this hit. `first_stage_rank` is its 1-based place before refiners and rerankers, None where there
    were none of them or where the first stage did not bring it. `details` is what a stage can tell beyond one line, in
    values that JSON can hold: "matched", "missing", "verdict", "grade"; where a reranker placed the hit, its scores
    of before stand there as "first_stage", since they no longer add up to `score`.
    """

    id: str
    by: str
    score: float | None = None
    path: str = ""
    why: str = ""
    scores: Mapping[str, float] = field(default_factory=_nothing)
    shares: Mapping[str, float] = field(default_factory=_nothing)
    duplicates: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=_nothing)
    first_stage_rank: int | None = None

    def to_dict(self, rank: int) -> dict[str, Any]:
        """As JSON, with its 1-based rank."""
        return {
            "rank": rank,
            "id": self.id,
            "path": self.path,
            "score": self.score,
            "by": self.by,
            "why": self.why,
            "scores": dict(self.scores),
            "shares": dict(self.shares),
            "duplicates": list(self.duplicates),
            "details": dict(self.details),
            "first_stage_rank": self.first_stage_rank,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage did to a ranking: wall seconds, model calls, tokens, how many hits changed place.

    `parsed` counts the answers that had to be read as ok, repaired, partial or failed (see `parsing`), empty where
    none had to. `tau` is Kendall's correlation of a reranker's order with the one it was given: 1 changed nothing, -1
    turned it round. `flips` is the share of pairs that it ordered otherwise when it was shown them in another order.
    `unanswered` counts the asks that got no reply: the model failed, or a budget was spent.
    """

    name: str
    seconds: float = 0.0
    status: Status = "ok"
    calls: int = 0
    cached: int = 0
    tokens: int = 0
    moved: int = 0
    note: str = ""
    parsed: Mapping[str, int] = field(default_factory=_nothing)
    tau: float | None = None
    flips: float | None = None
    unanswered: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seconds": round(self.seconds, 6),
            "status": self.status,
            "calls": self.calls,
            "cached": self.cached,
            "tokens": self.tokens,
            "moved": self.moved,
            "note": self.note,
            "parsed": dict.fromkeys(_PARSED, 0) | dict(self.parsed),
            "tau": self.tau,
            "flips": self.flips,
            "unanswered": self.unanswered,
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """The ordered hits of one query, best first, with the steps that led there and warnings for the user."""

    query: Query
    hits: tuple[Hit, ...] = ()
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if len({hit.id for hit in self.hits}) != len(self.hits):
            raise InvalidData(f"the ranking of query '{self.query.id}' holds an image twice")

    @property
    def ids(self) -> list[str]:
        return [hit.id for hit in self.hits]

    @property
    def status(self) -> Literal["ok", "partial"]:
        """Is "partial" where a step is "partial" or "fallback": it went without replies, or kept the older order."""
        return "partial" if any(step.status in ("partial", "fallback") for step in self.steps) else "ok"

    def to_dict(self) -> dict[str, Any]:
        return {
            "query": {"id": self.query.id, "text": self.query.text, "image_id": self.query.image_id},
            "status": self.status,
            "hits": [hit.to_dict(rank) for rank, hit in enumerate(self.hits, start=1)],
            "steps": [step.to_dict() for step in self.steps],
            "warnings": list(self.warnings),
        }
