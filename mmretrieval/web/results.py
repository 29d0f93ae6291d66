"""A ranking as JSON, with the fields of `mmretrieval search --json`, and where the pictures of its hits are."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel

from mmretrieval.cli.report import SCHEMA_VERSION
from mmretrieval.types import Hit, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.pictures import CARD

API = "/api/v1"


class Refusal(BaseModel):
    """Why a request was not answered, in sentences."""

    status: Literal["error"]
    errors: list[str]


class FoundHit(BaseModel):
    """One hit; see `mmretrieval.Hit`. `image` and `thumbnail` are addresses on this server."""

    rank: int | None
    id: str
    path: str
    score: float | None
    by: str
    why: str
    scores: dict[str, float]
    shares: dict[str, float]
    duplicates: list[str]
    details: dict[str, Any]
    first_stage_rank: int | None
    image: str
    thumbnail: str


class Found(BaseModel):
    """The answer to a search, best first; `next_offset` leads on to further hits, and is null at the end.

    `status` is "partial" where a step went without replies, or kept the order before it; `steps` tell which.
    """

    schema_version: int
    status: Literal["ok", "partial"]
    warnings: list[str]
    query: dict[str, Any]
    hits: list[FoundHit]
    steps: list[dict[str, Any]]
    next_offset: int | None
    command: str


def picture_url(record_id: str) -> str:
    """Where the picture of a record is served."""
    return f"{API}/images/{quote(record_id, safe='')}"


def thumbnail_url(record_id: str, side: int = CARD) -> str:
    """Where a small picture of a record is served; `side` is one of `pictures.SIDES`."""
    return f"{API}/thumbnails/{quote(record_id, safe='')}?side={side}"


def hit_to_json(hit: Hit, rank: int | None) -> dict[str, Any]:
    """One hit with the addresses of its pictures; `rank` is its place from 1, None where it is not known."""
    told = {**hit.to_dict(rank or 0), "rank": rank}
    return {**told, "image": picture_url(hit.id), "thumbnail": thumbnail_url(hit.id)}


def to_json(form: SearchForm, ranking: Ranking, command: str = "") -> dict[str, Any]:
    """As the command line prints it, ranks counted from the first hit of all; `command` is what to type there."""
    found = ranking.to_dict()
    hits = [hit_to_json(hit, rank) for rank, hit in enumerate(ranking.hits, start=form.offset + 1)]
    return {
        "schema_version": SCHEMA_VERSION,
        "status": ranking.status,
        "warnings": found["warnings"],
        "query": found["query"],
        "hits": hits,
        "steps": found["steps"],
        "next_offset": form.offset + form.top_k if len(hits) == form.top_k else None,
        "command": command,
    }
