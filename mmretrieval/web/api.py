"""The REST routes: each one hands a form to the desk, and puts what comes back into JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from mmretrieval.web.form import Id, SearchForm
from mmretrieval.web.pictures import CARD, WHOLE, Encoded
from mmretrieval.web.results import API, to_json

if TYPE_CHECKING:
    from mmretrieval.web.desk import Desk

RecordId = Annotated[Id, Path(description="The id of a picture of the collection.")]
Tag = Annotated[str | None, Header(alias="If-None-Match")]


def routes(desk: Desk) -> APIRouter:
    """All routes under /api/v1."""
    router = APIRouter(prefix=API)

    @router.post("/search")
    def search(form: SearchForm) -> dict[str, Any]:
        """Search by words, by a picture, or by both; the answer is that of `mmretrieval search --json`."""
        return to_json(form, desk.search(form))

    @router.get("/images/{record_id:path}")
    def image(record_id: RecordId, if_none_match: Tag = None) -> Response:
        """A picture of the collection, at most 2048 pixels long."""
        return _picture(desk, record_id, WHOLE, if_none_match)

    @router.get("/thumbnails/{record_id:path}")
    def thumbnail(record_id: RecordId, side: Annotated[int, Query(ge=1)] = CARD, if_none_match: Tag = None) -> Response:
        """A small picture, its longer side at most `side` pixels: 128, 256, 384, 512 or 1024."""
        return _picture(desk, record_id, side, if_none_match)

    return router


def _picture(desk: Desk, record_id: str, side: int, known: str | None) -> Response:
    with desk.reading() as collection:
        made = desk.pictures.get(collection, record_id, side)
    return _response(made, known)


def _response(made: Encoded, known: str | None) -> Response:
    headers = {"ETag": f'"{made.tag}"', "Cache-Control": "private, max-age=300"}
    if known is not None and f'"{made.tag}"' in known:
        return Response(status_code=304, headers=headers)
    return Response(made.data, media_type=made.media_type, headers=headers)
