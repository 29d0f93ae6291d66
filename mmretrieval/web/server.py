"""Puts the server together: REST, the page, MCP, health and metrics in one application, in one process."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mmretrieval.web.desk import Desk

log = logging.getLogger(__name__)


def create_app(desk: Desk, *, page: bool = True) -> FastAPI:
    """The application over a desk; without the page it starts at once and has no MCP tools.

    The desk is not closed with it.
    """
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

    from mmretrieval import __version__
    from mmretrieval.errors import MMRetrievalError
    from mmretrieval.web.api import routes
    from mmretrieval.web.refusals import refusal

    app = FastAPI(title="mmretrieval", version=__version__)
    app.include_router(routes(desk))

    @app.exception_handler(MMRetrievalError)
    @app.exception_handler(Exception)
    def refuse(_: Request, error: Exception) -> JSONResponse:
        status, sentence = refusal(error, desk.index)
        return JSONResponse({"status": "error", "errors": [sentence]}, status)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return _with_page(app, desk) if page else app


def serve(desk: Desk, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    import uvicorn

    uvicorn.run(create_app(desk), host=host, port=port, log_level="warning")


def _with_page(app: FastAPI, desk: Desk) -> FastAPI:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    from mmretrieval.web.page.page import build, look

    page = build(desk)
    mounted: FastAPI = gradio.mount_gradio_app(
        app,
        page,
        "/",
        show_error=True,
        max_file_size=desk.limits.upload_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=True,
        **look(),
    )
    return mounted
