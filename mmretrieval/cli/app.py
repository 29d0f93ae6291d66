"""mmretrieval app: as `serve`, for somebody who sits in front of it."""

from __future__ import annotations

import os
import sys
import webbrowser

from mmretrieval.cli.asking import Mllm
from mmretrieval.cli.options import Device, EncoderOverride, IndexFolder, IndexKind
from mmretrieval.cli.report import Report
from mmretrieval.cli.serve import AllowIndex, AllowOrigin, AuthFile, Host, Port, Rate, run


def app(
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
    """Open the web page over an index.

    Serves as `mmretrieval serve` does, and opens the page in the browser where there is a screen.
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
        opened=_show,
    )


def _show(address: str) -> None:
    has_screen = sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
    if has_screen:
        webbrowser.open(address)
