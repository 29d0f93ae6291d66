"""The page and the tools for other programs, in one application: four tools, and no door to files."""

from __future__ import annotations

import gc
import json
import warnings

import pytest
from example_stages import Scripted
from fastapi.testclient import TestClient
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.asks import ChoiceScores
from mmretrieval.indexing import index
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import SearchForm
from mmretrieval.web.limits import Limits
from mmretrieval.web.server import create_app

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Gradio stands on


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mcp")
    (folder / "pictures").mkdir()
    for number in range(8):
        (folder / "pictures" / f"p{number}.png").write_bytes(encoded(picture(number), "PNG"))
    index(folder / "pictures", folder / "index", encoder=SketchEncoder())
    model = Scripted(lambda ask: ChoiceScores((-1.0, -2.0)))
    limits = Limits(requests_per_second=1e6, burst=10**6)
    with Desk(folder / "index", encoder=SketchEncoder(), mllm=model, limits=limits) as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk):
    with warnings.catch_warnings():  # Gradio leaves event loops of its own open, which is noticed when they are freed
        warnings.simplefilter("ignore", ResourceWarning)
        with TestClient(create_app(desk)) as client:
            gc.collect()
            yield client
        gc.collect()


def said(client, method, **params):
    """The result of one call over MCP's streamable HTTP."""
    answer = client.post(
        "/gradio_api/mcp/",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={"Accept": "application/json, text/event-stream"},
    )
    assert answer.status_code == 200, answer.text
    data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))["result"]


def called(client, tool, **arguments):
    result = said(client, "tools/call", name=tool, arguments=arguments)
    return result["isError"], result["content"][0]["text"]


def test_there_are_four_tools_and_each_says_what_it_takes(client):
    tools = {tool["name"]: tool for tool in said(client, "tools/list")["tools"]}
    assert set(tools) == {"search_images", "similar_images", "explain_hit", "rerank"}
    for tool in tools.values():
        assert len(tool["description"]) > 40
        assert all(field["description"] for field in tool["inputSchema"]["properties"].values())
    assert tools["search_images"]["inputSchema"]["required"] == ["query"]


@pytest.mark.parametrize(
    ("tool", "arguments", "form"),
    [
        ("search_images", {"query": "red", "top_k": 4}, {"text": "red", "top_k": 4}),
        (
            "search_images",
            {"query": "red", "image_id": "p3", "avoid": "blue", "filter": "id != 'p1'", "top_k": 5, "offset": 2},
            {"text": "red", "image_id": "p3", "minus": ("blue",), "filter": "id != 'p1'", "top_k": 5, "offset": 2},
        ),
        ("similar_images", {"image_id": "p2"}, {"image_id": "p2", "top_k": 10}),
        ("rerank", {"query": "red", "method": "pointwise"}, {"text": "red", "rerank": ("pointwise",), "top_k": 10}),
    ],
)
def test_a_tool_finds_what_the_same_search_finds(client, desk, tool, arguments, form):
    failed, text = called(client, tool, **arguments)
    assert not failed, text
    asked = SearchForm(**form)
    expected = desk.search(asked)
    hits = json.loads(text)["hits"]
    assert [(hit["rank"], hit["id"], hit["score"]) for hit in hits] == [
        (rank, hit.id, hit.score) for rank, hit in enumerate(expected.hits, start=asked.offset + 1)
    ]


def test_a_hit_is_explained_with_its_place(client, desk):
    expected = desk.search(SearchForm(text="red", top_k=8)).hits[2]
    failed, text = called(client, "explain_hit", query="red", image_id=expected.id)
    told = json.loads(text)
    assert (failed, told["rank"], told["score"], told["why"]) == (False, 3, expected.score, expected.why)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("similar_images", {"image_id": "../../etc/passwd"}, "no picture has the id"),
        ("search_images", {"query": ""}, "nothing to search for"),
        ("search_images", {"query": "x", "top_k": 10**6}, "top_k"),
        ("search_images", {"query": "x", "filter": "=="}, "filter"),
        ("rerank", {"query": "x", "method": "second_encoder:model=/etc"}, "rerank"),
    ],
)
def test_a_tool_refuses_with_a_sentence(client, desk, tool, arguments, told):
    failed, text = called(client, tool, **arguments)
    assert failed
    assert told in text
    assert "Traceback" not in text
    assert str(desk.index) not in text


def test_the_page_is_served_beside_the_api_and_phones_nobody(client):
    page = client.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '"analytics_enabled":false' in page.text.replace(" ", "")
    assert client.get("/api/v1/status").json()["records"] == 8


@pytest.mark.parametrize("address", ["config", "gradio_api/info", "api/v1/status", ""])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_scripts_of_another_site_read_nothing_of_the_page(client, method, address):
    asked = {"Host": "photos.example", "Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    answer = client.request(method, f"/{address}", headers=asked)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "address",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=http://169.254.169.254/",
        "gradio_api/upload",
        "gradio_api/upload_progress",
        "gradio_api/vibe-code/",
        "monitoring",
        "static/../../../../etc/passwd",
        "assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_door_of_the_page_leads_to_files(client, method, address):
    answer = client.request(method, f"/{address}", files={"files": b"x"} if method == "POST" else None)
    assert answer.status_code in (403, 404, 405)
    assert "root:" not in answer.text
