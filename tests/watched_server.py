"""A server with small limits that writes down whom it would call; tests start it as a process of its own.

    python tests/watched_server.py INDEX CALLS [AUTH_FILE]

It tells its address on stdout. Every connection and every name that it looks up outside this machine goes into the
file CALLS, and so does one to the port that a line of stdin names: nobody is ever to be called.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

UPLOAD_BYTES, UPLOAD_PIXELS, UPLOAD_SECONDS, HEAD_SECONDS = 300_000, 1_000_000, 2.0, 2.0
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)  # none leads elsewhere


def write_down(calls: Path, forbidden: int) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host, port = arguments[1][:2]
        elif event == "socket.getaddrinfo":
            host, port = arguments[:2]
        else:
            return
        name = host.decode() if isinstance(host, bytes) else host
        if name not in HERE or port == forbidden:
            with calls.open("a", encoding="utf-8") as lines:
                lines.write(f"{event} {name} {port}\n")

    sys.addaudithook(hook)


def main(index: Path, calls: Path, auth_file: Path | None = None) -> None:
    write_down(calls, int(sys.stdin.readline()))
    from mmretrieval.web import patience
    from mmretrieval.web.auth import read_accounts
    from mmretrieval.web.desk import Desk
    from mmretrieval.web.limits import Limits
    from mmretrieval.web.server import serve

    patience.HEAD_SECONDS = HEAD_SECONDS  # a test has no fifteen seconds
    limits = Limits(
        requests_per_second=1e9,
        burst=10**9,
        upload_bytes=UPLOAD_BYTES,
        upload_pixels=UPLOAD_PIXELS,
        upload_seconds=UPLOAD_SECONDS,
    )
    accounts = None if auth_file is None else read_accounts(auth_file)
    with Desk(index, limits=limits) as desk:
        serve(
            desk,
            port=0,
            accounts=accounts,
            opened=lambda address: sys.stdout.write(f"{address}\n") and sys.stdout.flush(),
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
