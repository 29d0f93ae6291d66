"""What a server said, short enough for a message, and without anything that is a secret or a picture."""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST = 200
_HIDDEN = "[hidden]"
_SECRETS = re.compile(r"(?i)(bearer\s+)\S+|\bsk-[\w*.-]{6,}|data:[\w/+.-]+;base64,[\w+/=]*|[A-Za-z0-9+/=_-]{80,}")


def excerpt(body: str, key: str) -> str:
    """One line of a server's words: its own error message where that can be found, else how the body begins.

    The key, other keys and encoded pictures are replaced before anything is cut, so that no piece of one is left.
    """
    said = " ".join(_message_in(body).split())
    for written in (key, json.dumps(key)[1:-1]):
        said = said.replace(written, _HIDDEN) if written else said
    said = _SECRETS.sub(lambda found: (found[1] or "") + _HIDDEN, said)
    said = "".join(sign for sign in said if sign.isprintable())
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _message_in(body: str) -> str:
    """The message inside the usual shapes of an error: {"error": {"message"}}, {"error"}, {"message"}, {"detail"}."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return body
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    return found if isinstance(found, str) else body
