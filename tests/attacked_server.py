"""A real server with its page in a process of its own, to be attacked: its answers are watched, and whom it calls."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mmretrieval.web.refusals import UNFORESEEN

PROGRAM = Path(__file__).with_name("watched_server.py")
PATIENCE = 300.0
SECRETS = (b"the secret of the house", b"root:x:", b"root:*:", b"Traceback", b'File "')


@dataclass
class Server:
    """Where it is, what it must not tell, and the port that it must not call."""

    port: int
    folder: Path
    trap: int
    pid: int

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """The answer, read to its end; it must not be a fault of the server, nor tell what nobody may know."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {}, encode_chunked=False)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        request = f"{method} {path[:200]}"
        assert answer.status < 500, (request, answer.status, content[:500])
        where = () if str(self.folder)[1:] in path else (str(self.folder).encode(),)  # what was asked may be repeated
        assert [each for each in (*SECRETS, *where) if each in content] == [], request
        return answer.status, answer.headers, content

    def post_json(self, path: str, value: Any) -> tuple[int, http.client.HTTPMessage, bytes]:
        return self.ask("POST", path, json.dumps(value), {"Content-Type": "application/json"})

    def send_file(self, path: str, content: bytes, name: str = "picture", file: str = "x.png") -> tuple[int, bytes]:
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{file}"'
        body = f"--b\r\n{disposition}\r\n\r\n".encode() + content + b"\r\n--b--\r\n"
        status, _, told = self.ask("POST", path, body, {"Content-Type": "multipart/form-data; boundary=b"})
        return status, told


@contextmanager
def attacked(index: Path, *options: str) -> Iterator[Server]:
    """The server, which at the end has called nobody, told of no fault of its own and left no file behind."""
    folder = index.parent
    temporary, calls, told = folder / "tmp", folder / "calls.txt", folder / "stderr.txt"
    temporary.mkdir()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(index), str(calls), *options]
    pipe = subprocess.PIPE
    with (
        socket.create_server(("127.0.0.1", 0)) as trap,
        told.open("wb") as stderr,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, env=environment) as process,
    ):
        try:
            address = _address(process, trap.getsockname()[1])
            assert address, told.read_text("utf-8")
            yield Server(int(address.rpartition(":")[2]), folder, trap.getsockname()[1], process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert not calls.exists(), calls.read_text("utf-8")
    assert list(temporary.iterdir()) == []
    assert UNFORESEEN not in told.read_text("utf-8")  # Gradio logs what it cannot make sense of; that is no fault


def _address(process: subprocess.Popen[bytes], trap: int) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"%d\n" % trap)
    process.stdin.close()
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, f"no address within {PATIENCE} s"
    return process.stdout.readline().decode().strip()
