"""Hybrid search by value: ranks and calibrated scores against the same thing written out slowly."""

import math

import numpy as np
import pytest
from example_stages import Brute, HashEncoder, MemoryCollection
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._evidence import DEPTH, SAMPLE
from mmretrieval.first_stages._words import A_CHANGE, NO_WORDS
from mmretrieval.first_stages.bm25 import Bm25
from mmretrieval.first_stages.dense import Dense
from mmretrieval.first_stages.hybrid import WEIGHTS, Hybrid
from mmretrieval.types import Part, Query

WORDS = ["red", "soup", "heron", "reeds", "boat", "sea"]


class Pictures(MemoryCollection):
    """Pictures with captions of a few words, sorted ids, and filters on the caption."""

    def __init__(self, size, seed=0):
        super().__init__(size, matrix=np.random.default_rng(seed).normal(size=(size, 16)) + 0.3)
        self.ids = [f"p{number:04}" for number in range(size)]
        rng = np.random.default_rng(seed + 1)
        self.captions = [" ".join(rng.choice(WORDS, rng.integers(0, 5))) for _ in range(size)]

    def matching(self, expression):
        return np.array([p for p, caption in enumerate(self.captions) if expression in caption], dtype=np.int64)


def stages(collection, **settings):
    dense = Dense(HashEncoder(), collection, Brute(collection.rows()))
    bm25 = Bm25(collection)
    return dense, bm25, Hybrid(collection, dense, bm25, **settings)


def everything(stage, query, collection):
    """The score of every record that the stage can rank, whatever the query allows."""
    [ranking] = stage.search([Query(query.id, query.text, image_id=query.image_id)], len(collection.ids))
    return {hit.id: hit.score for hit in ranking.hits}


def slow_ranks(dense, bm25, query, collection):
    scores = {}
    for stage in (dense, bm25):
        [ranking] = stage.search([query], len(collection.ids))
        for rank, name in enumerate(ranking.ids, start=1):
            scores[name] = scores.get(name, 0) + 1 / (60 + rank)
    return scores


def slow_blend(dense, bm25, query, collection, weights):
    looks, words = everything(dense, query, collection), everything(bm25, query, collection)
    n = len(collection.ids)
    sample = [looks[collection.ids[int(at)]] for at in np.linspace(0, n - 1, min(SAMPLE, n)).astype(int)]
    unit = np.std(sample) * math.sqrt(2 * math.log(n))
    full = sum(word.weight for word in collection.lexicon.words(query.text))
    return {
        name: weights["image"] * (looks[name] - np.mean(sample)) / unit
        + weights["bm25"] * (words.get(name, 0) / full if full else 0)
        for name in collection.ids
    }


def best(scores, collection, k, allowed=None):
    names = [name for name in collection.ids if name in scores and (allowed is None or name in allowed)]
    return sorted(names, key=lambda name: (-scores[name], name))[:k]


QUERIES = [Query("a", text="red heron"), Query("b", text="a boat on the sea"), Query("c", text="nothing known")]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.text)
def test_ranks_give_the_sum_of_reciprocal_ranks_of_the_whole_lists(query):
    collection = Pictures(60)
    dense, bm25, hybrid = stages(collection, method="rrf")
    slow = slow_ranks(dense, bm25, query, collection)
    [ranking] = hybrid.search([query], 60)
    assert ranking.ids == best(slow, collection, 60)
    assert [hit.score for hit in ranking.hits] == pytest.approx([slow[name] for name in ranking.ids])


def test_reciprocal_ranks_equal_a_table_by_hand():
    collection = Pictures(4)
    collection.matrix = np.eye(16, dtype=np.float32)[:4]
    collection.captions = ["heron", "", "heron heron", "sea"]
    _, _, hybrid = stages(collection)
    # each has a rank from 1 to 4 by looks; by words p2 comes first (heron twice), then p0, and no others
    [ranking] = hybrid.search([Query("q", image_id="p0000", target="heron")], 4)
    by_words = {"p0002": 1 / 61, "p0000": 1 / 62}
    by_looks = {hit.id: hit.scores["image"] for hit in ranking.hits}
    assert sorted(by_looks.values(), reverse=True) == [1 / 61, 1 / 62, 1 / 63, 1 / 64]
    assert {hit.id: hit.scores["bm25"] for hit in ranking.hits if hit.scores["bm25"]} == by_words


