"""The driver, the glue and the checks of composition, against a twin that serves one query after the other."""

import math
from dataclasses import replace

import pytest
from example_stages import (
    Backwards,
    BringLast,
    Listing,
    MemoryCollection,
    Pointwise,
    Scripted,
    Shout,
    Windows,
    seeded_reply,
)
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval import driver
from mmretrieval.asks import ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.errors import MMRetrievalError, UsageError
from mmretrieval.pipeline import Pipeline
from mmretrieval.stages import FirstStage, Refiner, Reranked, Reranker, Rewriter
from mmretrieval.types import Hit, Query, Ranking, Step


def queries(count):
    return [Query(f"q{number}", text=f"words {number}") for number in range(count)]


def first(collection=None):
    return Listing(collection or MemoryCollection(12))


def pipeline(*later, size=12, before=(), mllm=None):
    collection = MemoryCollection(size)
    return Pipeline([*before, Listing(collection), *later], mllm or Scripted(seeded_reply), collection)


class Returning(Reranker):
    """Returns whatever it was made with."""

    def __init__(self, value, depth=5):
        self.value, self.depth = value, depth

    def rerank(self, query, candidates):
        return self.value


class Raising(Reranker):
    """Fails on one query, in the round it was made with."""

    needs = frozenset({Generate})

    def __init__(self, query_id, rounds=0):
        self.query_id, self.rounds = query_id, rounds

    def rerank(self, query, candidates):
        for _ in range(self.rounds):
            yield [Generate((query.text,))]
        if query.id == self.query_id:
            raise KeyError("gone")
        return [candidate.hit for candidate in reversed(candidates)]


# --- composition --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "exactly one first stage"),
        ([first(), first()], "exactly one first stage"),
        ([Backwards(), first()], "'example_stages' stands before the first stage"),
        ([first(), Shout()], "stands behind the first stage"),
        ([first(), Windows], "is no stage"),
        ([first(), Windows(depth=0)], "has depth 0"),
    ],
    ids=["no stage", "two first stages", "reranker first", "rewriter last", "a class", "no depth"],
)
def test_a_wrong_order_is_refused_before_any_work(stages, message):
    with pytest.raises(UsageError, match=message):
        Pipeline(stages, Scripted(seeded_reply), MemoryCollection(3))


def test_a_stage_that_asks_what_the_model_cannot_answer_is_refused():
    only_text = Scripted(seeded_reply)
    only_text.answers = frozenset({Generate})
    with pytest.raises(UsageError, match="asks for ScoreChoices, which 'scripted' does not answer"):
        Pipeline([first(), Pointwise()], only_text, MemoryCollection(3))


def test_a_stage_that_asks_without_a_model_is_refused():
    with pytest.raises(UsageError, match="no language model to answer"):
        Pipeline([first(), Windows()], None, MemoryCollection(3))


def test_a_stage_that_reads_a_channel_the_collection_lacks_is_refused():
    class Patches(Backwards):
        reads = frozenset({"patches"})

    with pytest.raises(UsageError, match="reads the channel patches, and this collection has: image"):
        Pipeline([first(), Patches()], None, MemoryCollection(3))


def test_a_later_stage_without_a_collection_is_refused():
    with pytest.raises(UsageError, match="was given none"):
        Pipeline([first(), Backwards()])


def test_no_queries_give_no_rankings():
    assert pipeline(Backwards()).search([]) == []


def test_less_than_one_hit_is_refused():
    with pytest.raises(UsageError, match="top_k is 0"):
        pipeline().search(queries(1), 0)


# --- order --------------------------------------------------------------------------------------------------------


def test_the_first_stage_is_asked_for_as_many_hits_as_the_deepest_reranker_looks_at():
    ranking = pipeline(Returning([], depth=9), Backwards()).search(queries(1), 3)[0]
    assert ranking.ids == ["img11", "img10", "img9"]  # Backwards looks at 20, so at all 12


def test_forgotten_candidates_follow_in_their_old_order_and_then_the_tail():
    ranking = pipeline(Returning([Hit("img3", "x"), Hit("img1", "x")], depth=5)).search(queries(1), 12)[0]
    assert ranking.ids == ["img3", "img1", "img0", "img2", "img4", *(f"img{n}" for n in range(5, 12))]
    assert ranking.steps[-1].status == "partial"
    assert ranking.steps[-1].note == "3 candidates kept behind in their old order"
    assert ranking.steps[-1].moved == 3  # img1 and img4 stay at their places


