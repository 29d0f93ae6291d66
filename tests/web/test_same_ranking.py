"""One search means one ranking: in Python, on the command line, over REST, and from a link."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mmretrieval as mm
from mmretrieval.cli.entry import run
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import open_encoder
from mmretrieval.types import MINUS_WEIGHT, Part
from mmretrieval.web.command import UPLOADED, command_line
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import SearchForm
from mmretrieval.web.limits import Limits
from mmretrieval.web.links import from_link, to_link
from mmretrieval.web.server import create_app

ONE, TWO = "food-000002", "nature-000030"
FORMS: dict[str, dict[str, Any]] = {
    "words": {"text": "a red fox in the snow"},
    "words and what to avoid": {"text": "a bowl of soup", "minus": ["rice", "an egg"]},
    "words that look like an option": {"text": "--help me find soup"},
    "a picture of the collection": {"image_id": ONE},
    "a picture and a change": {"image_id": ONE, "text": "with rice", "weights": {"text": 0.7, "image": 0.3}},
    "a picture and a change, joined by a product": {"image_id": ONE, "text": "with rice", "compose": "product"},
    "an upload": {"image": "upload"},
    "an upload and a change, along the arc": {"image": "upload", "text": "on a plate", "compose": "slerp"},
    "examples and counter-examples": {"text": "soup", "like": [ONE], "unlike": [TWO], "weights": {"like": 0.9}},
    "a filter": {"text": "something red", "filter": "domain = 'food' OR id = 'nature-000030'"},
    "looks and captions": {"text": "rice and egg", "fuse": {"image": 0.35, "caption": 0.65}},
    "ranks joined": {"text": "rice and egg", "hybrid": "rrf"},
    "scores joined": {"text": "rice and egg", "hybrid": "blend"},
    "near-duplicates folded": {"text": "an animal", "collapse": 0.9},
    "what does not belong left out": {"text": "a red fox", "cutoff": 0.5},
    "refined": {"text": "a tree", "refine": ["superglobal:form=full"]},
    "reranked": {"text": "two ducks", "rerank": ["pointwise:depth=6"]},
    "the second page": {"text": "an animal", "offset": 7, "top_k": 5},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("same")
    write_world(folder / "world", seed=5, images=40)
    mm.index(folder / "world", folder / "index", "demo", captions="clip")
    return folder


@pytest.fixture(scope="module")
def desk(world: Path) -> Iterator[Desk]:
    limits = Limits(requests_per_second=1e6, burst=10**6)
    with Desk(world / "index", mllm="demo", limits=limits) as desk:
        yield desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> Any:
    from fastapi.testclient import TestClient

    return TestClient(create_app(desk, page=False))


@pytest.fixture(scope="module")
def encoder() -> Any:
    return open_encoder("demo")


def picture(world: Path) -> Path:
    return world / "world" / "images" / f"{TWO}.png"


def by_python(form: SearchForm, world: Path, encoder: Any) -> mm.Ranking:
    query = mm.Query(
        "q",
        form.text,
        picture(world) if form.image else None,
        form.image_id,
        dict(form.weights),
        parts=tuple(Part(words, weight=-MINUS_WEIGHT) for words in form.minus),
        like=form.like,
        unlike=form.unlike,
        compose=form.compose,
        filter=form.filter,
    )
    fuse = form.fuse and f"image={form.fuse.image},caption={form.fuse.caption}"
    stages = {"hybrid": form.hybrid, "fuse": fuse, "refine": form.refine, "rerank": form.rerank}
    with mm.Searcher.open(world / "index", encoder=encoder, mllm="demo" if form.rerank else None, **stages) as searcher:
        return searcher.search(query, top_k=form.offset + form.top_k, cutoff=form.cutoff, collapse=form.collapse)


def by_rest(form: SearchForm, world: Path, client: Any) -> dict[str, Any]:
    if form.image:
        body = form.model_dump_json(exclude={"image"})
        sent = client.post("/api/v1/search/upload", files={"picture": picture(world).read_bytes()}, data={"form": body})
    else:
        sent = client.post("/api/v1/search", json=form.model_dump(mode="json"))
    assert sent.status_code == 200, sent.text
    return sent.json()


def on_the_command_line(form: SearchForm, world: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line = command_line(form, str(world / "index"), "demo").replace(UPLOADED, str(picture(world)))
    words = shlex.split(line)[1:]
    assert run([words[0], "--json", *words[1:]]) == 0
    return json.loads(capsys.readouterr().out)


def told(hits: list[dict[str, Any]]) -> list[tuple[str, Any, tuple[str, ...]]]:
    return [
        (hit["id"], hit["score"] and pytest.approx(hit["score"], abs=1e-5), tuple(hit["duplicates"])) for hit in hits
    ]


@pytest.mark.parametrize("name", FORMS)
def test_every_face_gives_the_same_ranking(name, world, client, encoder, capsys):
    token = {"image": "x" * 24} if FORMS[name].get("image") else {}
    form = SearchForm(**{"top_k": 10, **FORMS[name], **token})
    expected = by_python(form, world, encoder)
    hits = [hit.to_dict(rank) for rank, hit in enumerate(expected.hits, start=1)]
    assert hits
    line = on_the_command_line(form, world, capsys)
    assert [hit["id"] for hit in line["hits"]] == expected.ids
    assert told(line["hits"]) == told(hits)
    found = by_rest(form, world, client)
    assert [hit["id"] for hit in found["hits"]] == expected.ids[form.offset :]
    assert told(found["hits"]) == told(hits[form.offset :])
    assert [hit["rank"] for hit in found["hits"]] == list(range(form.offset + 1, len(hits) + 1))
    assert [step["name"] for step in found["steps"]] == [step.name for step in expected.steps]
    assert found["warnings"] == list(expected.warnings)


@pytest.mark.parametrize("name", FORMS)
def test_a_link_brings_the_same_search_back_or_says_what_is_missing(name):
    token = {"image": "x" * 24} if FORMS[name].get("image") else {}
    form = SearchForm(**{"top_k": 10, **FORMS[name], **token})
    back, remarks = from_link(f"?{to_link(form)}&utm_source=somewhere")
    assert back == form.model_copy(update={"image": None, "offset": 0})
    assert bool(remarks) == (form.image is not None)


def test_a_large_photograph_is_seen_by_an_upload_as_it_is_by_a_path(world, desk, encoder, tmp_path):
    from PIL import Image

    with Image.open(picture(world)) as small:
        small.resize((1700, 1300)).save(tmp_path / "photo.jpg", quality=92)
    upload = desk.uploads.add((tmp_path / "photo.jpg").read_bytes())
    with mm.Searcher.open(world / "index", encoder=encoder) as searcher:
        expected = searcher.search(image=tmp_path / "photo.jpg", top_k=40)
    found = desk.search(SearchForm(image=upload.token, top_k=40))
    assert [(hit.id, hit.score) for hit in found.hits] == [(hit.id, hit.score) for hit in expected.hits]
