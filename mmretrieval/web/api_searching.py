"""REST routes that rank: search, similar, rerank, explain, what it will cost, and results as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, File, Form, Path, Query, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmretrieval.errors import UsageError
from mmretrieval.web.command import command_line
from mmretrieval.web.export import Format, export
from mmretrieval.web.form import Id, SearchForm
from mmretrieval.web.results import Found, FoundHit, hit_to_json, to_json

if TYPE_CHECKING:
    from mmretrieval.types import Ranking
    from mmretrieval.web.desk import Desk


class RerankForm(SearchForm):
    """A search among the given pictures alone, read again by the rerankers; each of the ids gets its place."""

    ids: tuple[Id, ...] = Field(min_length=1, max_length=200)


class ExplainForm(BaseModel):
    """A search, and the picture whose place in it is asked for."""

    model_config = ConfigDict(extra="forbid")

    search: SearchForm
    id: Id


class Explained(BaseModel):
    """The hit as the search has it; its rank is null where it lies behind the first `top_k`."""

    hit: FoundHit


class PlannedStage(BaseModel):
    """At most so many calls of the language model, and about so many tokens; `basis` tells from what that is known."""

    stage: str
    calls: int
    tokens: int
    basis: str


class Cost(BaseModel):
    """What a search will ask of the language model at most."""

    stages: list[PlannedStage]


def search_routes(desk: Desk) -> APIRouter:
    """The routes; they hand a form to the desk, and put what comes back into JSON."""
    router = APIRouter(tags=["search"])

    @router.post("/search", response_model=None, responses={200: {"model": Found}})
    def search(form: SearchForm) -> JSONResponse:
        """Search by words, by a picture, or by both; the answer is that of `mmretrieval search --json`."""
        return _answer(desk, form, desk.search(form))

    @router.post("/search/upload", response_model=None, responses={200: {"model": Found}})
    def search_with_upload(
        picture: Annotated[UploadFile, File(description="A picture file, as for POST /uploads.")],
        form: Annotated[str, Form(description="The search as JSON, without `image`.", max_length=100_000)] = "{}",
    ) -> JSONResponse:
        """Search by a picture file, and words if there are some, in one request; the picture is not kept."""
        upload = desk.uploads.add(picture.file.read(desk.limits.upload_bytes + 1))
        try:
            asked = SearchForm.model_validate(_checked(form).model_copy(update={"image": upload.token}))
            return _answer(desk, asked, desk.search(asked))
        finally:
            desk.uploads.forget(upload.token)

    @router.get("/similar/{record_id:path}", response_model=None, responses={200: {"model": Found}})
    def similar(
        record_id: Annotated[Id, Path(description="The id of a picture of the collection.")],
        top_k: Annotated[int, Query(ge=1, le=200)] = 24,
        offset: Annotated[int, Query(ge=0, le=5000)] = 0,
    ) -> JSONResponse:
        """What looks most like a picture of the collection."""
        form = SearchForm(image_id=record_id, top_k=top_k, offset=offset)
        return _answer(desk, form, desk.search(form))

    @router.post("/rerank", response_model=None, responses={200: {"model": Found}})
    def rerank(form: RerankForm) -> JSONResponse:
        """Order these pictures for a query, by the first stage and then by the rerankers of the form."""
        asked = SearchForm.model_validate({**form.model_dump(exclude={"ids"}), "top_k": len(form.ids), "offset": 0})
        return _answer(desk, asked, desk.search(asked, within=form.ids))

    return router


def telling_routes(desk: Desk) -> APIRouter:
    """What is told of a search besides its hits: why, at what cost, and as a file."""
    router = APIRouter(tags=["search"])

    @router.post("/explain", response_model=None, responses={200: {"model": Explained}})
    def explain(asked: ExplainForm) -> dict[str, Any]:
        """Why a picture stands where it stands in a search: its rank, scores, and what each part of the query adds."""
        rank, hit = desk.explain(asked.search, asked.id)
        return {"hit": hit_to_json(hit, rank)}

    @router.post("/cost")
    def cost(form: SearchForm) -> Cost:
        """What a search will ask of the language model at most; nothing is asked yet."""
        stages = [
            PlannedStage(stage=p.stage, calls=p.calls, tokens=p.tokens, basis=p.basis) for p in desk.planned(form)
        ]
        return Cost(stages=stages)

    @router.post("/export", response_class=Response)
    def exported(
        form: Annotated[SearchForm, Body()],
        format: Annotated[Format, Query()] = "csv",  # noqa: A002
    ) -> Response:
        """The results of a search as a file: CSV, JSON, or a TREC run."""
        made = export(form, desk.search(form), format)
        headers = {"Content-Disposition": f'attachment; filename="{made.name}"'}
        return Response(made.text.encode("utf-8"), media_type=made.media_type, headers=headers)

    return router


def _answer(desk: Desk, form: SearchForm, ranking: Ranking) -> JSONResponse:
    """As a response at once: FastAPI would look at every value of it once more, which takes longer than the search."""
    return JSONResponse(to_json(form, ranking, command_line(form, desk.index.name, desk.model_name)))


def _checked(text: str) -> SearchForm:
    try:
        form = SearchForm.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        raise UsageError(f"form: {place}: {first['msg']}") from None
    if form.has_picture:
        raise UsageError("form: it names a picture, and another one came with it: leave out image and image_id")
    return form
