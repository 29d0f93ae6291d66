"""What of Gradio's own addresses is closed, and what its functions are not handed: nothing of the page is a file."""

from __future__ import annotations

import json
from typing import Any

GRADIO = "/gradio_api/"
# Gradio's own doors to files, other hosts and its workshop: the page goes through none of them.
CLOSED = (
    *(f"{GRADIO}{name}" for name in ("upload", "file", "proxy", "stream", "process_recording", "vibe", "undo-vibe")),
    *(f"{GRADIO}{name}" for name in ("dev/", "custom_component")),
    *("/monitoring", "/svelte", "/pwa_icon"),
)
LONGEST_PATH = 250  # outside the API, whose ids may be longer: Gradio looks for a file of that name
_FILE = "gradio.FileData"


def is_closed(path: str) -> bool:
    """Whether nobody gets anything at this address."""
    return path.startswith(CLOSED) or (len(path) > LONGEST_PATH and not path.startswith("/api/"))


def names_a_file(body: bytes) -> bool:
    """Whether the input of one of the page's functions holds what Gradio takes for a file or an address.

    Before any function of ours sees it, Gradio would copy the file, or fetch what lies at the address.
    """
    if b"FileData" not in body and b"\\u" not in body:  # spelled plainly, or with escapes
        return False
    try:
        waiting: list[Any] = [json.loads(body)]
    except ValueError:
        return False  # Gradio cannot read it either
    except RecursionError:
        return True
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("_type") == _FILE:
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False
