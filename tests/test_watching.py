"""A search that is watched: what it tells on its way, what stopping leaves, and that watching changes nothing."""

import math
from threading import Event

import pytest
from example_stages import Backwards, Listing, MemoryCollection, Pointwise, Scripted, Shout, Windows, seeded_reply
from PIL import Image

from mmretrieval.asks import Attend, Attention, ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.calls import Calls
from mmretrieval.errors import MMRetrievalError
from mmretrieval.finishing import search as search_and_finish
from mmretrieval.near_duplicates import collapse
from mmretrieval.pacing import Steps
from mmretrieval.pipeline import Pipeline
from mmretrieval.types import Query
from mmretrieval.watching import Exchange, Watch


def words_of(ask):
    return " ".join(part for part in ask.parts if isinstance(part, str))


def by_number(ask):
    """img7 fits better than img6; nothing else is said."""
    if isinstance(ask, Generate):
        return Text("")
    number = int(words_of(ask).rpartition("img")[2])
    return ChoiceScores((-1 / (1 + number), -2.0), tokens=3)


def pipeline(*later, reply=by_number, size=12, before=(), at_once=16):
    collection = MemoryCollection(size)
    model = Scripted(reply)
    model.at_once = at_once
    stages = [*before, Listing(collection), *later]
    for stage in stages:
        stage.name = type(stage).__name__.lower()  # which the file would give them if each had one
    return Pipeline(stages, Calls(model), collection)


def asked(searching):
    return sum(len(call) for call in searching.mllm.model.calls)


QUERIES = [Query("q0", text="words 0"), Query("q1", text="words 1")]


class Stopping:
    """Says stop once so many replies came, and keeps what it was told and the orders on the way."""

    def __init__(self, after=math.inf):
        self.after, self.told, self.orders, self.exchanges = after, [], [], []

    def watch(self):
        return Watch(self.tell, lambda: len(self.exchanges) >= self.after, self.exchanges.append)

    def tell(self, progress):
        self.told.append((progress.query_id, progress.stage, progress.done, progress.planned, progress.ended))
        self.orders.append([hit.id for hit in progress.order()])


def test_a_watched_search_tells_each_stage_from_its_beginning_to_its_end():
    seen = Stopping()
    pipeline(Pointwise(), before=[Shout()], size=6).search(QUERIES[:1], 4, watch=seen.watch())
    assert seen.told == [
        ("q0", "shout", 0, 1, False),
        ("q0", "shout", 1, 1, False),
        ("q0", "shout", 1, 1, True),
        ("q0", "listing", 0, 0, True),
        ("q0", "pointwise", 0, 1, False),
        ("q0", "pointwise", 2, 2, False),
        ("q0", "pointwise", 6, 6, False),
        ("q0", "pointwise", 6, 6, True),
    ]


def test_the_orders_on_the_way_go_from_that_of_before_to_the_last():
    seen = Stopping()
    [ranking] = pipeline(Pointwise(), size=6).search(QUERIES[:1], 4, watch=seen.watch())
    assert seen.orders[:2] == [["img0", "img1", "img2", "img3"]] * 2
    # one reply, for img0, then three, then six
    assert seen.orders[2:] == [
        ["img0", "img1", "img2", "img3"],
        ["img2", "img1", "img0", "img3"],
        ["img5", "img4", "img3", "img2"],
        ["img5", "img4", "img3", "img2"],
    ]
    assert ranking.ids == seen.orders[-1]


@pytest.mark.parametrize("stage", [Pointwise(), Windows(), Windows(depth=9, window=3, stride=1)])
@pytest.mark.parametrize("after", [1, 2, 5, 9, 1000])
def test_stopping_returns_the_order_that_was_told_last(stage, after):
    seen = Stopping(after)
    reply = by_number if isinstance(stage, Pointwise) else seeded_reply
    rankings = pipeline(stage, reply=reply).search(QUERIES, 8, watch=seen.watch())
    last = {query_id: ids for (query_id, *_), ids in zip(seen.told, seen.orders, strict=True)}
    during = {
        query_id: ids for (query_id, _, _, _, ended), ids in zip(seen.told, seen.orders, strict=True) if not ended
    }
    assert {ranking.query.id: ranking.ids for ranking in rankings} == last == during


