"""The hub: cached files need no network, missing ones are downloaded, and without a network it is said at once."""

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from example_models import change_config, write_family

from mmretrieval import hub
from mmretrieval.encoders import open_encoder
from mmretrieval.errors import InvalidData, MissingPrerequisite, UsageError

WISH = hub.Wish("the encoder 'x'", "12 MB", "do this")
REVISION = "a" * 40


class FakeHub(BaseHTTPRequestHandler):
    """Serves the folders in `repos` in the way of the real hub; `asked` lists the requests."""

    repos: ClassVar[dict] = {}
    asked: ClassVar[list] = []

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, with_body):
        self.asked.append(f"{self.command} {self.path}")
        body, kind = self.found()
        if body is None:
            self.send_response(403 if kind == "GatedRepo" else 404)
            self.send_header("X-Error-Code", kind)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", f'"{hash(body)}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def found(self):
        """The body, or None with the kind of error."""
        path = self.path.partition("?")[0]
        for name, folder in self.repos.items():
            if folder is None and name in path:
                return None, "GatedRepo"
            if folder and path.startswith(f"/api/models/{name}/revision/"):
                files = [{"rfilename": file.name} for file in folder.iterdir()]
                return json.dumps({"id": name, "sha": REVISION, "siblings": files}).encode(), ""
            if folder and path.startswith(f"/api/models/{name}/tree/"):
                files = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name}
                    for file in folder.iterdir()
                ]
                return json.dumps(files).encode(), ""
            if folder and path.startswith(f"/{name}/resolve/"):
                file = folder / path.rpartition("/")[2]
                return (file.read_bytes(), "") if file.is_file() else (None, "EntryNotFound")
        return None, "RepoNotFound"

    def log_message(self, *_):
        pass


@pytest.fixture
def online(tmp_path, monkeypatch):
    """A hub on this machine, an empty cache, and a client that may go online."""
    FakeHub.repos, FakeHub.asked = {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    point_to(monkeypatch, f"http://127.0.0.1:{server.server_port}", tmp_path / "cache")
    yield FakeHub
    server.shutdown()
    server.server_close()
    thread.join()


def point_to(monkeypatch, endpoint, cache):
    from huggingface_hub import constants

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(online, tmp_path, caplog):
    caplog.set_level(logging.INFO, "mmretrieval")
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "b.bin").write_bytes(b"x" * 1_234_567)
    online.repos["acme/tiny"] = tmp_path / "repo"
    path = hub.fetch("acme/tiny", ["a.bin", "b.bin"], WISH)
    assert path.read_bytes() == b"x" * 1_234_567
    assert "downloading b.bin of acme/tiny, 1.2 MB, for the encoder 'x'" in caplog.text
    online.asked.clear()
    assert hub.fetch("acme/tiny", ["a.bin", "b.bin"], WISH) == path
    assert online.asked == []


def test_a_repository_without_the_file_gives_none(online, tmp_path):
    (tmp_path / "repo").mkdir()
    online.repos["acme/tiny"] = tmp_path / "repo"
    assert hub.fetch("acme/tiny", ["a.bin", "b.bin"], WISH) is None


def test_an_unknown_repository_is_a_wrong_name(online):
    with pytest.raises(
        UsageError, match="no repository 'acme/nothing' on the hub for the encoder 'x', or it is private"
    ):
        hub.fetch("acme/nothing", ["a.bin"], WISH)


def test_a_gated_repository_says_where_to_ask(online):
    online.repos["acme/gated"] = None
    with pytest.raises(MissingPrerequisite, match=r"permission of the owners of acme/gated.*hf auth login"):
        hub.fetch("acme/gated", ["a.bin"], WISH)


def test_a_hub_that_does_not_answer_is_given_up_at_once(tmp_path, monkeypatch):
    """The hub's own client would try for 23 seconds, and once for every file."""
    point_to(monkeypatch, "http://127.0.0.1:9", tmp_path)
    began = time.monotonic()
    with pytest.raises(
        MissingPrerequisite, match=r"needs a\.bin of acme/tiny \(12 MB\).*127\.0\.0\.1:9 does not answer"
    ):
        hub.fetch("acme/tiny", ["a.bin", "b.bin"], WISH)
    assert time.monotonic() - began < hub.TIMEOUT_SECONDS


def test_a_model_of_the_hub_is_the_same_as_in_a_folder_and_works_when_the_hub_is_gone(online, tmp_path, monkeypatch):
    folder = write_family(tmp_path / "repo", "custom-causal")
    change_config(folder, "text_cfg", hf_tokenizer_name="acme/tokenizer")
    tokenizer = write_family(tmp_path / "tokenizer", "custom-causal")
    online.repos |= {"acme/tiny": folder, "acme/tokenizer": tokenizer}
    first = open_encoder("hf-hub:acme/tiny", device="cpu")
    same = open_encoder(f"local-dir:{folder}", device="cpu")
    np.testing.assert_array_equal(first.encode_texts(["a dog"]), same.encode_texts(["a dog"]))
    assert first.fingerprint == same.fingerprint
    assert not [asked for asked in online.asked if "tokenizer/resolve" in asked and "safetensors" in asked]
    online.asked.clear()
    again = open_encoder("hf-hub:acme/tiny", device="cpu")
    assert again.fingerprint == first.fingerprint
    assert online.asked == []


def test_a_repository_that_is_no_open_clip_model_is_named(online, tmp_path):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "config.json").write_text("{}", "utf-8")
    online.repos["acme/other"] = tmp_path / "repo"
    with pytest.raises(InvalidData, match=r"acme/other has no open_clip_config\.json"):
        open_encoder("hf-hub:acme/other")


def test_an_encoder_that_cannot_be_reached_is_given_up_soon(tmp_path, monkeypatch):
    point_to(monkeypatch, "http://127.0.0.1:9", tmp_path)
    began = time.monotonic()
    with pytest.raises(MissingPrerequisite, match="connect to the network once, or copy a folder"):
        open_encoder("ViT-B-32/openai")
    assert time.monotonic() - began < 20