def test_unknown_repeated_and_tail_hits_are_dropped_and_said_to_be():
    returned = [Hit(name, "x") for name in ("img1", "img1", "nobody", "img7", "img0", "img2", "img3", "img4")]
    ranking = pipeline(Returning(returned, depth=5)).search(queries(1), 12)[0]
    assert ranking.ids == ["img1", "img0", "img2", "img3", "img4", *(f"img{n}" for n in range(5, 12))]
    assert (ranking.steps[-1].status, ranking.steps[-1].note) == ("repaired", "3 unknown or repeated hits dropped")


def test_a_reranked_hit_inherits_the_evidence_it_does_not_state():
    ranking = pipeline(Returning([Hit("img2", "x", score=4.0, why="seen", scores={"x": 4.0})], 3)).search(
        queries(1), 1
    )[0]
    before = {"by": "example_stages", "score": -2.0, "scores": {"image": -2.0}, "shares": {}}
    details = {"first_stage": before}
    assert ranking.hits[0] == Hit("img2", "x", 4.0, "img2.png", "seen", {"x": 4.0}, details=details, first_stage_rank=3)


@pytest.mark.parametrize("stated", [{}, {"image": -2.0}, {"model": 3.0, "first": 1.0}], ids=str)
def test_the_scores_of_a_reranked_hit_add_up_to_its_score(stated):
    hits = [Hit("img2", "x", score=4.0, scores=stated), Hit("img1", "x")]
    ranking = pipeline(Returning(hits, 3)).search(queries(1), 4)[0]
    for hit in ranking.hits:
        assert math.fsum(hit.scores.values()) == (hit.score or 0.0)
        assert hit.shares == {}
    assert ranking.hits[1].scores == {}
    assert ranking.hits[1].details["first_stage"]["score"] == -1.0


def test_the_first_rank_and_the_first_scores_survive_a_cascade():
    cascade = [Returning([Hit("img3", "a", 2.0), Hit("img1", "a", 1.0)], 4), Returning([Hit("img1", "b", 5.0)], 2)]
    ranking = pipeline(*cascade).search(queries(1), 5)[0]
    assert ranking.ids == ["img1", "img3", "img0", "img2", "img4"]
    assert [hit.first_stage_rank for hit in ranking.hits] == [2, 4, 1, 3, 5]
    assert [hit.by for hit in ranking.hits] == ["b", "a", *["example_stages"] * 3]
    assert ranking.hits[0].details["first_stage"]["by"] == "example_stages"
    assert ranking.to_dict()["hits"][0]["first_stage_rank"] == 2


def test_what_a_refiner_brings_has_no_rank_in_the_first_stage():
    ranking = pipeline(BringLast()).search(queries(1), 3)[0]
    assert [hit.first_stage_rank for hit in ranking.hits] == [None, 1, 2]


def test_without_later_stages_nothing_is_said_of_ranks():
    assert pipeline().search(queries(1), 2)[0].hits[0].first_stage_rank is None


@pytest.mark.parametrize(
    ("parsed", "status", "note"),
    [
        ({}, "ok", ""),
        ({"ok": 3, "repaired": 0}, "ok", ""),
        ({"ok": 2, "repaired": 1}, "repaired", "of 3 answers 1 repaired"),
        ({"ok": 2, "repaired": 1, "partial": 1}, "partial", "of 4 answers 1 repaired, 1 partial"),
        ({"ok": 2, "failed": 1}, "partial", "of 3 answers 1 failed"),
        ({"failed": 2}, "fallback", "of 2 answers 2 failed"),
    ],
)
def test_the_status_of_a_step_follows_from_how_the_answers_could_be_read(parsed, status, note):
    returned = Reranked([Hit(name, "x") for name in ("img1", "img0", "img2")], parsed, flips=0.25)
    step = pipeline(Returning(returned, 3)).search(queries(1), 3)[0].steps[-1]
    assert (step.status, step.note, dict(step.parsed), step.flips) == (status, note, parsed, 0.25)
    assert step.tau == pytest.approx(1 / 3)
    assert step.to_dict()["parsed"] == {
        status: parsed.get(status, 0) for status in ("ok", "repaired", "partial", "failed")
    }


