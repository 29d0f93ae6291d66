"""A search as plain data, with a bound on every field: the one form behind the REST API, the page and its links.

It means what the same words mean on the command line (see `command`), so every face gives the same ranking.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from mmretrieval.errors import UsageError
from mmretrieval.types import MINUS_WEIGHT, Compose, Part, Query

LONGEST_TEXT = 1000
MOST_HITS = 200  # in one answer
FARTHEST = 5000  # hits in, that paging reaches
MOST_CALLS = 1000  # of a language model, for one search

_SETTING = r"[A-Za-z0-9_]{1,40}=[A-Za-z0-9_.+-]{1,40}"
_SPEC = re.compile(rf"[A-Za-z0-9_-]{{1,40}}(:{_SETTING}(,{_SETTING}){{0,15}})?")


def _checked_spec(spec: str) -> str:
    """A method with its settings; what could name a file, an address or a model is refused by its letters."""
    if not _SPEC.fullmatch(spec):
        raise ValueError("write a method as NAME or NAME:key=value,key=value, with plain words and numbers as values")
    return spec


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("text holds no NUL character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("words are missing here")
    return text.strip()


Words = Annotated[str, StringConstraints(max_length=LONGEST_TEXT), AfterValidator(_without_nul)]
SomeWords = Annotated[Words, AfterValidator(_not_blank)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_without_nul)]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
Spec = Annotated[str, StringConstraints(min_length=1, max_length=300), AfterValidator(_checked_spec)]
Weight = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Part01 = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Cosine = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Fuse(BaseModel):
    """How much looks and captions count; see `mmretrieval.fusion`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: Share = 0.7
    caption: Share = 0.3
    how: Literal["late", "standard"] = "late"

    @property
    def spec(self) -> str:
        """As behind --fuse; a thousandth is the finest step."""
        how = "" if self.how == "late" else f"{self.how}:"
        return f"{how}image={self.image:.3f},caption={self.caption:.3f}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The stages of a search: searches with equal settings share everything that was opened for them."""

    hybrid: str | None = None
    fuse: str | None = None
    rewrite: tuple[str, ...] = ()
    refine: tuple[str, ...] = ()
    rerank: tuple[str, ...] = ()


class SearchForm(BaseModel):
    """What is sought and how. `image` is the token of an upload, `image_id` a picture of the collection.

    With a picture the words are the change that is wanted. `weights` of parts that a search does not have are left
    aside. `collapse` folds near-duplicates: true, or the cosine from which on they are some. `cutoff` leaves out what
    does not belong: true, or its strictness. The answer holds `top_k` hits from the one after `offset` on.
    `max_calls` and `max_seconds` bound what rewriters and rerankers ask of the language model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Words = ""
    image: Token | None = None
    image_id: Id | None = None
    weights: dict[Literal["text", "image", "like", "unlike"], Weight] = Field(default_factory=dict)
    minus: tuple[SomeWords, ...] = Field(default=(), max_length=8)
    like: tuple[Id, ...] = Field(default=(), max_length=100)
    unlike: tuple[Id, ...] = Field(default=(), max_length=100)
    compose: Compose = "sum"
    filter: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_without_nul)] = ""
    fuse: Fuse | None = None
    hybrid: Literal["rrf", "blend"] | None = None
    rewrite: tuple[Spec, ...] = Field(default=(), max_length=3)
    refine: tuple[Spec, ...] = Field(default=(), max_length=3)
    rerank: tuple[Spec, ...] = Field(default=(), max_length=3)
    collapse: StrictBool | Cosine = False
    cutoff: StrictBool | Part01 = False
    top_k: int = Field(default=24, ge=1, le=MOST_HITS)
    offset: int = Field(default=0, ge=0, le=FARTHEST)
    max_calls: int | None = Field(default=None, ge=0, le=MOST_CALLS)
    max_seconds: float | None = Field(default=None, ge=0, le=3600, allow_inf_nan=False)

    def __hash__(self) -> int:
        """Equal forms have equal hashes, though the weights are a dict."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to search for."""
        return not (self.text.strip() or self.has_picture or self.like)

    @property
    def has_picture(self) -> bool:
        return self.image is not None or self.image_id is not None

    @property
    def asks(self) -> bool:
        """Whether a language model may be asked for it, where there is one."""
        return bool(self.rewrite or self.rerank)

    @property
    def settings(self) -> Settings:
        fuse = None if self.fuse is None else self.fuse.spec
        return Settings(self.hybrid, fuse, self.rewrite, self.refine, self.rerank)

    @property
    def used_weights(self) -> dict[str, float]:
        """The weights that mean something: of the parts that there are, where there are several."""
        parts = self._parts
        return {name: weight for name, weight in self.weights.items() if parts[name]} if self._joins else {}

    @property
    def used_compose(self) -> Compose:
        """How several parts are joined; one alone has nothing to be joined with."""
        return self.compose if self._joins else "sum"

    @property
    def _parts(self) -> dict[str, bool]:
        given = {"text": self.text.strip(), "image": self.has_picture, "like": self.like, "unlike": self.unlike}
        return {name: bool(value) for name, value in given.items()}

    @property
    def _joins(self) -> bool:
        return sum(self._parts.values()) + len(self.minus) > 1

    def query(self, picture: bytes | None = None) -> Query:
        """The query, given the bytes of the picture behind the token; raises UsageError for an empty one."""
        if self.is_empty:
            raise UsageError("there is nothing to search for: give words, a picture, or a good example")
        return Query(
            "q",
            self.text,
            picture,
            self.image_id,
            self.used_weights,
            parts=tuple(Part(text=words, weight=-MINUS_WEIGHT) for words in self.minus),
            like=tuple(dict.fromkeys(self.like)),
            unlike=tuple(dict.fromkeys(self.unlike)),
            compose=self.used_compose,
            filter=self.filter.strip(),
        )
