"""The server as an entry of its own: REST, the page and MCP over an index.

    python apps/api.py --index photos.index                       the same as `mmretrieval serve`
    MMRETRIEVAL_INDEX=photos.index uvicorn --factory apps.api:app  under a server that you run already

A thin shell over `mmretrieval.web`. Under a server of your own, limits on hosts and slow clients are that server's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mmretrieval.cli import main
from mmretrieval.errors import UsageError
from mmretrieval.web.auth import read_accounts
from mmretrieval.web.desk import Desk
from mmretrieval.web.server import create_app

if TYPE_CHECKING:
    from fastapi import FastAPI


def app() -> FastAPI:
    """The application over the index that MMRETRIEVAL_INDEX names; it stays open as long as the process.

    MMRETRIEVAL_MLLM names a language model, and MMRETRIEVAL_AUTH_FILE the accounts that may come in. Raises UsageError
    without an index, and as `Desk` does.
    """
    index, auth_file = os.environ.get("MMRETRIEVAL_INDEX"), os.environ.get("MMRETRIEVAL_AUTH_FILE")
    if not index:
        raise UsageError("no index is named: set MMRETRIEVAL_INDEX to its folder")
    desk = Desk(index, mllm=os.environ.get("MMRETRIEVAL_MLLM") or None)
    return create_app(desk, accounts=read_accounts(Path(auth_file)) if auth_file else None)


if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
