"""REST routes of pictures: those of the collection by id, and uploads by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Header, Path, Query, Response, UploadFile
from pydantic import BaseModel

from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.web.form import Id, Token
from mmretrieval.web.pictures import CARD, SIDES, WHOLE, Encoded
from mmretrieval.web.results import API, picture_url, thumbnail_url

if TYPE_CHECKING:
    from mmretrieval.web.desk import Desk

RecordId = Annotated[Id, Path(description="The id of a picture of the collection.")]
UploadToken = Annotated[Token, Path(description="What POST /uploads gave.")]
Tag = Annotated[str | None, Header(alias="If-None-Match")]
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "The picture is the one that is known already."},
}


class Uploaded(BaseModel):
    """A picture that is kept for a while: `token` stands for it in a search, `image` shows it."""

    token: str
    width: int
    height: int
    notes: list[str]
    image: str


class Record(BaseModel):
    """What is known of a picture of the collection; `said` are texts by people and models, by kind."""

    id: str
    path: str
    caption: str
    meta: dict[str, Any]
    said: dict[str, str]
    image: str
    thumbnail: str


def picture_routes(desk: Desk) -> APIRouter:
    """The routes; no path is ever taken from a request."""
    router = APIRouter(tags=["pictures"])

    @router.get("/images/{record_id:path}", response_class=Response, responses=_SHOWN)
    def image(record_id: RecordId, if_none_match: Tag = None) -> Response:
        """A picture of the collection as WebP, at most 2048 pixels long."""
        return _picture(desk, record_id, WHOLE, if_none_match)

    @router.get("/thumbnails/{record_id:path}", response_class=Response, responses=_SHOWN)
    def thumbnail(
        record_id: RecordId,
        side: Annotated[int, Query(json_schema_extra={"enum": list(SIDES)})] = CARD,
        if_none_match: Tag = None,
    ) -> Response:
        """A small picture as WebP, its longer side at most `side` pixels."""
        return _picture(desk, record_id, side, if_none_match)

    @router.get("/records/{record_id:path}")
    def record(record_id: RecordId) -> Record:
        """Path, caption and metadata of a picture of the collection."""
        with desk.reading() as collection:
            known = collection.record(record_id).to_dict()
            said = dict(collection.features(record_id))
        return Record(**known, said=said, image=picture_url(record_id), thumbnail=thumbnail_url(record_id))

    @router.post("/uploads", status_code=201)
    def upload(picture: Annotated[UploadFile, File(description="A picture file.")]) -> Uploaded:
        """Keep a picture for searches that follow; it stays in memory, until there are too many."""
        kept = desk.uploads.add(picture.file.read(desk.limits.upload_bytes + 1))
        shown = f"{API}/uploads/{kept.token}"
        return Uploaded(token=kept.token, width=kept.width, height=kept.height, notes=list(kept.notes), image=shown)

    @router.get("/uploads/{token}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
    def uploaded(token: UploadToken) -> Response:
        """An uploaded picture, small, as JPEG."""
        return Response(desk.uploads.get(token).shown, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    @router.delete("/uploads/{token}", status_code=204)
    def forget(token: UploadToken) -> None:
        """Drop an uploaded picture now."""
        desk.uploads.forget(token)

    return router


def _picture(desk: Desk, record_id: str, side: int, known: str | None) -> Response:
    with desk.reading() as collection:
        try:
            made = desk.pictures.get(collection, record_id, side)
        except UnreadableImage as error:
            raise NotFound(f"the picture of '{record_id}' cannot be shown: {error.reason}") from error
    return _response(made, known)


def _response(made: Encoded, known: str | None) -> Response:
    headers = {"ETag": f'"{made.tag}"', "Cache-Control": "private, max-age=300"}
    if known is not None and (f'"{made.tag}"' in known or known.strip() == "*"):
        return Response(status_code=304, headers=headers)
    return Response(made.data, media_type=made.media_type, headers=headers)