@pytest.mark.parametrize("stage", [Pointwise(), Windows(), Windows(depth=9, window=3, stride=1), Backwards()])
def test_watching_changes_no_ranking(stage):
    def costs(ranking):
        return [(s.name, s.status, s.calls, s.cached, s.tokens, s.moved, s.note) for s in ranking.steps]

    reply = by_number if isinstance(stage, Pointwise) else seeded_reply
    alone = pipeline(stage, reply=reply, at_once=3).search(QUERIES, 8)
    watched = pipeline(stage, reply=reply, at_once=3).search(QUERIES, 8, watch=Stopping().watch())
    assert [ranking.hits for ranking in watched] == [ranking.hits for ranking in alone]
    assert [costs(ranking) for ranking in watched] == [costs(ranking) for ranking in alone]


def test_a_stop_in_the_middle_keeps_what_was_answered_and_says_so():
    seen = Stopping(after=3)
    searching = pipeline(Pointwise(), Backwards(), size=6)
    [ranking] = searching.search(QUERIES[:1], 6, watch=seen.watch())
    assert ranking.ids == ["img2", "img1", "img0", "img3", "img4", "img5"]
    assert asked(searching) == 3
    [_, pointwise, backwards] = ranking.steps
    assert (pointwise.status, pointwise.calls, pointwise.unanswered) == ("partial", 3, 3)
    assert pointwise.note == "3 of 6 asks failed: the search was stopped"
    assert (backwards.status, backwards.note) == ("fallback", "left out: the search was stopped")
    assert ranking.warnings == (
        "'pointwise' went without replies of the language model: the search was stopped",
        "'backwards' was left out: the search was stopped",
    )
    assert ranking.status == "partial"


def test_a_search_that_is_stopped_before_it_begins_is_that_of_the_first_stage():
    stop = Event()
    stop.set()
    searching = pipeline(Pointwise(), before=[Shout()], size=6)
    [ranking] = searching.search(QUERIES[:1], 3, watch=Watch(stop=stop.is_set))
    assert ranking.ids == ["img0", "img1", "img2"]
    assert [(step.name, step.status) for step in ranking.steps] == [
        ("shout", "fallback"),
        ("listing", "ok"),
        ("pointwise", "fallback"),
    ]
    assert asked(searching) == 0


def test_a_method_of_many_rounds_asks_nothing_more_after_the_stop():
    seen = Stopping(after=2)
    searching = pipeline(Windows(), reply=seeded_reply)
    [ranking] = searching.search(QUERIES[:1], 12, watch=seen.watch())
    assert asked(searching) == 2
    assert sorted(ranking.ids) == sorted(f"img{number}" for number in range(12))
    assert ranking.steps[-1].calls + ranking.steps[-1].cached == 2


def test_strict_takes_a_stop_for_a_failure():
    with pytest.raises(MMRetrievalError, match=r"'pointwise' failed on query 'q0'.*the search was stopped"):
        pipeline(Pointwise()).search(QUERIES, watch=Stopping(after=1).watch(), on_error="strict")
    with pytest.raises(MMRetrievalError, match=r"'pointwise' failed on query 'q0': the search was stopped"):
        pipeline(Pointwise()).search(QUERIES, watch=Watch(stop=lambda: True), on_error="strict")


def test_an_error_of_the_watcher_ends_the_search_and_is_not_taken_for_the_models():
    def broken(progress):
        if progress.done:
            raise RuntimeError("the page is gone")

    with pytest.raises(RuntimeError, match="the page is gone"):
        pipeline(Pointwise()).search(QUERIES, watch=Watch(progress=broken), on_error="keep")