def test_answers_that_none_could_read_are_a_warning():
    returned = Reranked([Hit(f"img{n}", "x") for n in range(3)], {"failed": 2})
    [ranking] = pipeline(Returning(returned, 3)).search(queries(1), 3)
    assert any("could not read what the language model wrote" in warning for warning in ranking.warnings)
    returned = Reranked([Hit(f"img{n}", "x") for n in range(3)], {"failed": 1, "ok": 1})
    [ranking] = pipeline(Returning(returned, 3)).search(queries(1), 3)
    assert not ranking.warnings


def test_strict_raises_where_an_answer_had_to_be_repaired_and_not_where_it_was_read():
    def strict(parsed):
        stage = Returning(Reranked([Hit(name, "x") for name in ("img1", "img0", "img2")], parsed), 3)
        return pipeline(stage).search(queries(1), 3, on_error="strict")

    assert strict({"ok": 1})[0].steps[-1].status == "ok"
    with pytest.raises(MMRetrievalError, match="failed on query 'q0': repaired, of 1 answers 1 repaired"):
        strict({"repaired": 1})


def test_strict_raises_where_an_ask_failed():
    with pytest.raises(MMRetrievalError, match="fallback, 2 of 2 asks failed: too busy"):
        pipeline(Pointwise(), size=2, mllm=Scripted(lambda ask: Failed("too busy"))).search(
            queries(1), 2, on_error="strict"
        )


def test_no_stage_brings_a_counter_example_back():
    query = Query("q", text="soup", unlike=("img0", "img11"))
    ranking = pipeline(BringLast()).search([query], 12)[0]
    assert not {"img0", "img11"} & set(ranking.ids)
    assert [step.status for step in ranking.steps] == ["repaired", "repaired"]


def test_a_refiner_is_given_its_depth_and_its_notes_are_kept():
    class Counts(Refiner):
        depth = 9

        def refine(self, ranking, collection):
            return replace(ranking, steps=(Step(self.name, note=f"{len(ranking.hits)} hits"),))

    ranking = pipeline(Counts()).search(queries(1), 2)[0]
    assert len(ranking.hits) == 2
    assert ranking.steps[-1].note == "9 hits"


def test_a_refiner_may_bring_an_image_the_first_stage_did_not_find():
    ranking = pipeline(BringLast(), size=50).search(queries(1), 3)[0]
    assert ranking.ids == ["img49", "img0", "img1"]
    assert [(step.status, step.moved) for step in ranking.steps] == [("ok", 0), ("ok", 4)]


def test_a_refiner_cannot_bring_what_the_query_excludes_or_the_collection_lacks():
    class Inventor(Refiner):
        def refine(self, ranking, collection):
            return Ranking(ranking.query, (Hit("nobody", "x"), Hit("img5", "x"), *ranking.hits))

    query = Query("q", text="a", exclude=frozenset({"img5"}))
    ranking = pipeline(Inventor()).search([query], 3)[0]
    assert ranking.ids == ["img0", "img1", "img2"]
    assert ranking.steps[-1].status == "repaired"


def test_a_first_stage_cannot_return_what_the_query_excludes():
    class Deaf(Listing):
        def hits(self, query):
            return super().hits(Query("q", text="all"))

    collection = MemoryCollection(4)
    query = Query("q", text="a", exclude=frozenset({"img0"}), within=frozenset({"img0", "img2", "img3"}))
    ranking = Pipeline([Deaf(collection)]).search([query], 4)[0]
    assert ranking.ids == ["img2", "img3"]
    assert ranking.steps[0].status == "repaired"


def test_a_rewriter_keeps_the_id_and_every_restriction():
    class Forgetful(Rewriter):
        def rewrite(self, query):
            return Query("other", text="new", within=frozenset({"img1", "img9"}))

    query = Query("q", text="old", exclude=frozenset({"img0"}), within=frozenset({"img0", "img1", "img2"}))
    ranking = pipeline(before=[Forgetful()]).search([query], 5)[0]
    assert ranking.ids == ["img1"]
    assert ranking.query == query
    assert (ranking.steps[0].status, ranking.steps[0].note) == ("repaired", "'old' became 'new'")


