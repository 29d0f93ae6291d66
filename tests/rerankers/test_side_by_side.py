"""grid, listwise and cotrr with models that look: the best first for every length, calls as promised, no harm done."""

import math
import random

import pytest
from example_stages import Listing, Scripted, words
from looking_models import SMALL_SHEETS, Coloured, ordering, seen

from mmretrieval import registry
from mmretrieval.asks import Failed, Generate, ScoreChoices, Text
from mmretrieval.errors import UnreadableImage, UsageError
from mmretrieval.pipeline import Pipeline
from mmretrieval.rerankers._sureness import steady_share
from mmretrieval.types import Hit, Query, Ranking

WORDS = Query("q", text="a red bowl, a fork and two eggs")


def reranker(name, **settings):
    sheets = SMALL_SHEETS if name == "grid" else {}
    return registry.load("rerankers", name)(**{"depth": 200, "alpha": 1.0, **sheets, **settings})


class Drawn(Listing):
    """The collection's order, but beginning with any number."""

    def __init__(self, collection, order):
        super().__init__(collection)
        self.order = order

    def search(self, queries, top_k):
        hits = [Hit(f"img{n}", self.name, -float(rank), f"img{n}.png") for rank, n in enumerate(self.order)]
        return [Ranking(query, tuple(hits[:top_k])) for query in queries]


def run(stage, mllm, count, query=WORDS, order=None, collection=None):
    """The ranking, and the numbers of its records in order."""
    collection = collection or Coloured(max(count, 1))
    first = Drawn(collection, list(range(count)) if order is None else order)
    [ranking] = Pipeline([first, stage], mllm, collection).search([query], max(count, 1))
    return ranking, [int(hit.id.removeprefix("img")) for hit in ranking.hits]


def shuffled(count, seed=1):
    order = list(range(count))
    random.Random(f"{count}:{seed}").shuffle(order)
    return order


def asked(mllm):
    return [ask for asks in mllm.calls for ask in asks]


WAYS = {
    "grid": lambda: reranker("grid"),
    "grid of 2 x 2": lambda: reranker("grid", columns=2, rows=2),
    "grid of 5 x 3": lambda: reranker("grid", columns=5, rows=3),
    "grid, letters": lambda: reranker("grid", marks="letter"),
    "grid, overlap": lambda: reranker("grid", merge="overlap"),
    "grid, best": lambda: reranker("grid", answer="best"),
    "grid, best, overlap": lambda: reranker("grid", answer="best", merge="overlap"),
    "listwise": lambda: reranker("listwise"),
    "listwise 4, 1": lambda: reranker("listwise", window=4, stride=1),
    "cotrr": lambda: reranker("cotrr"),
    "cotrr, direct": lambda: reranker("cotrr", mode="direct"),
    "cotrr, parts": lambda: reranker("cotrr", mode="parts"),
}

ONE_LOOK = ["grid", "listwise", "cotrr", "cotrr, direct", "cotrr, parts", "grid, best", "grid, letters"]


@pytest.mark.parametrize("way", WAYS)
def test_with_an_oracle_the_best_comes_first_for_every_length(way):
    for count in [*range(40), 63, 64, 65, 97, 120]:
        stage, mllm, worth = WAYS[way](), ordering(lambda n: n - 3.5), shuffled(count)
        ranking, placed = run(stage, mllm, count, order=worth)
        assert sorted(placed) == list(range(count))
        assert placed[:1] == list(range(count))[-1:]
        step = ranking.steps[-1]
        assert step.calls <= stage.calls(count)
        assert step.status == "ok"
        assert "parts" in way or "2 x 2" in way or step.calls == stage.calls(count)


@pytest.mark.parametrize("way", ONE_LOOK)
def test_what_fits_into_one_look_is_ordered_wholly(way):
    ranking, placed = run(WAYS[way](), ordering(float), 16, order=shuffled(16))
    assert placed == list(range(16))[::-1]
    assert ranking.steps[-1].tau < 1


