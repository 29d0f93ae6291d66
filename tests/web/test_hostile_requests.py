"""Requests that want what they should not have, on a real server with its page: refused in a sentence.

The server writes down whom it calls, see `attacked_server`; at the end it has called nobody and left no file behind.
"""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from attacked_collection import IDS
from attacked_server import Server  # noqa: TC002 - pytest reads the annotations of fixtures
from PIL import Image
from watched_server import UPLOAD_BYTES

ROUTES = (
    *(f"/api/v1/{name}/" for name in ("images", "thumbnails", "records", "similar", "uploads", "")),
    *("/gradio_api/file=", "/gradio_api/file/", "/file=", "/gradio_api/stream/", "/gradio_api/run/", "/deep_link/"),
    *("/static/", "/assets/", "/svelte/", "/custom_component/", "/pwa_icon/", "/monitoring/", "/"),
)
TRICKS = (
    "../../../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252f..%252fetc%252fpasswd",
    "....//....//....//etc/passwd",
    "..%5c..%5c..%5cetc%5cpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:///etc/passwd",
    "SECRET",
    "world/../secret.txt",
    "%00",
    "secret.txt%00.png",
    "%0d%0aX-Injected:%20yes",
    "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "a" * 5000,
)


@pytest.mark.parametrize("route", ROUTES)
def test_no_path_leads_out(server: Server, route: str) -> None:
    for trick in TRICKS:
        path = route + trick.replace("SECRET", str(server.folder / "secret.txt").lstrip("/"))
        status, headers, content = server.ask("GET", path)
        assert "x-injected" not in headers, path
        if status == 200:  # a picture whose id looks like a path, or the page, which takes any address as its own
            kind = headers["content-type"]
            is_record = kind == "application/json" and any(f'"id":"{one}"'.encode() in content for one in IDS)
            assert kind == "image/webp" or is_record or "text/html" in kind, path
            assert b"<script>alert(1)</script>" not in content, path


def test_pictures_come_back_by_the_addresses_of_their_hits_whatever_their_id(server: Server) -> None:
    _, _, content = server.post_json("/api/v1/search", {"text": "a red fox", "top_k": 20})
    hits = json.loads(content)["hits"]
    assert {hit["id"] for hit in hits} >= set(IDS)
    for hit in hits:
        for address in (hit["image"], hit["thumbnail"]):
            status, headers, _ = server.ask("GET", address)
            assert (status, headers["content-type"]) == (200, "image/webp"), hit["id"]
        assert json.loads(server.ask("GET", hit["image"].replace("images", "records"))[2])["id"] == hit["id"]
        assert json.loads(server.ask("GET", hit["image"].replace("images", "similar"))[2])["hits"][0]["id"] == hit["id"]