def test_later_stages_see_the_rewritten_query():
    ranking = pipeline(Pointwise(), before=[Shout()]).search([Query("q", text="soup")], 3)
    expected = pipeline(Pointwise()).search([Query("q", text="SOUP")], 3)
    assert ranking[0].ids == expected[0].ids


# --- batching -----------------------------------------------------------------------------------------------------


def test_fifty_queries_through_sliding_windows_make_nine_calls_of_fifty_asks():
    mllm = Scripted(seeded_reply)
    collection = MemoryCollection(100)
    stages = [Listing(collection), Windows(depth=100, window=20, stride=10)]
    Pipeline(stages, mllm, collection).search(queries(50), 100)
    assert [len(asks) for asks in mllm.calls] == [50] * 9


def test_pointwise_over_three_queries_makes_one_call():
    mllm = Scripted(seeded_reply)
    pipeline(Pointwise(), size=10, mllm=mllm).search(queries(3), 5)
    assert [len(asks) for asks in mllm.calls] == [30]


def test_asks_go_out_in_query_order_and_each_flow_gets_its_own_replies():
    seen = {}

    class Echo(Reranker):
        needs = frozenset({Generate})

        def rerank(self, query, candidates):
            replies = yield [Generate((f"{query.id}-{number}",)) for number in range(int(query.id[1:]))]
            seen[query.id] = [reply.text for reply in replies]
            return [candidate.hit for candidate in candidates]

    mllm = Scripted(lambda ask: Text(ask.parts[0]))
    pipeline(Echo(), mllm=mllm).search(queries(4), 2)
    assert seen == {f"q{n}": [f"q{n}-{number}" for number in range(n)] for n in range(4)}
    assert [ask.parts[0] for ask in mllm.calls[0]] == ["q1-0", "q2-0", "q2-1", "q3-0", "q3-1", "q3-2"]


def test_a_round_without_asks_makes_no_call():
    class Silent(Reranker):
        needs = frozenset({Generate})

        def rerank(self, query, candidates):
            replies = yield []
            assert replies == []
            return [candidate.hit for candidate in candidates]

    mllm = Scripted(seeded_reply)
    pipeline(Silent(), mllm=mllm).search(queries(2), 2)
    assert mllm.calls == []