@pytest.mark.parametrize("image", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.text)
def test_a_blend_gives_calibrated_scores_to_every_record(query, image):
    collection = Pictures(300)
    weights = {"image": image, "bm25": 1 - image}
    dense, bm25, hybrid = stages(collection, method="blend", weights=weights)
    slow = slow_blend(dense, bm25, query, collection, weights)
    [ranking] = hybrid.search([query], 40)
    assert [hit.score for hit in ranking.hits] == pytest.approx([slow[name] for name in best(slow, collection, 40)])
    for hit in ranking.hits:
        assert sum(hit.scores.values()) == hit.score == pytest.approx(slow[hit.id])


def test_weights_of_one_and_nothing_give_either_list():
    collection = Pictures(150)
    query = Query("q", text="red heron boat")
    dense, bm25, looks = stages(collection, method="blend", weights={"image": 1, "bm25": 0})
    _, _, words = stages(collection, method="blend", weights={"image": 0, "bm25": 1})
    assert looks.search([query], 30)[0].ids == dense.search([query], 30)[0].ids
    assert words.search([query], 30)[0].ids == bm25.search([query], 30)[0].ids
    _, _, twice = stages(collection, method="blend", weights={"image": 2, "bm25": 6})
    _, _, once = stages(collection, method="blend", weights={"image": 0.25, "bm25": 0.75})
    assert twice.search([query], 30)[0] == once.search([query], 30)[0]


def test_the_exact_word_wins_through_bm25_and_the_paraphrase_through_looks():
    collection = Pictures(200)
    collection.captions[77] = "iso 9001 sticker"
    collection.matrix[33] = HashEncoder().encode_texts(["a bird of the marshes"])[0]
    for method in ("rrf", "blend"):
        _, _, hybrid = stages(collection, method=method)
        [words, looks] = hybrid.search(
            [Query("w", text="ISO 9001 sticker"), Query("l", text="a bird of the marshes")], 3
        )
        assert words.ids[0] == "p0077", method
        assert looks.ids[0] == "p0033", method


def test_true_scores_are_fetched_for_what_one_list_does_not_hold():
    """The record with the word stands far behind the depth of the dense list, and keeps its true cosine there."""
    collection = Pictures(DEPTH + 300)
    target = HashEncoder().encode_texts(["zebra"])[0]
    collection.matrix[500 - 1] = -target
    collection.captions[500 - 1] = "zebra"
    dense, bm25, hybrid = stages(collection, method="blend", weights={"image": 0.5, "bm25": 0.5})
    query = Query("q", text="zebra")
    slow = slow_blend(dense, bm25, query, collection, {"image": 0.5, "bm25": 0.5})
    hits = {hit.id: hit for hit in hybrid.search([query], DEPTH + 300)[0].hits}
    assert hits["p0499"].scores["image"] < -0.5
    assert hits["p0499"].score == pytest.approx(slow["p0499"])


@pytest.mark.parametrize("method", ["rrf", "blend"])
def test_restrictions_hold_and_do_not_change_the_score_of_a_blend(method):
    collection = Pictures(250)
    dense, bm25, hybrid = stages(collection, method=method)
    ids = frozenset(collection.ids[::3])
    free = {hit.id: hit.score for hit in hybrid.search([Query("q", text="red sea")], 250)[0].hits}
    for query, allowed in (
        (Query("q", text="red sea", within=ids), ids),
        (Query("q", text="red sea", exclude=ids), set(collection.ids) - ids),
        (Query("q", text="red sea", filter="boat"), {collection.ids[p] for p in collection.matching("boat")}),
        (Query("q", text="red sea", within=frozenset()), set()),
    ):
        [ranking] = hybrid.search([query], 20)
        assert set(ranking.ids) <= set(allowed)
        assert len(ranking.ids) == min(20, len(allowed))
        if method == "blend":
            assert ranking.ids == best(free, collection, 20, allowed)
            assert [hit.score for hit in ranking.hits] == pytest.approx([free[name] for name in ranking.ids])
        else:
            slow = slow_ranks(dense, bm25, query, collection)
            assert ranking.ids == best(slow, collection, 20)


@pytest.mark.parametrize("method", ["rrf", "blend"])
def test_many_queries_at_once_get_what_each_gets_alone(method):
    collection = Pictures(120)
    _, _, hybrid = stages(collection, method=method)
    queries = [*QUERIES, Query("i", image_id="p0003"), Query("c", text="boat", image_id="p0009")]
    together = hybrid.search(queries, 15)
    assert together == [hybrid.search([query], 15)[0] for query in queries]
    assert [ranking.query for ranking in together] == queries