@pytest.mark.parametrize("way", ["grid", "listwise"])
def test_why_tells_the_place_that_the_model_gave(way):
    ranking, _ = run(reranker(way, alpha=0.5), ordering(float), 4)
    why = {hit.id: hit.why for hit in ranking.hits}
    assert [why[f"img{n}"] for n in (3, 2, 1, 0)] == [f"place {n} of 4 by the model" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("name", "settings", "count", "calls", "rounds"),
    [
        ("grid", {}, 16, 1, 1),
        ("grid", {}, 17, 3, 2),
        ("grid", {}, 30, 3, 2),
        ("grid", {}, 32, 4, 2),
        ("grid", {"merge": "overlap"}, 32, 3, 3),
        ("grid", {"orders": 3}, 16, 3, 1),
        ("grid", {"columns": 3, "rows": 3}, 100, 17, 3),
        ("listwise", {}, 20, 1, 1),
        ("listwise", {}, 100, 9, 9),
        ("listwise", {"window": 6, "stride": 3}, 20, 6, 6),
        ("listwise", {"orders": 2}, 100, 18, 9),
        ("cotrr", {}, 15, 1, 1),
        ("cotrr", {"orders": 2}, 15, 2, 1),
        ("cotrr", {"mode": "direct"}, 15, 1, 1),
        ("cotrr", {"mode": "parts"}, 15, 15 * 3, 1),
    ],
)
def test_calls_and_rounds_are_those_of_the_table(name, settings, count, calls, rounds):
    stage, mllm = reranker(name, **settings), ordering(float)
    run(stage, mllm, count, query=Query("q", text="a bowl, two eggs"))
    assert (len(asked(mllm)), len(mllm.calls)) == (calls, rounds)
    assert stage.calls(count) == (15 * 7 if "parts" in settings.values() else calls)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_asked_about_less_than_two(way, count):
    mllm = ordering(float)
    ranking, _ = run(WAYS[way](), mllm, count)
    assert asked(mllm) == []
    assert WAYS[way]().calls(count) == 0
    assert ranking.steps[-1].status == "ok"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", ["", "I cannot see any pictures.", "Error 429: too many requests", "42", "{}"])
def test_garbage_leaves_the_order_and_says_so(way, text):
    mllm = Scripted(lambda ask: Text(text) if isinstance(ask, Generate) else Failed("no answer"))
    ranking, placed = run(WAYS[way](), mllm, 20)
    assert placed == list(range(20))
    assert ranking.steps[-1].status == "fallback"


@pytest.mark.parametrize("way", [way for way in WAYS if "best" not in way and "parts" not in way])
def test_a_model_that_likes_what_it_has_leaves_the_order_with_the_usual_blend(way):
    stage = WAYS[way]()
    stage.alpha = 0.5
    mllm = Scripted(lambda ask: Text(" > ".join(f"[{n + 1}]" for n in range(len(seen(ask))))))
    if "letters" in way:
        mllm = Scripted(lambda ask: Text(" > ".join(chr(65 + n) for n in range(len(seen(ask))))))
    ranking, placed = run(stage, mllm, 20)
    assert placed == list(range(20))
    assert ranking.steps[-1].tau == 1.0


@pytest.mark.parametrize("way", WAYS)
def test_by_default_the_order_before_counts_as_much_as_the_model(way):
    assert type(WAYS[way]())().alpha == 0.5


@pytest.mark.parametrize("name", ["grid", "listwise", "cotrr"])
def test_a_model_that_prefers_first_places_is_found_out_by_two_orders(name):
    settings = {"mode": "direct"} if name == "cotrr" else {}
    given = Scripted(lambda ask: Text(" > ".join(f"[{n + 1}]" for n in range(len(seen(ask))))))
    ranking, placed = run(reranker(name, orders=2, **settings), given, 8)
    assert placed == list(range(8))
    assert ranking.steps[-1].flips == 1.0
    ranking, placed = run(reranker(name, orders=2, **settings), ordering(float), 8)
    assert placed == list(range(8))[::-1]
    assert ranking.steps[-1].flips == 0.0


