"""Clients that send too much, too slowly or nothing at all: they are let go, and others are served meanwhile."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from attacked_server import SECRETS, Server
from watched_server import HEAD_SECONDS, UPLOAD_BYTES, UPLOAD_SECONDS

GRACE = 30.0  # seconds that a busy machine may take longer
HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
FORM = "multipart/form-data; boundary=b"


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=HEAD_SECONDS + UPLOAD_SECONDS + GRACE)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection; a server that never does makes this time out."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_whoever_sends_nothing_or_a_byte_at_a_time_is_let_go(server: Server) -> None:
    lines = [connected(server) for _ in range(20)]
    half = [connected(server) for _ in range(20)]
    for connection in half:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    began = time.monotonic()
    status, _, _ = server.post_json("/api/v1/search", {"text": "a red fox"})
    assert status == 200  # others are served
    for connection in half:
        try:
            while time.monotonic() - began < HEAD_SECONDS + GRACE:
                connection.sendall(b"a")
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            break
        else:
            raise AssertionError("a head that never ends was listened to for ever")
    assert all(b"200 OK" not in rest(connection) for connection in [*lines, *half[1:]])
    for connection in [*lines, *half]:
        connection.close()


def test_a_body_that_comes_too_slowly_is_given_up_and_uploads_go_on(server: Server) -> None:
    slow = [connected(server) for _ in range(30)]
    head = HEAD.format(path="/api/v1/uploads", kind=FORM) + f"Content-Length: {UPLOAD_BYTES - 1}\r\n\r\n--b\r\n"
    for connection in slow:
        connection.sendall(head.encode())
    assert server.post_json("/api/v1/search", {"text": "a red fox"})[0] == 200
    answers = [rest(connection) for connection in slow]
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    told = json.loads(answers[0].partition(b"\r\n\r\n")[2])
    assert told["errors"] == [f"the request took longer than {UPLOAD_SECONDS:g} seconds to arrive"]
    assert server.send_file("/api/v1/uploads", b"no picture")[0] == 422
    for connection in slow:
        connection.close()


def test_a_body_that_ends_early_holds_nothing(server: Server) -> None:
    for _ in range(20):
        with connected(server) as connection:
            connection.sendall(
                (HEAD.format(path="/api/v1/uploads", kind=FORM) + "Content-Length: 90000\r\n\r\n--b").encode()
            )
    assert server.ask("GET", "/health")[0] == 200


def test_too_much_is_refused_before_it_is_sent(server: Server) -> None:
    for path, kind in (("/api/v1/uploads", FORM), ("/api/v1/search", "application/json"), ("/gradio_api/upload", FORM)):
        with connected(server) as connection:
            connection.sendall((HEAD.format(path=path, kind=kind) + "Content-Length: 999999999999\r\n\r\n").encode())
            status = int(connection.recv(65_536).split(b" ")[1])
        assert status in (404, 413), path


def test_too_much_without_a_length_is_refused_while_it_comes(server: Server) -> None:
    for path, kind in (
        ("/api/v1/uploads", FORM),
        ("/api/v1/search/upload", FORM),
        ("/api/v1/search", "application/json"),
    ):
        with connected(server) as connection:
            connection.sendall((HEAD.format(path=path, kind=kind) + "Transfer-Encoding: chunked\r\n\r\n").encode())
            part = b"10000\r\n" + bytes(0x10000) + b"\r\n"
            sent = 0
            try:
                while sent < 40 * 2**20:  # a server that takes it all never answers
                    connection.sendall(part)
                    sent += len(part)
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert sent < 40 * 2**20, path
    assert server.ask("GET", "/health")[0] == 200


def test_a_request_that_is_none_is_refused(server: Server) -> None:
    lies = (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /api/v1/search HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\n",
    )
    for lie in lies:
        with connected(server) as connection:
            try:
                connection.sendall(lie)
                connection.shutdown(socket.SHUT_WR)
                answer = rest(connection)
            except (BrokenPipeError, ConnectionResetError, OSError):
                answer = b""
        assert answer == b"" or answer.split(b" ")[1].startswith(b"4"), (lie[:60], answer[:200])


def test_a_name_that_is_not_the_servers_own_is_refused(server: Server) -> None:
    assert server.ask("GET", "/api/v1/status", headers={"Host": "evil.example"})[0] == 421
    assert server.ask("GET", "/", headers={"Host": "127.0.0.1.evil.example"})[0] == 421
    assert server.ask("POST", "/api/v1/search", "{}", {"Origin": "http://evil.example"})[0] == 403
    _, headers, _ = server.ask("GET", "/health", headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in headers


def test_many_at_once_are_all_answered(server: Server) -> None:
    bodies = [{"text": f"fox number {number}", "top_k": 3} for number in range(60)]
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda body: server.post_json("/api/v1/search", body), bodies))
    assert {status for status, _, _ in answers} == {200}
    assert {len(json.loads(content)["hits"]) for _, _, content in answers} == {3}


def test_the_pages_own_functions_are_handed_no_file_and_no_address(server: Server) -> None:
    page = json.loads(server.ask("GET", "/config")[2])
    secret, lure = str(server.folder / "secret.txt"), f"http://127.0.0.1:{server.trap}/x.png"
    mark = {"_type": "gradio.FileData"}
    for file in ({"path": secret, "meta": mark}, {"path": lure, "url": lure, "meta": mark}):
        for function in page["dependencies"]:
            inputs = [file] * len(function["inputs"])
            given = json.dumps({"data": inputs, "fn_index": function["id"], "session_hash": "attacker"})
            for spelled in (given, given.replace("gradio.FileData", "gradio.File\\u0044ata")):
                status, _, told = server.ask(
                    "POST", "/gradio_api/queue/join", spelled, {"Content-Type": "application/json"}
                )
                assert status == 422 if inputs else 200, (function["id"], told)
    tool = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "arguments": {"query": file}}}
    assert server.post_json("/gradio_api/mcp/", tool)[0] == 422


def test_the_pages_own_functions_answer_nonsense_without_a_trace(server: Server) -> None:
    page = json.loads(server.ask("GET", "/config")[2])
    functions = page["dependencies"]
    for function in functions:
        inputs = [{"path": "/etc/passwd", "orig_name": "x"}] * len(function["inputs"])
        server.post_json(
            "/gradio_api/queue/join", {"data": inputs, "fn_index": function["id"], "session_hash": "babbler"}
        )
    told = streamed(server, "/gradio_api/queue/data?session_hash=babbler", len(functions))
    assert [each for each in SECRETS if each in told] == []
    assert b"/gradio_api/file=" not in told  # no copy was made for the visitor


def streamed(server: Server, path: str, events: int) -> bytes:
    """What a stream of events brings, until so many functions have ended."""
    told = b""
    with connected(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        while told.count(b'"process_completed"') < events and (part := connection.recv(65_536)):
            told += part
    return told