@given(
    count=st.integers(1, 6),
    size=st.integers(0, 15),
    depth=st.integers(1, 20),
    window=st.integers(1, 6),
    top_k=st.integers(1, 20),
)
def test_serving_all_queries_together_equals_serving_one_after_the_other(count, size, depth, window, top_k):
    stages = Shout(), Windows(depth, window, stride=max(1, window // 2)), Pointwise()

    def made():
        return pipeline(*stages[1:], size=size, before=stages[:1])

    together = made().search(queries(count), top_k)
    alone = [made().search([query], top_k)[0] for query in queries(count)]
    assert [ranking.hits for ranking in together] == [ranking.hits for ranking in alone]
    assert [costs(ranking) for ranking in together] == [costs(ranking) for ranking in alone]


def costs(ranking):
    return [(s.name, s.status, s.calls, s.cached, s.tokens, s.moved, s.note) for s in ranking.steps]


def slow_windows(query, ids, depth, window, stride):
    """The order Windows must reach, by a plain loop without any driver."""
    order, end = ids[:depth], min(depth, len(ids))
    while end > 0:
        start = max(0, end - window)
        reply = seeded_reply(Generate((f"{query.text}: " + " ".join(order[start:end]),)))
        if isinstance(reply, Text):
            wanted = [int(word) for word in reply.text.split() if int(word) < end - start]
            part = order[start:end]
            order[start:end] = [part[place] for place in dict.fromkeys([*wanted, *range(end - start)])]
        if start == 0:
            break
        end -= stride
    return order + ids[depth:]


@given(count=st.integers(1, 4), size=st.integers(1, 15), depth=st.integers(1, 16), window=st.integers(1, 6))
def test_windows_through_the_driver_equal_the_slow_twin(count, size, depth, window):
    rankings = pipeline(Windows(depth, window, stride=1), size=size).search(queries(count), size)
    ids = MemoryCollection(size).ids
    assert [r.ids for r in rankings] == [slow_windows(query, ids, depth, window, 1) for query in queries(count)]


def test_calls_cache_hits_and_tokens_are_counted_for_each_query():
    mllm = Scripted(lambda ask: Text("0", tokens=7, cached="img3" in ask.parts[0]))
    step = pipeline(Windows(depth=4, window=2, stride=2), size=4, mllm=mllm).search(queries(2), 4)[1].steps[-1]
    assert (step.calls, step.cached, step.tokens) == (1, 1, 14)


# --- garbage ------------------------------------------------------------------------------------------------------

ANY_ID = st.sampled_from([*(f"img{n}" for n in range(14)), "", "nobody"])
HITS = st.lists(st.builds(Hit, ANY_ID, st.just("x"), st.none() | st.floats()), max_size=20)
GARBAGE = HITS | st.none() | st.integers() | st.text() | st.lists(st.integers() | st.none()) | st.just({})


@given(value=GARBAGE, size=st.integers(0, 12), depth=st.integers(1, 15))
def test_whatever_a_reranker_returns_every_image_stays_exactly_once(value, size, depth):
    made = pipeline(Returning(value, depth), Backwards(), size=size)
    ranking = made.search(queries(1), 20, on_error="keep")[0]
    assert sorted(ranking.ids) == sorted(MemoryCollection(size).ids)
    assert ranking.steps[1].status in ("ok", "repaired", "partial", "fallback")


@given(
    value=st.none() | st.integers() | st.lists(st.integers(), min_size=1), on_error=st.sampled_from(["raise", "keep"])
)
def test_what_is_no_list_of_hits_is_an_error_or_a_fallback_and_never_silent(value, on_error):
    made = pipeline(Returning(value))
    if on_error == "raise":
        with pytest.raises(MMRetrievalError, match=r"failed on query 'q0': a list of hits was expected"):
            made.search(queries(1), on_error="raise")
    else:
        ranking = made.search(queries(1), on_error="keep")[0]
        assert ranking.steps[-1].status == "fallback"
        assert "a list of hits was expected" in ranking.steps[-1].note
        assert ranking.warnings[0].startswith("'test_pipeline' failed on query 'q0'")


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_one_failing_query_keeps_its_old_order_and_leaves_the_others_alone(rounds):
    rankings = pipeline(Raising("q1", rounds)).search(queries(3), 12, on_error="keep")
    backwards = MemoryCollection(12).ids[::-1]
    assert [ranking.ids for ranking in rankings] == [backwards, backwards[::-1], backwards]
    assert [ranking.steps[-1].status for ranking in rankings] == ["ok", "fallback", "ok"]
    assert rankings[1].steps[-1].note == "KeyError: 'gone'"
    assert rankings[1].warnings == (
        "'test_pipeline' failed on query 'q1': KeyError: 'gone'; the order before it was kept",
    )
    assert [ranking.warnings for ranking in rankings[::2]] == [(), ()]


def test_one_failing_query_raises_with_its_name_and_stops_the_model_calls():
    mllm = Scripted(seeded_reply)

    class Late(Raising):
        def rerank(self, query, candidates):
            if query.id == "q1":
                raise KeyError("gone")
            return (yield from super().rerank(query, candidates))

    with pytest.raises(MMRetrievalError, match=r"failed on query 'q1': KeyError: 'gone'") as caught:
        pipeline(Late("q9", rounds=2), mllm=mllm).search(queries(3))
    assert isinstance(caught.value.__cause__, KeyError)
    assert mllm.calls == []


def test_a_stopped_flow_is_closed():
    closed = []

    class Tidy(Raising):
        def rerank(self, query, candidates):
            try:
                return (yield from super().rerank(query, candidates))
            finally:
                closed.append(query.id)

    with pytest.raises(MMRetrievalError):
        pipeline(Tidy("q0", rounds=0)).search(queries(3))
    assert sorted(closed) == ["q0", "q1", "q2"]


def test_an_ask_outside_needs_is_refused():
    class Sly(Reranker):
        def rerank(self, query, candidates):
            yield [Generate(("psst",))]
            return []

    with pytest.raises(MMRetrievalError, match="asks for Generate, and its `needs` names: none"):
        pipeline(Sly()).search(queries(1))


def test_a_flow_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr(driver, "MAX_ROUNDS", 50)

    class Endless(Reranker):
        needs = frozenset({Generate})

        def rerank(self, query, candidates):
            while True:
                yield []

    ranking = pipeline(Endless()).search(queries(1), on_error="keep")[0]
    assert ranking.steps[-1].note == "no end after 50 rounds of asks"


def test_failed_asks_are_told_even_when_the_method_copes():
    mllm = Scripted(lambda ask: Failed("too busy"))
    ranking = pipeline(Windows(depth=4, window=2, stride=2), size=4, mllm=mllm).search(queries(1), 4)[0]
    assert ranking.ids == ["img0", "img1", "img2", "img3"]
    assert (ranking.steps[-1].status, ranking.steps[-1].note) == ("fallback", "2 of 2 asks failed: too busy")


@pytest.mark.parametrize(
    "reply",
    [None, Text("yes"), ChoiceScores((-1.0,)), ChoiceScores((-1.0, -2.0, -3.0))],
    ids=["nothing", "text", "too few", "too many"],
)
def test_a_reply_that_does_not_fit_its_ask_counts_as_failed(reply):
    ranking = pipeline(Pointwise(), size=2, mllm=Scripted(lambda ask: reply)).search(queries(1), 2)[0]
    assert ranking.steps[-1].status == "fallback"
    assert ranking.steps[-1].note.startswith("2 of 2 asks failed")


def test_a_model_that_loses_replies_is_an_error_that_names_it():
    class Lossy(Scripted):
        def answer(self, asks):
            return super().answer(asks)[:-1]

    with pytest.raises(MMRetrievalError, match="the model 'scripted' gave 11 replies to 12 asks"):
        pipeline(Pointwise(), mllm=Lossy(seeded_reply)).search(queries(1))


def test_a_model_that_raises_leaves_every_waiting_query_as_it_was():
    def broken(ask):
        raise ConnectionError("refused")

    rankings = pipeline(Pointwise(), mllm=Scripted(broken)).search(queries(2), on_error="keep")
    assert [ranking.steps[-1].note for ranking in rankings] == ["ConnectionError: refused"] * 2


def test_a_first_stage_that_loses_a_query_is_an_error():
    class Lossy(Listing):
        def search(self, queries, top_k):
            return super().search(queries, top_k)[1:]

    with pytest.raises(MMRetrievalError, match="returned 1 rankings for 2 queries"):
        Pipeline([Lossy(MemoryCollection(2))]).search(queries(2))


def test_an_unreadable_query_raises_as_it_is_from_the_first_stage():
    class Picky(FirstStage):
        def search(self, queries, top_k):
            raise UsageError("query 'q0' is odd")

    with pytest.raises(UsageError, match="query 'q0' is odd"):
        Pipeline([Picky()]).search(queries(1), on_error="keep")


def test_nothing_a_stage_was_given_is_changed():
    collection, query = MemoryCollection(6), Query("q", text="a")
    before = Listing(collection).search([query], 6)[0]
    copy = Ranking(before.query, tuple(before.hits), before.steps)

    class Fixed(FirstStage):
        def search(self, queries, top_k):
            return [before]

    Pipeline([Fixed(), Backwards()], None, collection).search([query], 6)
    assert before == copy


def test_every_stage_leaves_one_step_with_its_share_of_the_time():
    rankings = pipeline(Windows(), Backwards(), before=[Shout()]).search(queries(4), 3)
    for ranking in rankings:
        assert len(ranking.steps) == 4
        assert all(math.isfinite(step.seconds) and step.seconds >= 0 for step in ranking.steps)
    assert len({ranking.steps[1].seconds for ranking in rankings}) == 1


def test_a_method_may_score_choices_and_generate_in_the_same_round():
    class Both(Reranker):
        needs = frozenset({Generate, ScoreChoices})

        def rerank(self, query, candidates):
            text, scores = yield [Generate(("say",)), ScoreChoices(("pick",), ("a", "b"))]
            assert (text.text, scores.log_probs) == ("said", (-1.0, -2.0))
            return [candidate.hit for candidate in candidates]

    mllm = Scripted(lambda ask: Text("said") if isinstance(ask, Generate) else ChoiceScores((-1.0, -2.0)))
    assert pipeline(Both(), mllm=mllm).search(queries(1))[0].steps[-1].status == "ok"
