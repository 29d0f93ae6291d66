"""What tests of the web share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked_collection import make_collection
from attacked_server import Server, attacked


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_clip_dir: Path) -> Iterator[Server]:
    """A real server over a collection that attacks whoever shows it."""
    index = make_collection(tmp_path_factory.mktemp("attacked"), f"local-dir:{tiny_clip_dir}")
    with attacked(index) as running:
        yield running