@pytest.mark.parametrize("name", ["grid", "listwise", "cotrr"])
def test_a_model_that_goes_by_places_alone_moves_nothing_beside_the_order_before(name):
    """It likes the last place best: one order would turn the list round, two show that it sees nothing."""
    settings = {"mode": "direct"} if name == "cotrr" else {}
    blind = Scripted(lambda ask: Text(" > ".join(f"[{n}]" for n in range(len(seen(ask)), 0, -1))))
    ranking, placed = run(reranker(name, orders=2, alpha=0.5, **settings), blind, 6)
    assert (ranking.steps[-1].flips, placed) == (1.0, list(range(6)))
    assert "turned the answer round" in ranking.steps[-1].note
    _, believed = run(reranker(name, orders=1, alpha=0.7, **settings), blind, 6)
    assert believed == list(range(6))[::-1]


def test_the_share_falls_with_the_pairs_that_turn_round():
    assert steady_share(0.5, 0.1) == pytest.approx(0.4)
    assert steady_share(0.5, 0.0) == steady_share(0.5, None) == 0.5
    assert steady_share(0.5, 0.5) == steady_share(0.5, 0.9) == 0.0
    assert steady_share(1.0, 0.9) == 1.0  # as published


def test_a_grid_for_a_small_model_is_shown_in_two_orders_unless_told_otherwise():
    small = ordering(float)
    small.compact = True
    assert reranker("grid").suited(small).calls(16) == 2
    assert reranker("grid", orders=1).suited(small).calls(16) == reranker("grid").calls(16) == 1


@pytest.mark.parametrize("name", ["grid", "listwise", "cotrr"])
def test_several_orders_beat_one_with_a_noisy_model(name):
    def noisy(ask):
        numbers = seen(ask)
        rng = random.Random(repr(numbers))
        noise = [number + 3 * rng.gauss(0, 1) - 0.8 * at for at, number in enumerate(numbers)]
        order = sorted(range(len(numbers)), key=lambda at: -noise[at])
        return Text(" > ".join(f"[{at + 1}]" for at in order))

    def tau(orders):
        taus = []
        for seed in range(12):
            stage = reranker(name, orders=orders, **({"mode": "direct"} if name == "cotrr" else {}))
            _, placed = run(stage, Scripted(noisy), 14, order=shuffled(14, seed))
            pairs = [(a, b) for at, a in enumerate(placed) for b in placed[at + 1 :]]
            taus.append(sum(1 if a > b else -1 for a, b in pairs) / len(pairs))
        return sum(taus) / len(taus)

    assert tau(5) > tau(2) > tau(1)


class Damaged(Coloured):
    """Some of its pictures cannot be opened."""

    broken = frozenset({"img2", "img5"})

    def open_image(self, record_id):
        if record_id in self.broken:
            raise UnreadableImage(f"{record_id}.png", "truncated")
        return super().open_image(record_id)


@pytest.mark.parametrize("way", WAYS)
def test_pictures_that_cannot_be_opened_are_not_shown_and_are_not_lost(way):
    mllm = ordering(lambda n: n - 3.5)
    ranking, placed = run(WAYS[way](), mllm, 8, collection=Damaged(8))
    assert sorted(placed) == list(range(8))
    assert {2, 5} & {number for ask in asked(mllm) for number in seen(ask)} == set()
    assert "2 pictures could not be shown" in ranking.steps[-1].note
    if way in ONE_LOOK:
        assert [number for number in placed if number not in (2, 5)] == [7, 6, 4, 3, 1, 0]


@pytest.mark.parametrize("way", WAYS)
def test_a_query_that_no_model_can_be_told_keeps_its_order(way):
    mllm = ordering(float)
    ranking, placed = run(WAYS[way](), mllm, 6, query=Query("q", like=("img3",)))
    assert placed == list(range(6))
    assert asked(mllm) == []
    [*_, step] = ranking.steps
    assert "neither words nor a picture" in step.note
    assert ranking.warnings == (f"'{step.name}' left the order as it was: {step.note}",)


