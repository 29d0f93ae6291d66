"""Puts the server together: REST, the page, MCP, health and metrics in one application, in one process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mmretrieval.errors import UsageError
from mmretrieval.web.auth import Accounts

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mmretrieval.web.desk import Desk

log = logging.getLogger(__name__)

THREADS = 160
REFRESH_SECONDS = 5.0
_BACKLOG = 1024  # connections that wait to be taken
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def create_app(
    desk: Desk,
    *,
    accounts: Accounts | None = None,
    origins: Sequence[str] = (),
    hosts: Sequence[str] = (),
    page: bool = True,
) -> FastAPI:
    """The application over a desk, which is not closed with it; without the page there are no MCP tools either.

    `accounts` are asked for with every request. `origins` are other sites whose scripts may use the REST API, and
    `hosts` the names that the server answers to, all without any.
    """
    from fastapi import FastAPI
    from starlette.middleware.cors import CORSMiddleware

    from mmretrieval import __version__
    from mmretrieval.web.api import add_routes
    from mmretrieval.web.guard import Guard
    from mmretrieval.web.metrics import Counting, Metrics

    app = FastAPI(
        title="mmretrieval",
        version=__version__,
        openapi_url=None,  # served by a route of our own, beside the others
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        lifespan=partial(_running, desk),
    )
    metrics = Metrics(desk)
    desk.on_search = metrics.count_search
    add_routes(app, desk, metrics)
    if page:
        _mount_page(app, desk)
    # always there: where it is not, Gradio lets the scripts of any site read what the page reads
    app.add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Guard, limits=desk.limits, accounts=accounts, hosts=hosts, origins=origins)
    app.add_middleware(Counting, metrics=metrics)
    return app


def serve(
    desk: Desk,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    accounts: Accounts | None = None,
    origins: Sequence[str] = (),
    opened: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; `opened` is told the address. Raises UsageError for a port that is taken."""
    import uvicorn

    from mmretrieval.web.patience import PatientProtocol

    with closing(_listening(host, port)) as listening, _own_temporary_files():
        desk.warm()
        # on this machine alone, a page of the network must not reach it under another name
        hosts = _LOOPBACK if host in _LOOPBACK else ()
        app = create_app(desk, accounts=accounts, origins=origins, hosts=hosts)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=15,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=5,
            server_header=False,
        )
        address = f"http://{host if ':' not in host else f'[{host}]'}:{listening.getsockname()[1]}"
        if accounts is None and host not in _LOOPBACK:
            log.warning("everybody who can reach %s may search these pictures: give --auth-file to ask who it is", host)
        listening.listen(_BACKLOG)
        if opened is not None:
            opened(address)
        with _ending_quietly():
            uvicorn.Server(config).run(sockets=[listening])


@asynccontextmanager
async def _running(desk: Desk, _: FastAPI) -> AsyncIterator[None]:
    """While the server runs: enough threads for those who wait, and a look now and then for what a writer added."""
    import anyio.to_thread

    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS

    async def keep_up() -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await anyio.to_thread.run_sync(desk.keep_up)
            except Exception as error:  # noqa: BLE001 - whatever it is, the old state is served on, and it looks again
                log.warning("the index could not be read again: %s", error)

    task = asyncio.create_task(keep_up())
    try:
        yield
    finally:
        task.cancel()


def _listening(host: str, port: int) -> socket.socket:
    """The socket, taken before anything is loaded."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}: name another with --port or --host"
        ) from error
    return made


@contextmanager
def _own_temporary_files() -> Iterator[None]:
    """What Gradio writes for a while lies in a folder of its own, which goes with the server."""
    with TemporaryDirectory(prefix="mmretrieval-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        yield


@contextmanager
def _ending_quietly() -> Iterator[None]:
    """Uvicorn sends itself the signal that ended it once more, which would skip all that is to be closed."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _mount_page(app: FastAPI, desk: Desk) -> None:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio

    from mmretrieval.web.mcp_tools import add_tools
    from mmretrieval.web.page.page import build, look

    page = build(desk)
    for event in page.fns.values():  # what the page asks is no tool for others
        if event.api_visibility == "public":
            event.api_visibility = "undocumented"
    add_tools(page, desk)
    page.has_launched = True  # only then does Gradio look at what is blocked
    gradio.mount_gradio_app(
        app,
        page,
        "/",
        show_error=True,
        max_file_size=desk.limits.upload_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=True,
        blocked_paths=[Path.cwd().anchor],  # none of its functions gives a file, whatever a visitor asks it
        **look(),
    )