def png(width: int, height: int, data: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A one-bit PNG with that header and these compressed rows."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), *more, (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def zeros(count: int) -> bytes:
    """So many zeros, compressed a thousandfold."""
    packer, part = zlib.compressobj(9), bytes(1_000_000)
    return b"".join([*(packer.compress(part) for _ in range(count // len(part))), packer.flush()])


def picture(kind: str, size: tuple[int, int] = (40, 30)) -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, kind)
    return out.getvalue()


FILES = {
    "claims 60000 x 60000": lambda: png(60_000, 60_000, zeros(1_000_000)),
    "1000001 pixels": lambda: png(1_000_001, 1, zeros(1_000_000)),
    "unpacks to 100 MB": lambda: png(30_000, 26_000, zeros(100_000_000)),
    "a text that unpacks to 100 MB": lambda: png(
        8, 8, zlib.compress(bytes(16)), (b"zTXt", b"k\0\0" + zeros(100_000_000))
    ),
    "a profile that unpacks to 100 MB": lambda: png(
        8, 8, zlib.compress(bytes(16)), (b"iCCP", b"k\0\0" + zeros(100_000_000))
    ),
    "claims 65535 x 65535 as GIF": lambda: b"GIF89a\xff\xff\xff\xff\x00\x00\x00;",
    "a line": lambda: picture("PNG", (900, 1)),
    "cut off": lambda: picture("JPEG")[:-200],
    "nothing": lambda: b"",
    "a script": lambda: b"<script>window.attacked=1</script>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "GIF and script": lambda: b"GIF89a/*\x00\x00*/=1;alert(1)//",
    "noise": lambda: bytes(range(256)) * 100,
}


@pytest.mark.parametrize("route", ["/api/v1/uploads", "/api/v1/search/upload"])
def test_files_that_are_no_decent_picture_are_refused_before_they_cost_anything(server: Server, route: str) -> None:
    before = peak(server)
    for name, made in FILES.items():
        content = made()
        if name.startswith(("a text", "a profile")):
            assert len(content) < UPLOAD_BYTES
            server.send_file(route, content)  # what it unpacks to is left aside, so it may pass
            continue
        status, told = server.send_file(route, content, file=f"../../{name}<script>.png")
        assert status in (413, 422), (name, status, told)
        assert list(json.loads(told)) == ["status", "errors"], name
    assert peak(server) - before < 80 * 2**20


def peak(server: Server) -> int:
    """The most memory that the server ever held, in bytes."""
    lines = Path(f"/proc/{server.pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_a_decent_picture_is_made_anew_and_forgotten_when_asked(server: Server) -> None:
    status, told = server.send_file("/api/v1/uploads", picture("PNG") + b"<script>alert(1)</script>")
    assert status == 201
    kept = json.loads(told)
    _, headers, content = server.ask("GET", kept["image"])
    assert headers["content-type"] == "image/jpeg"
    assert b"script" not in content
    assert headers["x-content-type-options"] == "nosniff"
    assert server.ask("DELETE", f"/api/v1/uploads/{kept['token']}")[0] == 204
    assert server.ask("GET", kept["image"])[0] == 404
    assert server.post_json("/api/v1/search", {"image": kept["token"]})[0] == 404


BODIES = {
    "not JSON": b"{",
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "half a character": b'{"text": "\\ud800"}',
    "half a character in a filter": b'{"text": "a", "filter": "x = \'\\udfff\'"}',
    "NUL": b'{"text": "a\\u0000b"}',
    "NaN": b'{"text": "a", "weights": {"text": NaN}}',
    "infinite": b'{"text": "a", "weights": {"text": 1e999}}',
    "a number of 9000 digits": b'{"text": "a", "top_k": 1' + b"0" * 9000 + b"}",
    "nested deeply": b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a filter nested deeply": json.dumps({"text": "a", "filter": "(" * 1900 + "x = 1" + ")" * 90}).encode(),
    "a long filter of NOT": json.dumps({"text": "a", "filter": "NOT " * 490 + "stars = 1"}).encode(),
    "all of SQL": json.dumps({"text": "a", "filter": "stars = 1; DROP TABLE records --"}).encode(),
    "a quote": json.dumps({"text": "a", "filter": "formula = 'a''b' OR '1'='1'"}).encode(),
    "a picture by path": b'{"image": "/etc/passwd"}',
    "a picture by address": b'{"image": "http://127.0.0.1:9/x.png"}',
    "an id that is a path": b'{"image_id": "../secret.txt"}',
    "a method that opens a model": b'{"text": "a", "rerank": ["second_encoder:encoder=default"]}',
    "a method that is a path": b'{"text": "a", "rerank": ["../../os:x=y"]}',
    "a method that is an address": b'{"text": "a", "rerank": ["pointwise:prompt=http"]}',
    "a field too many": b'{"text": "a", "mllm": "openai:x@http://127.0.0.1:9/v1"}',
    "a preset": b'{"text": "a", "preset": "/etc/passwd"}',
    "too many hits": b'{"text": "a", "top_k": 1000000}',
    "too long": json.dumps({"text": "a" * 100_000}).encode(),
    "a list": b"[1]",
    "text": b'"text"',
    "null": b"null",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_makes_no_sense_is_refused_with_a_sentence(server: Server, name: str) -> None:
    status, headers, content = server.ask("POST", "/api/v1/search", BODIES[name], {"Content-Type": "application/json"})
    told = json.loads(content)
    if status == 200:
        assert name in ("a quote", "a long filter of NOT")
        return
    assert status in (400, 404, 422), (name, status)
    assert headers["content-type"] == "application/json"
    assert told["status"] == "error"
    assert all(isinstance(each, str) and len(each) < 1000 for each in told["errors"]), told


def test_what_is_said_to_be_packed_or_another_type_is_not_unpacked(server: Server) -> None:
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert server.ask("POST", "/api/v1/search", zeros(100_000_000), packed)[0] in (400, 415, 422)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.ask("POST", "/api/v1/search", b"text=a", form)[0] in (400, 415, 422)
    assert server.ask("TRACE", "/api/v1/search")[0] == 405
    assert server.ask("PROPFIND", "/api/v1/search")[0] in (400, 404, 405)
