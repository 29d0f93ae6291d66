"""The web page as a process: started as a user starts it, asked over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmretrieval as mm
from mmretrieval.demo.write import write_world

APP = Path(__file__).parents[1] / "apps" / "gradio_app.py"
PATIENCE = 240.0


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, tiny_clip_dir: Path) -> Path:
    folder = tmp_path_factory.mktemp("app")
    write_world(folder / "world", seed=1, images=12)
    mm.index(folder / "world", folder / "index", f"local-dir:{tiny_clip_dir}")
    return folder / "index"


@pytest.fixture(scope="module")
def address(index: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(APP), "--index", str(index), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "HF_HUB_OFFLINE": "1"}) as app:
        try:
            _wait(app, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            app.terminate()
            app.communicate()


def _wait(app: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert app.poll() is None, app.stderr.read().decode() if app.stderr else ""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    raise AssertionError(f"the page was not served within {PATIENCE} s")


def test_the_page_ranks_as_the_searcher_does_and_sends_no_path(address: str, index: Path) -> None:
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    found, about = client.predict("a red fox", None, 0.5, api_name="/search")
    with mm.Searcher.open(index) as searcher:
        expected = searcher.search("a red fox", top_k=24)
        picture = searcher.collection.path(expected.hits[3].id)
    assert [each["caption"].split()[1] for each in found] == expected.ids
    assert about.startswith("12 of 12 pictures")
    found, _ = client.predict("", handle_file(str(picture)), 0.5, api_name="/search")
    assert found[0]["caption"].split()[1] == expected.hits[3].id
    assert all(str(index.parent) not in str(each) for each in found)


def test_an_empty_question_is_answered_with_a_sentence(address: str) -> None:
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError, match="Give words, a picture, or both"):
        Client(address, verbose=False).predict("", None, 0.5, api_name="/search")


def test_without_an_index_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(APP)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr
