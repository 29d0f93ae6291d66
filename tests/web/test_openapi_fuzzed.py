"""The REST API is asked what its description allows, and what it does not: it answers as it promises, and never 5xx."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacked_collection import IDS, Babbling, make_collection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mmretrieval import registry
from mmretrieval.web.desk import Desk
from mmretrieval.web.limits import Limits
from mmretrieval.web.server import create_app

schemathesis = pytest.importorskip("schemathesis")

OPERATIONS = (
    "POST /api/v1/search",
    "POST /api/v1/search/upload",
    "GET /api/v1/similar/{record_id}",
    "POST /api/v1/rerank",
    "POST /api/v1/explain",
    "POST /api/v1/cost",
    "POST /api/v1/export",
    "GET /api/v1/images/{record_id}",
    "GET /api/v1/thumbnails/{record_id}",
    "GET /api/v1/records/{record_id}",
    "POST /api/v1/uploads",
    "GET /api/v1/uploads/{token}",
    "DELETE /api/v1/uploads/{token}",
    "GET /api/v1/status",
    "GET /health",
    "GET /metrics",
)
NOTHING_TO_GET_WRONG = ("GET /api/v1/status", "GET /health", "GET /metrics")
EXAMPLES = 15  # of each operation and kind of data
PHASES = (Phase.explicit, Phase.generate)  # a failure is told as it came: shrinking it would take minutes


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, tiny_clip_dir: Path) -> Iterator[Desk]:
    index = make_collection(tmp_path_factory.mktemp("fuzzed"), f"local-dir:{tiny_clip_dir}")
    unlimited = Limits(requests_per_second=1e9, burst=10**9, model_calls=40)
    with Desk(index, mllm=Babbling(), limits=unlimited) as desk:
        yield desk


@pytest.fixture(scope="module")
def schema(desk: Desk) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(desk, page=False))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What the server complained of; where a request makes it log an error, it was the server's fault."""
    yield [record.getMessage() for record in caplog.records]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def operation(schema: Any, label: str) -> Any:
    return next(each.ok() for each in schema.get_all_operations() if each.ok().label == label)


def bounded(test: Callable[..., None], cases: st.SearchStrategy[Any], *more: st.SearchStrategy[Any]) -> None:
    bounds = settings(max_examples=EXAMPLES, phases=PHASES, database=None, suppress_health_check=list(HealthCheck))
    bounds(given(cases, *more)(test))()


def check(case: Any, seen: Counter[int]) -> None:
    """Refusals must be as the description says; which data are refused is for the routes to say."""
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    response = case.call()
    seen[response.status_code] += 1
    assert response.status_code < 500, (response.text, case.as_curl_command())
    assert b"Traceback" not in response.content
    promised = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
    case.validate_response(response, checks=[CHECKS.get_one(name) for name in promised])


def test_the_description_names_every_operation(schema: Any) -> None:
    assert {each.ok().label for each in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.usefixtures("log")
def test_what_the_description_allows_is_answered_as_promised(schema: Any, label: str) -> None:
    from schemathesis.generation import GenerationMode

    seen: Counter[int] = Counter()
    cases = operation(schema, label).as_strategy(generation_mode=GenerationMode.POSITIVE)
    bounded(lambda case: check(case, seen), cases)
    assert seen


@pytest.mark.parametrize("label", [each for each in OPERATIONS if each not in NOTHING_TO_GET_WRONG])
@pytest.mark.usefixtures("log")
def test_what_the_description_forbids_is_refused_with_a_sentence(schema: Any, label: str) -> None:
    from schemathesis.generation import GenerationMode

    seen: Counter[int] = Counter()
    cases = operation(schema, label).as_strategy(generation_mode=GenerationMode.NEGATIVE)
    bounded(lambda case: check(case, seen), cases)
    assert seen


SPECS = {
    kind: [name for name in registry.names(kind) if name != "second_encoder"]
    for kind in ("rewriters", "refiners", "rerankers")
}
WORDS = st.sampled_from(["a red fox", "two tomatoes on a plate", "🦊", "x" * 1000, "\u202e\ufeff", "a\nb"])
KNOWN = st.sampled_from(IDS)
FILTERS = ("", "stars > 2", "stars >", "formula = '='", "nothing = 1", "domain = 'food'")


# Searches of pictures and methods that there are, with one or several wishes.
FORMS = st.fixed_dictionaries(
    {"text": WORDS, "top_k": st.integers(1, 12), "max_calls": st.integers(0, 30)},
    optional={
        "image_id": KNOWN,
        "like": st.lists(KNOWN, max_size=3),
        "unlike": st.lists(KNOWN, max_size=3),
        "minus": st.lists(WORDS, max_size=2),
        "weights": st.dictionaries(st.sampled_from(["text", "image", "like"]), st.floats(-3, 3), max_size=2),
        "compose": st.sampled_from(["sum", "slerp", "product"]),
        "filter": st.sampled_from(FILTERS),
        "fuse": st.just({"image": 0.5, "caption": 0.5}),
        "hybrid": st.sampled_from(["rrf", "blend"]),
        "collapse": st.sampled_from([True, 0.5]),
        "cutoff": st.sampled_from([True, 0.5]),
        "offset": st.integers(0, 12),
        "rewrite": st.lists(st.sampled_from(SPECS["rewriters"]), max_size=1),
        "refine": st.lists(st.sampled_from(SPECS["refiners"]), max_size=1),
        "rerank": st.lists(st.sampled_from(SPECS["rerankers"]), max_size=1),
    },
)


@pytest.mark.parametrize("label", ["POST /api/v1/search", "POST /api/v1/explain", "POST /api/v1/export"])
@pytest.mark.usefixtures("log")
def test_searches_of_all_kinds_are_answered_or_refused_with_a_sentence(schema: Any, label: str) -> None:
    seen: Counter[int] = Counter()
    api = operation(schema, label)

    def searched(form: dict[str, Any], record_id: str) -> None:
        body = {"search": form, "id": record_id} if label.endswith("explain") else form
        check(api.Case(body=copy.deepcopy(body), media_type="application/json"), seen)

    bounded(searched, FORMS, KNOWN)
    assert seen[200], seen
