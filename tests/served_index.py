"""An index served as a user serves it: `mmretrieval serve` in a process of its own, on a free port of loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 600.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(index: Path, log: Path, *options: str) -> Iterator[str]:
    """The address, once the server is well; what the server says goes to `log`."""
    port = free_port()
    command = [sys.executable, "-m", "mmretrieval", "serve", "--index", str(index), "--port", str(port), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as told, subprocess.Popen(command, stdout=told, stderr=told, env=environment) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(server, f"{address}/health", log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                raise


def _wait(server: subprocess.Popen[bytes], health: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert server.poll() is None, f"the server ended with {server.returncode}:\n{log.read_text('utf-8')}"
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise AssertionError(f"{health} did not answer within {PATIENCE:.0f} s:\n{log.read_text('utf-8')}")
