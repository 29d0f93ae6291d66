"""Any reranker: whatever the model says, an order of the candidates comes back, or one clear error."""

import pytest
from example_stages import Listing, MemoryCollection, Scripted, seeded_reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmretrieval.asks import Attend, Attention, ChoiceScores, Failed, ScoreChoices, Text
from mmretrieval.driver import drive
from mmretrieval.errors import MMRetrievalError
from mmretrieval.pipeline import Pipeline
from mmretrieval.stages import Candidate, Reranker
from mmretrieval.types import Hit, ImageRecord, Query

QUERY = Query("q7", text="a red bowl of soup")
COMPOSED = Query("q8", text="the same, but blue", image_id="img0")
NUMBER = st.floats(allow_nan=True, allow_infinity=True)
WORDS = st.text(max_size=40) | st.from_regex(r"(\[?\d{1,2}\]?[ ,>]*){0,12}", fullmatch=True)


class Anything(Scripted):
    """Answers every kind of ask from a stream of drawn values, fitting in kind but not in sense."""

    def __init__(self, data):
        super().__init__(self.drawn)
        self.answers |= {Attend}
        self.data = data

    def drawn(self, ask):
        if self.data.draw(st.integers(0, 9)) == 0:
            return Failed("no answer")
        if isinstance(ask, ScoreChoices):
            count = len(ask.choices)
            return ChoiceScores(tuple(self.data.draw(st.lists(NUMBER, min_size=count, max_size=count))))
        if isinstance(ask, Attend):
            count = sum(not isinstance(part, str) for part in ask.parts)
            return Attention(tuple(self.data.draw(st.lists(NUMBER, min_size=count, max_size=count))))
        return Text(self.data.draw(WORDS))


def search(reranker, query, size, mllm, **options):
    collection = MemoryCollection(size)
    return Pipeline([Listing(collection), reranker], mllm, collection).search([query], max(size, 1), **options)[0]


def replying(ask):
    if isinstance(ask, Attend):
        return Attention(tuple(1.0 for part in ask.parts if not isinstance(part, str)))
    return seeded_reply(ask)


def model():
    mllm = Scripted(replying)
    mllm.answers |= {Attend}
    return mllm


def test_it_is_a_reranker_that_says_what_it_does(subject):
    assert issubclass(subject, Reranker)
    assert (subject.__doc__ or "").strip()


@pytest.mark.parametrize("query", [QUERY, COMPOSED], ids=["words", "composed"])
@pytest.mark.parametrize("size", [0, 1, 2, 12])
def test_a_permutation_of_the_candidates_comes_back(make, query, size):
    ranking = search(make(), query, size, model())
    assert sorted(ranking.ids) == sorted(MemoryCollection(size).ids)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data(), size=st.integers(1, 12))
def test_senseless_replies_give_an_order_or_one_clear_error(make, data, size):
    try:
        ranking = search(make(), QUERY, size, Anything(data))
    except MMRetrievalError as refused:
        stumbled = isinstance(refused.__cause__, LookupError | TypeError | ValueError)
    else:
        stumbled = False
        assert sorted(ranking.ids) == sorted(MemoryCollection(size).ids)
    assert not stumbled


def test_its_asks_are_those_it_declares(make):
    reranker, mllm = make(), model()
    search(reranker, QUERY, 12, mllm)
    assert {type(ask) for asks in mllm.calls for ask in asks} <= reranker.needs


def test_the_same_replies_give_the_same_order(make):
    first, second = (search(make(), QUERY, 12, model()) for _ in range(2))
    assert first.hits == second.hits


def test_one_instance_serves_many_queries_without_mixing_them(make):
    collection, reranker = MemoryCollection(8), make()
    queries = [Query(f"q{number}", text=f"words {number}") for number in range(4)]
    together = Pipeline([Listing(collection), reranker], model(), collection).search(queries, 8)
    alone = [Pipeline([Listing(collection), make()], model(), collection).search([q], 8)[0] for q in queries]
    assert [ranking.hits for ranking in together] == [ranking.hits for ranking in alone]


def test_the_candidates_it_was_given_are_unchanged(make):
    reranker, collection = make(), MemoryCollection(3)
    candidates = [Candidate(collection.record(hit.id), hit, collection) for hit in Listing(collection).hits(QUERY)]
    before = list(candidates)
    drive([lambda: reranker.rerank(QUERY, candidates)], model(), reranker.needs, stop_at_error=True)
    assert candidates == before
    assert all(isinstance(c.record, ImageRecord) and isinstance(c.hit, Hit) for c in candidates)


def test_every_hit_it_placed_carries_its_name(make):
    reranker = make()
    ranking = search(reranker, QUERY, 4, model())
    assert {hit.by for hit in ranking.hits} <= {reranker.name, "example_stages"}
