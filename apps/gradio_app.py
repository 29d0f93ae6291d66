"""The web page as an entry of its own: one search box over an index.

    python apps/gradio_app.py --index photos.index     the same as `mmretrieval app`, with the same options
    python apps/gradio_app.py                          over the demo collection, which `make demo` makes

A thin shell over `mmretrieval.web`; it ranks nothing itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mmretrieval.cli import main
from mmretrieval.errors import NotFound

DEMO_INDEX = Path("demo/index")


def with_index(arguments: list[str]) -> list[str]:
    """The arguments, over the demo collection where they name no index."""
    names_one = any(each == "--index" or each.startswith("--index=") for each in arguments)
    return arguments if names_one or "--help" in arguments else ["--index", str(DEMO_INDEX), *arguments]


if __name__ == "__main__":
    chosen = with_index(sys.argv[1:])
    if str(DEMO_INDEX) in chosen and not DEMO_INDEX.is_dir():
        sys.stderr.write(f"error: there is no demo collection at {DEMO_INDEX} yet: make it with: make demo\n")
        sys.exit(NotFound.exit_code)
    main(["app", *chosen])
