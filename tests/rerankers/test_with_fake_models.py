"""Every reranker with models whose opinion is known: the best comes first, nothing is lost, and the status is true."""

import inspect
import math

import pytest
from example_stages import HashEncoder, Listing, MemoryCollection
from fake_models import GARBAGE, THINGS, Constant, Flaky, Garbage, NoisyOracle, Oracle, Plain, Slow

from mmretrieval import registry
from mmretrieval.asks import Attend, Generate
from mmretrieval.errors import MMRetrievalError
from mmretrieval.pipeline import Pipeline
from mmretrieval.types import Query

QUERY = Query("q1", text=", ".join(THINGS))
NAMES = registry.names("rerankers")
ORDERING = ["cotrr", "grid", "listwise"]  # those that have an order written out
SIZES = [0, 1, 2, 3, 4, 9, 10, 17, 33, 64, 120]


def needs(name):
    return registry.load("rerankers", name).needs


ASKING = [name for name in NAMES if name != "second_encoder"]  # which asks no language model


def make(name, **wanted):
    """The reranker with the model alone, looking at everything, as far as its settings allow that."""
    cls = registry.load("rerankers", name)
    takes = inspect.signature(cls).parameters
    given = {"encoder": HashEncoder(), "open_encoder": lambda spec: HashEncoder(), "depth": 120, "alpha": 1.0}
    given |= {"alike": False, **wanted}
    return cls(**{key: value for key, value in given.items() if key in takes})


def relevance(size, best=None):
    """From 0 to 0.9 in an order that has nothing to do with the first stage's, and 1 for the best one."""
    best = (size * 2) // 3 if best is None else best
    values = {number: 0.9 * ((number * 37) % 121) / 121 for number in range(size)}
    return {**values, best: 1.0}


def search(reranker, mllm, size, queries=(QUERY,), **more):
    collection = Plain(size)
    return Pipeline([Listing(collection), reranker], mllm, collection).search(list(queries), max(size, 1), **more)


@pytest.fixture(params=[False, True], ids=["large", "small"])
def compact(request):
    return request.param


@pytest.fixture(params=ASKING)
def name(request):
    if Attend in needs(request.param):
        pytest.skip("it reads attention, which these models do not have")
    return request.param


def test_an_oracle_brings_the_best_to_the_top_of_every_list(name, compact):
    for size in SIZES:
        reranker, mllm = make(name), Oracle(relevance(size), compact=compact)
        [ranking] = search(reranker, mllm, size)
        assert sorted(ranking.ids) == sorted(MemoryCollection(size).ids)
        assert ranking.steps[-1].status == "ok", (size, ranking.steps[-1])
        if size:
            assert ranking.ids[0] == f"img{size * 2 // 3}", size
        assert sum(mllm.asked) <= reranker.suited(mllm).calls(size)


@pytest.mark.parametrize("size", [2, 7, 30])
def test_a_model_that_thinks_the_same_of_all_changes_nothing(name, compact, size):
    for alpha in (1.0, 0.5):
        [ranking] = search(make(name, alpha=alpha), Constant(compact=compact), size)
        assert ranking.ids == MemoryCollection(size).ids
        assert ranking.steps[-1].status == "ok"
        assert ranking.steps[-1].tau == 1


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_loses_nothing_and_is_called_what_it_is(name, compact, kind):
    for size in (2, 5, 24):
        reranker = make(name)
        [ranking] = search(reranker, Garbage(kind, compact=compact), size)
        step = ranking.steps[-1]
        assert sorted(ranking.ids) == sorted(MemoryCollection(size).ids)
        read = GARBAGE[kind][1]
        if Generate not in reranker.suited(Garbage(kind, compact=compact)).needs:
            read = "failed"  # its scores are no numbers
        if name in ORDERING or read == "failed":
            expected = {"failed": "fallback", "partial": "partial", "repaired": "repaired"}[read]
            assert step.status == expected, (size, step)
        if step.status == "fallback":
            assert ranking.ids == MemoryCollection(size).ids


