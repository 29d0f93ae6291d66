"""The server as a whole, in this process: who comes in, what is refused and how, what it tells and keeps up with."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from example_stages import Scripted
from fastapi.testclient import TestClient
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.asks import ChoiceScores
from mmretrieval.indexing import index
from mmretrieval.web.auth import Accounts
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import SearchForm
from mmretrieval.web.limits import Busy, Limits
from mmretrieval.web.server import create_app

SIZE, PATIENCE = 9, 30.0
SEARCH = "/api/v1/search"
ANN = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}


def write(folder, numbers):
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"p{number}.png").write_bytes(encoded(picture(number), "PNG"))


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "pictures", range(SIZE))
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder())
    return tmp_path


@pytest.fixture
def desk(folder):
    with Desk(folder / "index", encoder=SketchEncoder(), limits=Limits(requests_per_second=1e6, burst=10**6)) as desk:
        yield desk


def client_of(desk, **more):
    return TestClient(create_app(desk, page=False, **more), raise_server_exceptions=False)


def errors(answer):
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "error"
    return " ".join(answer.json()["errors"])


def test_a_password_is_asked_for_everywhere_but_at_the_pulse(desk):
    client = client_of(desk, accounts=Accounts({"ann": "secret"}))
    for method, address in (("GET", "/metrics"), ("POST", SEARCH), ("GET", "/api/v1/images/p1"), ("GET", "/nowhere")):
        answer = client.request(method, address)
        assert (answer.status_code, errors(answer)) == (401, "this server asks for a name and a password")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/api/v1/images/p1", headers=ANN).status_code == 200
    assert (
        client.post(SEARCH, json={"text": "x"}, headers={"Authorization": ANN["Authorization"][:-4]}).status_code == 401
    )


def test_a_server_on_this_machine_answers_to_no_other_name(desk):
    client = client_of(desk, hosts=("localhost", "127.0.0.1", "::1"))
    for host in ("localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860"):
        assert client.get("/health", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "localhost.evil.example:7860", "", "[::2]:1"):
        assert client.get("/health", headers={"Host": host}).status_code == 421


def test_other_sites_may_neither_send_nor_read_unless_they_were_named(desk):
    asked = {"json": {"text": "x"}, "headers": {"Origin": "https://evil.example"}}
    refused = client_of(desk).post(SEARCH, **asked)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    client = client_of(desk, origins=("https://friend.example",))
    assert client.post(SEARCH, **asked).status_code == 403
    answer = client.post(SEARCH, json={"text": "x"}, headers={"Origin": "https://friend.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://friend.example")
    own = client.post(SEARCH, json={"text": "x"}, headers={"Origin": "http://testserver"})
    assert (own.status_code, own.headers.get("access-control-allow-origin")) == (200, None)


def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere(desk):
    for answer in (client_of(desk).get("/health"), client_of(desk).get("/api/nowhere")):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "address", "sent", "status", "told"),
    [
        ("POST", SEARCH, {"json": {}}, 422, "nothing to search for"),
        ("POST", SEARCH, {"json": {"text": "x", "top_k": 0}}, 422, "top_k: "),
        ("POST", SEARCH, {"content": b"{", "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ("POST", SEARCH, {"json": {"text": "x", "filter": "a =="}}, 422, "filter"),
        ("POST", SEARCH, {"json": {"text": "x", "rerank": ["gird"]}}, 422, "no 'gird' among the rerankers"),
        ("POST", SEARCH, {"json": {"text": "x", "rerank": ["pointwise"]}}, 422, "started without --mllm"),
        ("POST", SEARCH, {"json": {"text": "x", "rerank": ["second_encoder"]}}, 422, "a model of its own"),
        ("POST", SEARCH, {"json": {"text": "x", "refine": ["superglobal:form=odd"]}}, 422, "dba, full"),
        ("POST", SEARCH, {"json": {"image_id": "nobody"}}, 404, "no picture has the id 'nobody'"),
        ("POST", SEARCH, {"json": {"image": "t" * 24}}, 404, "upload it again"),
        ("POST", SEARCH, {"content": b"x" * (2**20 + 1)}, 413, "too large"),
        ("PUT", SEARCH, {}, 405, "POST is"),
        ("GET", "/api/v1/images/..%2Fcatalog.sqlite", {}, 404, "no picture has the id"),
        ("GET", "/api/v1/images/%2Fetc%2Fpasswd", {}, 404, "no picture has the id"),
        ("GET", "/api/v1/thumbnails/p1?side=77", {}, 422, "choose one of"),
        ("GET", "/api/v2/search", {}, 404, "there is nothing at /api/v2/search"),
        ("POST", "/api/v1/uploads", {"files": {"picture": b"<svg/>"}}, 422, "not a picture"),
        ("POST", "/api/v1/rerank", {"json": {"text": "x", "ids": ["p1", "nobody"]}}, 404, "nobody"),
        (
            "POST",
            "/api/v1/explain",
            {"json": {"search": {"text": "x", "filter": "id = 'p1'"}, "id": "p2"}},
            404,
            "filter",
        ),
    ],
)
def test_a_refusal_is_a_status_and_a_sentence(desk, method, address, sent, status, told):
    answer = client_of(desk).request(method, address, **sent)
    assert answer.status_code == status, answer.text
    assert told in errors(answer)
    assert str(desk.index) not in answer.text


def test_a_picture_is_sent_once_and_then_only_its_tag(desk):
    client = client_of(desk)
    first = client.get("/api/v1/thumbnails/p1")
    again = client.get("/api/v1/thumbnails/p1", headers={"If-None-Match": first.headers["etag"]})
    other = client.get("/api/v1/thumbnails/p2", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["content-type"], again.status_code, again.content) == ("image/webp", 304, b"")
    assert other.status_code == 200


def test_an_upload_is_searched_by_its_token_until_it_is_dropped(desk):
    client = client_of(desk)
    kept = client.post("/api/v1/uploads", files={"picture": encoded(picture(4), "PNG")})
    assert kept.status_code == 201
    token = kept.json()["token"]
    assert client.get(kept.json()["image"]).headers["content-type"] == "image/jpeg"
    found = client.post(SEARCH, json={"image": token}).json()["hits"]
    assert (found[0]["id"], len(found)) == ("p4", SIZE)
    assert client.delete(f"/api/v1/uploads/{token}").status_code == 204
    assert client.post(SEARCH, json={"image": token}).status_code == 404


def test_a_search_with_a_file_keeps_nothing_of_it(desk):
    sent = {"files": {"picture": encoded(picture(4), "PNG")}, "data": {"form": '{"top_k": 2}'}}
    answer = client_of(desk).post(f"{SEARCH}/upload", **sent)
    assert next(hit["id"] for hit in answer.json()["hits"]) == "p4"
    assert desk.uploads.bytes_kept == 0


def test_pages_of_results_are_the_whole_in_parts(desk):
    client = client_of(desk)
    whole = client.post(SEARCH, json={"text": "red", "top_k": SIZE}).json()
    ids, offset = [], 0
    while offset is not None:
        page = client.post(SEARCH, json={"text": "red", "top_k": 4, "offset": offset}).json()
        ids += [hit["id"] for hit in page["hits"]]
        offset = page["next_offset"]
    assert ids == [hit["id"] for hit in whole["hits"]]


def test_an_explanation_has_the_place_the_search_gives(desk):
    client = client_of(desk)
    hits = client.post(SEARCH, json={"text": "red", "top_k": SIZE}).json()["hits"]
    third = client.post("/api/v1/explain", json={"search": {"text": "red", "top_k": 5}, "id": hits[2]["id"]}).json()
    assert third["hit"] == hits[2]
    last = client.post("/api/v1/explain", json={"search": {"text": "red", "top_k": 2}, "id": hits[-1]["id"]}).json()
    assert (last["hit"]["rank"], last["hit"]["score"]) == (None, pytest.approx(hits[-1]["score"]))


def test_the_description_names_every_address_and_no_other_site(desk):
    client = client_of(desk)
    told = client.get("/api/v1/openapi.json").json()
    assert set(told["paths"]["/api/v1/search"]["post"]["responses"]) == {"200", "400", "404", "413", "422", "429"}
    assert "http" not in json.dumps(told)
    assert client.get("/docs").status_code == 404


def test_metrics_count_searches_by_the_pattern_of_their_address(desk):
    client = client_of(desk)
    for number in (1, 2):
        client.get(f"/api/v1/images/p{number}")
    client.post(SEARCH, json={"text": "red"})
    client.get("/api/v1/images/nobody")
    lines = client.get("/metrics").text.splitlines()
    route = 'route="/api/v1/images/{record_id:path}"'
    assert f'mmretrieval_requests_total{{method="GET",{route},status="200"}} 2.0' in lines
    assert 'mmretrieval_requests_total{method="GET",route="none",status="404"} 1.0' in lines
    assert 'mmretrieval_searches_total{status="ok"} 1.0' in lines
    assert f"mmretrieval_records {SIZE}.0" in lines


def test_a_visitor_in_a_hurry_is_told_to_wait(folder):
    with Desk(folder / "index", encoder=SketchEncoder(), limits=Limits(requests_per_second=1e-3, burst=2)) as desk:
        client = client_of(desk)
        answers = [client.get("/health") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 900 < int(answers[2].headers["retry-after"]) <= 1000


def test_what_a_writer_adds_is_found_while_the_server_runs(desk, folder):
    client = client_of(desk)
    with desk.reading() as old:
        assert not desk.keep_up()
        write(folder / "pictures", [77])
        index(folder / "pictures", folder / "index", encoder=SketchEncoder())
        assert desk.keep_up()
        assert old.open_image("p1").size  # whoever reads the old state reads on
        assert client.post(SEARCH, json={"image_id": "p77", "top_k": 1}).status_code == 200
    assert client.get("/api/v1/status").json()["records"] == SIZE + 1
    assert not desk.keep_up()


def last_first(ask):
    last_first.asked += 1
    return ChoiceScores((-1 / last_first.asked, -3.0), tokens=5)


def model():
    last_first.asked = 0
    scripted = Scripted(last_first)
    scripted.at_once = 1
    return scripted


def test_a_budget_is_for_one_search_and_not_for_all(folder):
    limits = Limits(model_calls=3)
    with Desk(folder / "index", encoder=SketchEncoder(), mllm=model(), limits=limits) as desk:
        steps = [desk.search(SearchForm(text=text, rerank=("pointwise",))).steps[-1] for text in ("red", "blue")]
        less = desk.search(SearchForm(text="green", rerank=("pointwise",), max_calls=2)).steps[-1]
    assert [(step.calls, step.status) for step in (*steps, less)] == [(3, "partial"), (3, "partial"), (2, "partial")]


def test_what_is_planned_is_asked_of_nobody(folder):
    with Desk(folder / "index", encoder=SketchEncoder(), mllm=model()) as desk:
        [planned] = client_of(desk).post("/api/v1/cost", json={"text": "red", "rerank": ["pointwise"]}).json()["stages"]
    assert (planned["stage"], planned["calls"], last_first.asked) == ("pointwise", SIZE, 0)


def test_a_search_that_is_stopped_gives_the_best_so_far(folder):
    told, traced = [], []
    form = SearchForm(text="red", rerank=("pointwise",), top_k=SIZE)
    with Desk(folder / "index", encoder=SketchEncoder(), mllm=model()) as desk:
        plain = desk.search(SearchForm(text="red", top_k=SIZE))
        ranking = desk.search(form, progress=told.append, stop=lambda: last_first.asked >= 2, trace=traced.append)
    assert (ranking.status, last_first.asked, len(traced)) == ("partial", 2, 2)
    assert sorted(ranking.ids) == sorted(plain.ids)
    assert {each.stage for each in told} == {"dense", "pointwise"}


def test_many_at_once_get_what_each_would_get_alone(folder):
    forms = [SearchForm(text=f"word {number}", top_k=5) for number in range(40)]
    forms += [SearchForm(image_id=f"p{number % SIZE}", top_k=3, collapse=True) for number in range(20)]
    with Desk(folder / "index", encoder=SketchEncoder()) as desk:
        alone = [desk.search(form) for form in forms]
    with Desk(folder / "index", encoder=SketchEncoder()) as desk, ThreadPoolExecutor(16) as pool:
        together = list(pool.map(desk.search, forms, timeout=PATIENCE))
    assert [ranking.ids for ranking in together] == [ranking.ids for ranking in alone]


def test_more_than_may_wait_are_told_that_it_is_busy(folder):
    begun, leave = threading.Event(), threading.Event()

    def slow(ask):
        begun.set()
        assert leave.wait(PATIENCE)
        return ChoiceScores((-1.0, -2.0))

    limits = Limits(searches=1, waiting=0)
    form = SearchForm(text="red", rerank=("pointwise",))
    desk = Desk(folder / "index", encoder=SketchEncoder(), mllm=Scripted(slow), limits=limits)
    with desk, ThreadPoolExecutor(1) as pool:
        first = pool.submit(desk.search, form)
        assert begun.wait(PATIENCE)
        with pytest.raises(Busy, match="try again"):
            desk.search(SearchForm(text="blue"))
        answer = client_of(desk).post(SEARCH, json={"text": "blue"})
        leave.set()
        assert first.result(PATIENCE).status == "ok"
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