def test_the_trace_holds_what_each_query_asked_as_the_model_got_it():
    exchanges = []
    searching = pipeline(Pointwise(), size=3)
    searching.mllm.compact = True
    searching.search(QUERIES, watch=Watch(trace=exchanges.append))
    assert [(e.query_id, e.stage, e.ask.parts[-1]) for e in exchanges] == [
        (query, "pointwise", f"img{number}") for query in ("q0", "q1") for number in range(3)
    ]
    assert [e.ask for e in exchanges] == [ask for call in searching.mllm.model.calls for ask in call]
    assert exchanges[0].reply == ChoiceScores((-1.0, -2.0), tokens=3)


PICTURE = Image.new("RGB", (2, 3))


@pytest.mark.parametrize(
    ("ask", "reply", "prompt", "said"),
    [
        (Generate(("Rank", PICTURE, "and", PICTURE)), Text("2 > 1"), "Rank\n[picture 1]\nand\n[picture 2]", "2 > 1"),
        (
            ScoreChoices((PICTURE, "Best?"), ("A", "B"), prefill="["),
            ChoiceScores((math.log(0.75), math.log(0.25))),
            "[picture 1]\nBest?\n[",
            "A: 0.75, B: 0.25",
        ),
        (Attend((PICTURE,)), Attention((0.125,)), "[picture 1]", "[picture 1]: 0.125"),
        (Generate(("Rank",)), Failed("it is down"), "Rank", "no answer: it is down"),
    ],
)
def test_an_exchange_can_be_read(ask, reply, prompt, said):
    exchange = Exchange("q", "stage", ask, reply)
    assert (exchange.prompt, exchange.said) == (prompt, said)
    assert exchange.pictures == tuple(part for part in ask.parts if isinstance(part, Image.Image))


class Twins(MemoryCollection):
    """Every picture is there twice."""

    def __init__(self, size):
        super().__init__(size)
        self.matrix = self.matrix[[number - number % 2 for number in range(size)]]


def test_the_orders_on_the_way_have_their_near_duplicates_folded():
    collection = Twins(12)
    searching = Pipeline([Listing(collection), Pointwise()], Calls(Scripted(by_number)), collection)
    seen = Stopping(after=3)
    [ranking] = search_and_finish(searching, collection, QUERIES[:1], 4, threshold=0.97, watch=seen.watch())
    assert seen.orders[0] == ["img0", "img2", "img4", "img6"]
    assert ranking.ids == seen.orders[-1] == ["img2", "img1", "img4", "img6"]
    assert collapse(ranking.hits, collection.vectors("image", ranking.ids), 0.97) == ranking.hits


# How much is asked between two looks


def sizes(seconds_for, most, steps):
    """The sizes of that many steps of a model that takes so long for so many."""
    pace, chosen = Steps(most), []
    for _ in range(steps):
        chosen.append(pace.size)
        pace.took(pace.size, seconds_for(pace.size))
    return chosen


def test_a_quick_model_is_soon_asked_as_much_as_it_likes():
    assert sizes(lambda count: 0.01 * count, most=10, steps=6) == [1, 2, 4, 8, 10, 10]


def test_a_server_that_answers_many_in_the_time_of_one_is_asked_many():
    assert sizes(lambda count: 5.0, most=16, steps=7) == [1, 2, 4, 8, 16, 16, 16]


def test_a_model_that_takes_seconds_an_ask_is_asked_one_by_one():
    assert sizes(lambda count: 7.0 * count, most=16, steps=5) == [1, 2, 1, 1, 1]


def test_a_model_that_gains_up_to_a_point_stays_there():
    assert sizes(lambda count: 4.0 if count <= 4 else count, most=16, steps=7) == [1, 2, 4, 8, 4, 4, 4]


def test_a_step_of_another_size_teaches_nothing():
    pace = Steps(8)
    pace.took(5, 0.001)
    assert pace.size == 1


def test_a_model_that_wants_one_at_a_time_gets_it():
    assert sizes(lambda count: 0.1, most=1, steps=3) == [1, 1, 1]