def test_strict_raises_on_garbage(name, compact):
    with pytest.raises(MMRetrievalError, match=f"'{name}' failed on query 'q1'"):
        search(make(name), Garbage("refusal", compact=compact), 6, on_error="strict")


def test_a_model_that_answers_now_and_then_loses_nothing_and_is_told(name, compact):
    mllm = Flaky(relevance(40), compact=compact)
    [ranking] = search(make(name), mllm, 40)
    step = ranking.steps[-1]
    assert sorted(ranking.ids) == sorted(MemoryCollection(40).ids)
    failed = sum("no answer today" in step.note for step in ranking.steps)
    assert step.status == ("ok" if not failed else step.status)
    assert step.status in (("partial", "fallback") if failed else ("ok",))


def test_a_model_that_never_answers_leaves_the_order(name, compact):
    [ranking] = search(make(name), Flaky(relevance(12), compact=compact, share=1.0), 12)
    assert ranking.ids == MemoryCollection(12).ids
    assert ranking.steps[-1].status == "fallback"
    assert "asks failed: no answer today" in ranking.steps[-1].note


def test_windows_of_different_queries_are_asked_together(name, compact):
    one, many = Slow(relevance(24), compact=compact), Slow(relevance(24), compact=compact)
    queries = [Query(f"q{number}", text=QUERY.text) for number in range(5)]
    [alone] = search(make(name), one, 24, queries[:1])
    together = search(make(name), many, 24, queries)
    assert many.asked == [5 * count for count in one.asked]
    assert all(ranking.ids == alone.ids for ranking in together)


def test_with_the_default_blend_a_blind_model_is_held_back(name, compact):
    """A model that sees nothing but noise, behind a good first stage: half of the harm at most."""
    size, lost = 12, {}
    for alpha in (1.0, 0.5):
        places = []
        for seed in range(6):
            mllm = NoisyOracle(dict.fromkeys(range(size), 0.5), sigma=1.0, seed=seed, compact=compact)
            [ranking] = search(make(name, alpha=alpha), mllm, size)
            places.append(ranking.ids.index("img0"))
        lost[alpha] = sum(places) / len(places)
    assert lost[0.5] <= max(0.6 * lost[1.0], 0.5)


def calls(name, size, **settings):
    mllm = Oracle(relevance(size))
    reranker = make(name, **settings)
    search(reranker, mllm, size)
    return sum(mllm.asked), len(mllm.asked), reranker.calls(size)


@pytest.mark.parametrize("size", [2, 20, 25, 100])
def test_calls_are_those_of_the_table(size):
    """Methods and counts of section 4 of the survey these rerankers were built from: calls, and rounds of calls."""
    windows = 1 + max(0, math.ceil((size - 20) / 10))
    groups = 1 if size <= 10 else math.ceil((size - 2) / 8)
    expected = {
        ("pointwise",): (size, 1),
        ("listwise", ("window", 20), ("stride", 10)): (windows, windows),
        ("first_token", ("window", 20), ("correct", "none")): (windows, windows),
        ("first_token", ("window", 20)): (2 * windows, windows),
        ("groupwise", ("group", 10)): (groups, 1),
        ("cotrr",): (1, 1),
    }
    for (name, *settings), (asked, rounds) in expected.items():
        if name in NAMES:
            found = calls(name, size, **dict(settings))
            assert found[:2] == (asked, rounds), (name, settings)
            assert found[2] >= asked


def test_a_sheet_of_all_costs_one_call_and_an_eighth_of_pointwise_at_most():
    if "grid" not in NAMES or "pointwise" not in NAMES:
        pytest.skip("grid or pointwise is not here")
    for size in (8, 16, 60):
        assert calls("grid", size)[0] * 8 <= max(calls("pointwise", size)[0], 8)
    assert calls("grid", 16)[0] == 1