@pytest.mark.parametrize("method", ["rrf", "blend"])
def test_a_query_without_words_is_a_dense_search_and_says_so(method):
    collection = Pictures(40)
    collection.matrix[1] = collection.matrix[7]  # a copy with the smaller id; still, what was asked by comes first
    dense, _, hybrid = stages(collection, method=method)
    query = Query("q", image_id="p0007")
    [ranking] = hybrid.search([query], 10)
    assert ranking.ids == dense.search([query], 10)[0].ids
    assert ranking.ids[:2] == ["p0007", "p0001"]
    assert [(step.name, step.status, step.note) for step in ranking.steps] == [("bm25", "ok", NO_WORDS)]
    assert set(ranking.hits[0].scores) == {"image"}
    assert ranking.warnings == ()


CHANGED = [
    Query("q", text="red boat", image_id="p0005"),
    Query("q", text="red boat", parts=(Part(image_id="p0005"),)),
    Query("q", image_id="p0005", parts=(Part(text="red boat"),)),
]


@pytest.mark.parametrize("query", CHANGED)
def test_by_ranks_a_picture_and_a_change_to_it_are_a_dense_search(query):
    collection = Pictures(80)
    dense, _, hybrid = stages(collection, method="rrf")
    [ranking] = hybrid.search([query], 80)
    assert ranking.ids == dense.search([query], 80)[0].ids
    assert [(step.name, step.status, step.note) for step in ranking.steps] == [("bm25", "ok", A_CHANGE)]


def words_in_a_blend(query, words, share, **settings):
    """Checks what the words add to each hit, and that the shares of the parts add up to what looks add."""
    collection = Pictures(80)
    _, bm25, hybrid = stages(collection, method="blend", **settings)
    scores = {hit.id: hit.score for hit in bm25.search([Query("w", text=words)], 80)[0].hits}
    full = bm25.full_score(Query("w", text=words))
    [ranking] = hybrid.search([query], 80)
    assert len(scores) > 10
    assert {hit.id: hit.scores["bm25"] for hit in ranking.hits} == pytest.approx(
        {name: share * scores.get(name, 0.0) / full for name in ranking.ids}
    )
    for hit in ranking.hits:
        assert sum(hit.shares.values()) == pytest.approx(hit.scores["image"], abs=1e-5)


@pytest.mark.parametrize("query", CHANGED)
def test_in_a_blend_the_words_of_a_change_weigh_a_fifth(query):
    words_in_a_blend(query, "red boat", 0.2 / 1.2)
    words_in_a_blend(query, "red boat", 0.5 * 0.8 / (0.2 + 0.5 * 0.8), change=0.5, weights={"image": 1, "bm25": 4})


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query("q", text="red boat", image_id="p0005", weights={"image": 0}), "red boat"),
        (Query("q", text="red boat", parts=(Part(image_id="p0005", weight=-0.5),)), "red boat"),
        (Query("q", text="red boat", like=("p0005",)), "red boat"),
        (Query("q", text="less red", image_id="p0005", target="a boat on the sea"), "a boat on the sea"),
    ],
)
def test_words_that_describe_what_is_sought_have_their_full_weight(query, words):
    words_in_a_blend(query, words, 0.5)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("method", ["rrf", "blend"])
def test_tiny_collections_are_searched(size, method):
    collection = Pictures(size)
    _, _, hybrid = stages(collection, method=method)
    [ranking] = hybrid.search([Query("q", text="red")], 5)
    assert sorted(ranking.ids) == collection.ids
    assert all(math.isfinite(hit.score) for hit in ranking.hits)


@given(st.permutations(range(6)), st.sampled_from(["rrf", "blend"]))
def test_the_order_of_the_queries_does_not_matter(order, method):
    collection = Pictures(30)
    _, _, hybrid = stages(collection, method=method)
    queries = [Query(word, text=word) for word in WORDS]
    expected = {ranking.query.id: ranking for ranking in hybrid.search(queries, 5)}
    for ranking in hybrid.search([queries[place] for place in order], 5):
        assert ranking == expected[ranking.query.id]


def test_fewer_hits_are_the_head_of_more():
    collection = Pictures(DEPTH + 100)
    for method in ("rrf", "blend"):
        _, _, hybrid = stages(collection, method=method)
        [most] = hybrid.search([Query("q", text="red heron")], DEPTH)
        for k in (1, 5, 50):
            assert hybrid.search([Query("q", text="red heron")], k)[0].ids == most.ids[:k]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "sum"}, "no hybrid search 'sum': choose one of: rrf, blend"),
        ({"weights": {"image": -1}}, "cannot have the weights"),
        ({"weights": {"image": float("nan")}}, "cannot have the weights"),
        ({"weights": {"image": float("inf")}}, "cannot have the weights"),
        ({"weights": {"image": 0, "bm25": 0}}, "cannot have the weights"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        stages(Pictures(3), **settings)
    assert set(WEIGHTS) == {"image", "bm25", "caption"}