@pytest.mark.parametrize("way", [way for way in WAYS if "parts" not in way])
def test_a_reference_picture_is_shown_first_and_never_among_the_candidates(way):
    mllm = ordering(float)
    run(WAYS[way](), mllm, 6, query=Query("q", text="at night", image_id="img3", exclude=frozenset({"img3"})))
    assert asked(mllm)
    for ask in asked(mllm):
        assert ask.parts[0] == "reference picture:"
        assert ask.parts[1].getpixel((1, 1))[0] == 3
    assert {number for ask in asked(mllm) for number in seen(ask)} == {0, 1, 2, 4, 5}


def test_small_models_get_sheets_and_windows_of_the_size_they_have_learned():
    small = Scripted(lambda ask: Text(""), compact=True)
    for name, settings, checks in (
        ("grid", {"cell": None, "strip": None, "gap": None}, lambda ask: ask.parts[0].size == (4 * 96, 4 * 128)),
        ("listwise", {}, lambda ask: len(ask.parts) == 2 * 6 + 1),
        ("cotrr", {}, lambda ask: isinstance(ask, ScoreChoices)),
    ):
        small.calls.clear()
        run(reranker(name, **settings), small, 16)
        assert asked(small)
        assert all(checks(ask) for ask in asked(small))


def test_small_models_are_asked_for_the_best_mark_and_an_order_only_on_request():
    small = Scripted(lambda ask: Text(""), compact=True)
    run(reranker("grid"), small, 9)
    run(reranker("grid", answer="order"), small, 9)
    assert [type(ask) for ask in asked(small)] == [ScoreChoices] * 2 + [Generate] * 2  # in two orders
    assert asked(small)[0].choices == tuple("123456789")


def test_settings_given_by_hand_hold_for_small_models_too():
    small = Scripted(lambda ask: Text(""), compact=True)
    run(reranker("grid", cell=48, strip=20, gap=4), small, 4)
    assert asked(small)[0].parts[0].size == (2 * 48 + 4, 2 * 68 + 4)
    small.calls.clear()
    run(reranker("listwise", window=4), small, 6)
    assert [len(ask.parts) for ask in asked(small)] == [9, 9]
    small.calls.clear()
    run(reranker("cotrr", mode="direct"), small, 4)
    assert [type(ask) for ask in asked(small)] == [Generate]


def test_hints_are_given_only_where_they_are_wanted():
    mllm = ordering(float)
    run(reranker("listwise"), mllm, 4)
    assert "search engine" not in words(asked(mllm)[0])
    mllm = ordering(float)
    run(reranker("listwise", hints=True), mllm, 4)
    assert words(asked(mllm)[0]).count("search engine") == 4


@pytest.mark.parametrize(
    ("name", "wrong", "told"),
    [
        ("grid", {"columns": 1, "rows": 2}, "1 x 2 cells"),
        ("grid", {"orders": 0}, "0 orders"),
        ("grid", {"alpha": 1.5}, "alpha"),
        ("listwise", {"window": 4, "stride": 4}, "stride"),
        ("listwise", {"orders": 0}, "0 orders"),
        ("cotrr", {"mode": "loud"}, "no mode 'loud'"),
    ],
)
def test_senseless_settings_are_refused(name, wrong, told):
    with pytest.raises(UsageError, match=told):
        reranker(name, **wrong)


@pytest.mark.parametrize("count", [3, 17, 40])
def test_scores_of_a_hit_add_up_to_its_score(count):
    stage = reranker("grid", alpha=0.5)
    ranking, _ = run(stage, ordering(float), count, order=shuffled(count))
    for hit in ranking.hits:
        assert math.fsum(hit.scores.values()) == pytest.approx(hit.score)
        assert hit.by == "grid"
