"""A ranking as JSON, with the fields of `mmretrieval search --json`, and where the pictures of its hits are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mmretrieval.cli.report import SCHEMA_VERSION
from mmretrieval.types import Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.pictures import CARD

API = "/api/v1"


def picture_url(record_id: str) -> str:
    """Where the picture of a record is served."""
    return f"{API}/images/{quote(record_id, safe='')}"


def thumbnail_url(record_id: str, side: int = CARD) -> str:
    """Where a small picture of a record is served; `side` is one of `pictures.SIDES`."""
    return f"{API}/thumbnails/{quote(record_id, safe='')}?side={side}"


def to_json(form: SearchForm, ranking: Ranking) -> dict[str, Any]:
    """As the command line prints it, ranks counted from the first hit of all; `next_offset` is None at the end."""
    found = ranking.to_dict()
    hits = [
        {
            **hit,
            "rank": form.offset + hit["rank"],
            "image": picture_url(hit["id"]),
            "thumbnail": thumbnail_url(hit["id"]),
        }
        for hit in found["hits"]
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "status": ranking.status,
        "warnings": found["warnings"],
        "query": found["query"],
        "hits": hits,
        "steps": found["steps"],
        "next_offset": form.offset + form.top_k if len(hits) == form.top_k else None,
    }
