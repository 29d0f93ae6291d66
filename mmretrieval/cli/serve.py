"""mmretrieval serve: the web page, the REST API and the MCP tools over an index."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mmretrieval.cli.asking import Mllm
from mmretrieval.cli.options import Device, EncoderOverride, IndexFolder, IndexKind
from mmretrieval.cli.report import Report

Host = Annotated[
    str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on; 0.0.0.0 is the whole network.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 takes a free one.")]
AuthFile = Annotated[
    Path | None,
    typer.Option(
        "--auth-file", metavar="FILE", help="Let only these in: lines of NAME:PASSWORD, readable by you alone."
    ),
]
AllowIndex = Annotated[
    list[Path] | None,
    typer.Option("--allow-index", metavar="DIR", help="Let visitors index this folder; may be repeated."),
]
AllowOrigin = Annotated[
    list[str] | None,
    typer.Option("--allow-origin", metavar="URL", help="Let scripts of this site read the REST API; may be repeated."),
]
Rate = Annotated[
    float, typer.Option("--rate", metavar="N", min=0.1, help="Requests a second that one address may send, on average.")
]
_BURST_SECONDS = 8  # a page of thumbnails comes at once


def serve(
    index: IndexFolder,
    host: Host = "127.0.0.1",
    port: Port = 7860,
    auth_file: AuthFile = None,
    allow_origin: AllowOrigin = None,
    allow_index: AllowIndex = None,
    rate: Rate = 50.0,
    mllm: Mllm = None,
    index_kind: IndexKind = "auto",
    encoder: EncoderOverride = None,
    device: Device = None,
) -> Report:
    """Serve an index: the page, REST and MCP.

    Runs until Ctrl-C. The page is at /, REST at /api/v1, its description at /api/v1/openapi.json, MCP at
    /gradio_api/mcp/, and /health and /metrics are for those who watch over it.
    """
    return run(
        index,
        host,
        port,
        auth_file=auth_file,
        allow_origin=allow_origin,
        allow_index=allow_index,
        rate=rate,
        mllm=mllm,
        index_kind=index_kind,
        encoder=encoder,
        device=device,
    )


def run(
    index: Path,
    host: str,
    port: int,
    *,
    auth_file: Path | None,
    allow_origin: list[str] | None,
    allow_index: list[Path] | None,
    rate: float,
    mllm: str | None,
    index_kind: str,
    encoder: str | None,
    device: str | None,
    opened: Callable[[str], None] | None = None,
) -> Report:
    """Serve until Ctrl-C; `opened` is told the address once there is somebody to answer."""
    from mmretrieval.web.auth import read_accounts
    from mmretrieval.web.desk import Desk
    from mmretrieval.web.limits import Limits
    from mmretrieval.web.server import serve as serve_desk

    accounts = None if auth_file is None else read_accounts(auth_file)
    limits = Limits(requests_per_second=rate, burst=max(1, round(rate * _BURST_SECONDS)))
    with Desk(
        index,
        encoder=encoder,
        index_kind=index_kind,
        device=device,
        mllm=mllm,
        limits=limits,
        allow_index=allow_index or (),
    ) as desk:

        def tell(address: str) -> None:
            sys.stderr.write(f"serving {desk.collection.count:,} pictures of {index} at {address}\n")
            if opened is not None:
                opened(address)

        serve_desk(desk, host, port, accounts=accounts, origins=allow_origin or (), opened=tell)
    return Report()
