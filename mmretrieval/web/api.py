"""The REST API as a whole: its routes, how it refuses, its description, and what watches over it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mmretrieval.errors import MMRetrievalError
from mmretrieval.web.api_pictures import picture_routes
from mmretrieval.web.api_searching import search_routes, telling_routes
from mmretrieval.web.limits import Busy
from mmretrieval.web.metrics import MEDIA_TYPE, Metrics
from mmretrieval.web.refusals import refusal
from mmretrieval.web.results import API, Refusal
from mmretrieval.web.status import status

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mmretrieval.web.desk import Desk

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Refusal, "description": "The request is not HTTP as it should be, or was cut off."},
    404: {"model": Refusal, "description": "There is no such picture, upload or address."},
    413: {"model": Refusal, "description": "Too much was sent."},
    422: {"model": Refusal, "description": "It was understood, and cannot be done."},
    429: {"model": Refusal, "description": "Too many requests, or too many searches at once."},
}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def add_routes(app: FastAPI, desk: Desk, metrics: Metrics) -> None:
    """All routes, each with the refusals that it may give."""
    router = APIRouter(prefix=API, responses=REFUSALS)
    router.include_router(search_routes(desk))
    router.include_router(telling_routes(desk))
    router.include_router(picture_routes(desk))

    @router.get("/status", tags=["server"])
    def state() -> dict[str, Any]:
        """What this server searches, with which models, and what can be chosen."""
        return status(desk)

    @router.get("/openapi.json", include_in_schema=False)
    def description() -> dict[str, Any]:
        return app.openapi()

    app.include_router(router)

    @app.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server is there."""
        return {"status": "ok"}

    @app.get("/metrics", tags=["server"], response_class=Response)
    async def counted() -> Response:
        """Counters in the text format of Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    @app.api_route("/api/{rest:path}", methods=_METHODS, include_in_schema=False)
    async def nowhere(request: Request, rest: str) -> JSONResponse:
        allowed = _methods_at(app, f"/api/{rest}")
        if allowed:
            told = f"{request.method} is not for /api/{rest}: {', '.join(allowed)} is"
            return _refused(405, told, {"Allow": ", ".join(allowed)})
        return _refused(404, f"there is nothing at /api/{rest}; {API}/openapi.json describes what there is")

    _add_refusals(app, desk)


def _add_refusals(app: FastAPI, desk: Desk) -> None:
    @app.exception_handler(RequestValidationError)
    def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        return _refused(422, *(f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()[:10]))

    @app.exception_handler(HTTPException)
    def answered(_: Request, error: HTTPException) -> JSONResponse:
        return _refused(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(MMRetrievalError)
    @app.exception_handler(Exception)
    def refused(_: Request, error: Exception) -> JSONResponse:
        code, sentence = refusal(error, desk.index)
        wait = {"Retry-After": str(round(error.seconds))} if isinstance(error, Busy) else {}
        return _refused(code, sentence, wait)


def _refused(code: int, *told: str | dict[str, str]) -> JSONResponse:
    sentences = [each for each in told if isinstance(each, str)]
    headers = next((each for each in told if isinstance(each, dict)), None)
    return JSONResponse({"status": "error", "errors": sentences}, code, headers)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(each) for each in location if each != "body") or "the body"


def _methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that the description has for this address."""
    for pattern, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(pattern)), path):
            return sorted(method.upper() for method in methods)
    return []
