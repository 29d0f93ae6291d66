"""`mmretrieval serve` as a process: it says where it is, ends when told to, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from served_index import free_port

import mmretrieval as mm
from mmretrieval.cli.entry import run
from mmretrieval.demo.write import write_world

PATIENCE = 240.0


@pytest.fixture(scope="module")
def index(tmp_path_factory, tiny_clip_dir):
    folder = tmp_path_factory.mktemp("served")
    write_world(folder / "world", seed=1, images=6)
    mm.index(folder / "world", folder / "index", f"local-dir:{tiny_clip_dir}")
    return folder / "index"


def told(words, capsys):
    code = run(words)
    out, errors = capsys.readouterr()
    assert out == ""
    return code, errors


def test_a_port_that_is_taken_is_refused_before_a_model_is_loaded(index, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, error = told(["serve", "--index", str(index), "--port", str(port)], capsys)
    assert code == 2
    assert f"port {port}" in error
    assert "--port" in error


def test_what_cannot_be_served_is_refused_with_the_cure(index, tmp_path, capsys):
    assert told(["serve", "--index", str(tmp_path)], capsys)[0] == 4
    code, error = told(["app", "--index", str(index), "--auth-file", str(tmp_path / "none")], capsys)
    assert (code, "no file of accounts" in error) == (4, True)


def test_a_server_ends_cleanly_when_it_is_told_to(index, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "mmretrieval", "serve", "--index", str(index), "--port", str(port)]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            assert said == f"serving 6 pictures of {index} at http://127.0.0.1:{port}\n"
            assert _answers(f"http://127.0.0.1:{port}/health")
            assert [file.name for file in tmp_path.iterdir() if file.name.startswith("mmretrieval-")]
            server.send_signal(signal.SIGTERM)
            out, errors = server.communicate(timeout=PATIENCE)
        finally:
            server.kill()
    assert (server.returncode, out) == (0, "")
    assert "Traceback" not in errors
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(("mmretrieval-", "gradio"))] == []


def _answers(address):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.status == 200
        except OSError:
            time.sleep(0.2)
    return False
