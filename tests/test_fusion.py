"""Fusion of looks and captions: the algebra, against slow twins that do it with plain matrices."""

import numpy as np
import pytest
from example_stages import Brute, HashEncoder, MemoryCollection, MemoryRows, Scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmretrieval.asks import Failed, Text
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.evaluation.fusion_sweep import sweep
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.first_stages.dense import Dense
from mmretrieval.first_stages.fused import Fused
from mmretrieval.fusion import Fusion, all_scores, early_rows
from mmretrieval.pipeline import Pipeline
from mmretrieval.rewriters.own_caption import OwnCaption
from mmretrieval.types import Query
from mmretrieval.vectors import unit_rows

SIZE, DIM = 40, 16


def units(count, seed, dim=DIM):
    return unit_rows(np.random.default_rng(seed).normal(size=(count, dim)))


class Captioned(MemoryCollection):
    """A collection with vectors for the captions of some of its records."""

    channels = frozenset({"image", "caption"})
    version = "one"

    def __init__(self, size=SIZE, has=None, seed=1, index=None):
        super().__init__(size, DIM)
        self.has = np.arange(size) if has is None else np.array(sorted(has), dtype=np.int64)
        self.index = index
        self.caption_rows = MemoryRows(units(max(size, 1), seed)[self.has])

    def rows(self, channel="image"):
        return self.caption_rows if channel == "caption" else super().rows(channel)

    def members(self, channel):
        return self.has if channel == "caption" else super().members(channel)


def fused(collection, how="late", image=0.7, caption=0.3, **more):
    return Fused(HashEncoder(), collection, Fusion(image, caption, how), **more)


def ranked(stage, *queries, top_k=SIZE):
    return stage.search(list(queries), top_k)


TEXT, OTHER = Query("t", text="a red bowl of soup"), Query("o", text="noodles")


def channel_scores(collection, text):
    """Plain inner products of the query with both channels; NaN without a caption."""
    query = HashEncoder().encode_texts([text])[0].astype(np.float64)
    image = collection.rows("image").matrix.astype(np.float64) @ query
    caption = np.full(collection.count, np.nan)
    caption[collection.has] = collection.caption_rows.matrix.astype(np.float64) @ query
    return image, caption


def in_order(collection, scores):
    return [collection.ids[at] for at in sorted(range(len(scores)), key=lambda at: (-scores[at], at))]


# The algebra


def test_the_published_bi_directional_form_changes_no_ranking():
    """Adding the query's own vector to every item adds the same to every score: 0 of 500."""
    changed = 0
    for seed in range(500):
        items, picture, caption = units(50, seed), units(1, 1000 + seed)[0], units(1, 2000 + seed)[0]
        query = 0.7 * picture + 0.3 * caption
        plain = items @ query
        both = (0.8 * items + 0.2 * picture) @ query
        changed += np.argsort(-plain, kind="stable").tolist() != np.argsort(-both, kind="stable").tolist()
    assert changed == 0


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_late_fusion_is_one_inner_product_with_the_concatenation(seed, weight):
    looks, captions, query = units(30, seed), units(30, seed + 1), units(1, seed + 2)[0]
    concatenated = np.hstack([looks, captions]) @ np.hstack([(1 - weight) * query, weight * query])
    joined = Fusion(1 - weight, weight).joined((looks @ query).astype(float), (captions @ query).astype(float))
    np.testing.assert_allclose(joined, concatenated, atol=1e-6)


@pytest.mark.parametrize("how", ["late", "standard"])
def test_scores_are_the_weighted_sum_and_rank_as_a_plain_sort_does(how):
    collection = Captioned(has=range(0, SIZE, 3))
    for ranking, text in zip(ranked(fused(collection, how), TEXT, OTHER), (TEXT.text, OTHER.text), strict=True):
        image, caption = channel_scores(collection, text)
        if how == "standard":
            image = (image - image.mean()) / image.std()
            known = caption[collection.has]
            caption = (caption - known.mean()) / known.std()
        wanted = np.where(np.isnan(caption), image, 0.7 * image + 0.3 * caption)
        assert ranking.ids == in_order(collection, wanted)
        np.testing.assert_allclose([hit.score for hit in ranking.hits], sorted(wanted, reverse=True), atol=1e-5)


def test_early_fusion_equals_late_fusion_up_to_the_length_of_each_item(tmp_path):
    collection = Captioned(has=range(0, SIZE, 2), index=tmp_path)
    rows = early_rows(collection, Fusion(0.6, 0.4, "early"))
    stage = fused(collection, "early", 0.6, 0.4, early=Brute(rows))
    image, caption = channel_scores(collection, TEXT.text)
    late = np.where(np.isnan(caption), image, 0.6 * image + 0.4 * caption)
    looks = collection.rows("image").matrix.astype(np.float64)
    lengths = np.ones(SIZE)
    lengths[collection.has] = np.linalg.norm(
        0.6 * looks[collection.has] + 0.4 * collection.caption_rows.matrix.astype(np.float64), axis=1
    )
    [ranking] = ranked(stage, TEXT)
    assert ranking.ids == in_order(collection, late / lengths)
    np.testing.assert_allclose([hit.score for hit in ranking.hits], sorted(late / lengths, reverse=True), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows.take(np.arange(SIZE)), axis=1), 1, atol=1e-3)


def test_early_rows_are_kept_and_made_anew_for_another_state_or_weight(tmp_path):
    collection = Captioned(index=tmp_path)
    first = early_rows(collection, Fusion(how="early")).take(np.arange(SIZE))
    [file] = (tmp_path / "cache" / "fused").glob("*.npy")
    collection.caption_rows = MemoryRows(units(SIZE, 99))
    np.testing.assert_array_equal(early_rows(collection, Fusion(how="early")).take(np.arange(SIZE)), first)
    collection.version = "two"
    assert not np.array_equal(early_rows(collection, Fusion(how="early")).take(np.arange(SIZE)), first)
    file.write_bytes(b"damaged")
    collection.version = "one"
    assert early_rows(collection, Fusion(how="early")).n == SIZE


def test_early_rows_of_two_models_are_refused(tmp_path):
    collection = Captioned(index=tmp_path)
    collection.caption_rows = MemoryRows(units(SIZE, 1, dim=DIM + 1))
    with pytest.raises(UsageError, match="fuse them late"):
        early_rows(collection, Fusion(how="early"))


@pytest.mark.parametrize("how", ["late", "standard"])
def test_no_weight_for_captions_is_the_plain_image_ranking(how):
    collection = Captioned(has=range(1, SIZE, 2))
    plain = Dense(HashEncoder(), collection, Brute(collection.rows())).search([TEXT, OTHER], SIZE)
    assert [r.ids for r in ranked(fused(collection, how, 1, 0), TEXT, OTHER)] == [r.ids for r in plain]


@pytest.mark.parametrize("how", ["late", "standard"])
def test_no_weight_for_looks_is_the_ranking_of_captions_alone(how):
    collection = Captioned()
    _, caption = channel_scores(collection, TEXT.text)
    assert ranked(fused(collection, how, 0, 1), TEXT)[0].ids == in_order(collection, caption)


def test_an_item_without_a_caption_scores_what_it_scores_by_its_looks_alone():
    collection = Captioned(has=range(10))
    by_looks = {hit.id: hit.score for hit in ranked(fused(collection, "late", 1, 0), TEXT)[0].hits}
    for caption in (0.1, 0.5, 1.0):
        hits = ranked(fused(collection, "late", 1 - caption, caption), TEXT)[0].hits
        alone = [hit for hit in hits if collection.ids.index(hit.id) >= 10]
        assert {hit.id: hit.score for hit in alone} == {hit.id: by_looks[hit.id] for hit in alone}
        assert [hit.id for hit in alone] == [i for i in by_looks if collection.ids.index(i) >= 10]


def test_a_collection_without_captions_is_searched_by_looks():
    collection = Captioned(has=[])
    assert ranked(fused(collection), TEXT)[0].ids == ranked(fused(collection, "late", 1, 0), TEXT)[0].ids


@pytest.mark.parametrize("how", ["late", "standard"])
def test_what_channels_and_parts_add_is_the_score(how):
    collection = Captioned(has=range(0, SIZE, 2))
    queries = [TEXT, Query("i", image_id="img3"), Query("c", text="blue", image_id="img5")]
    for ranking in ranked(fused(collection, how), *queries):
        for hit in ranking.hits:
            assert sum(hit.scores.values()) == pytest.approx(hit.score, abs=1e-9)
            assert set(hit.scores) == ({"image"} if collection.ids.index(hit.id) % 2 else {"image", "caption"})
            if how == "late":
                assert sum(hit.shares.values()) == pytest.approx(hit.scores["image"], abs=1e-6)


def test_each_query_can_have_weights_of_its_own():
    collection = Captioned()
    stage = fused(collection, choose=lambda query: Fusion(0, 1) if query.id == "t" else Fusion(1, 0))
    by_caption, by_looks = ranked(stage, TEXT, OTHER)
    assert by_caption.ids == ranked(fused(collection, "late", 0, 1), TEXT)[0].ids
    assert by_looks.ids == ranked(fused(collection, "late", 1, 0), OTHER)[0].ids


def test_captions_of_another_encoder_are_asked_with_the_words_alone():
    collection, words = Captioned(), HashEncoder()
    words.spec = "words"
    stage = fused(collection, captions=words)
    by_words, by_picture = ranked(stage, TEXT, Query("i", image_id="img3"))
    assert by_words.ids == ranked(fused(collection), TEXT)[0].ids
    assert by_picture.ids == ranked(fused(collection, "late", 1, 0), Query("i", image_id="img3"))[0].ids
    assert "it has no words" in by_picture.warnings[0]


@given(st.integers(0, 1000), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_scores_of_all_rows_are_their_inner_products(seed, count):
    rows, queries = MemoryRows(units(count, seed)), units(3, seed + 1)
    np.testing.assert_allclose(all_scores(rows, queries), queries @ rows.matrix.astype(np.float32).T, atol=1e-5)


# What is understood


def test_weights_are_read_and_made_to_sum_to_one():
    assert Fusion.parse("image=0.7,caption=0.3") == Fusion(0.7, 0.3, "late")
    assert Fusion.parse("standard:image=3, caption=1") == Fusion(0.75, 0.25, "standard")
    assert Fusion.parse("early:caption=2") == Fusion(0.0, 1.0, "early")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image",
        "image=x",
        "image=-1,caption=2",
        "image=0,caption=0",
        "bm25=1",
        "soon:image=1",
        "image=nan",
        "image=inf",
    ],
)
def test_weights_that_mean_nothing_are_refused(text):
    with pytest.raises(UsageError):
        Fusion.parse(text)


def test_a_product_cannot_be_fused():
    with pytest.raises(UsageError, match="a product cannot be fused"):
        ranked(fused(Captioned()), Query("p", text="a", image_id="img1", compose="product"))


# The query's side


def through(rewriter, query, mllm=None):
    collection = Captioned()
    return Pipeline([rewriter, fused(collection)], mllm, collection).search([query], 5)[0]


def test_a_picture_of_the_collection_is_searched_with_its_stored_caption_and_asks_nobody():
    collection = Captioned()
    query = Query("i", image_id="img3")
    stage = OwnCaption(collection, share=0.3, ask=False)
    found = Pipeline([stage, fused(collection)], None, collection).search([query], 5)[0]
    caption = collection.record("img3").caption
    by_hand = Query("i", image_id="img3", target=caption, weights={"target": 0.3})
    assert found.ids == ranked(fused(collection), by_hand, top_k=5)[0].ids
    assert found.steps[0].calls == 0
    assert caption in found.steps[0].note


def test_a_picture_from_outside_is_described_by_the_model_once():
    query = Query("f", image=Image.new("RGB", (8, 8), (9, 9, 9)))
    model = Scripted(lambda _: Text("a grey square"))
    found = through(OwnCaption(Captioned()), query, model)
    by_hand = Query("f", image=query.image, target="a grey square", weights={"target": 0.3})
    assert found.ids == ranked(fused(Captioned()), by_hand, top_k=5)[0].ids
    assert found.steps[0].calls == 1
    failed = through(OwnCaption(Captioned()), query, Scripted(lambda _: Failed("too busy")))
    assert failed.ids == ranked(fused(Captioned()), query, top_k=5)[0].ids
    assert failed.steps[0].status == "fallback"


@pytest.mark.parametrize("query", [TEXT, Query("c", text="blue", image_id="img5")], ids=["words", "composed"])
def test_words_and_changes_stay_as_they_are(query):
    found = through(OwnCaption(Captioned(), ask=False), query)
    assert found.ids == ranked(fused(Captioned()), query, top_k=5)[0].ids


# The sweep


def test_a_sweep_ranks_each_query_with_each_weight_as_a_search_does():
    collection = Captioned(has=range(0, SIZE, 2))
    rows = [QueryRow(Query(f"q{n}", text=f"soup {n}")) for n in range(12)] + [
        QueryRow(Query("c", text="x", image_id="img2"))
    ]
    qrels = {row.query.id: {f"img{(7 * n) % SIZE}": 1} for n, row in enumerate(rows)}
    measures = parse_measures("RR R@5")
    found = sweep(fused(collection), rows, qrels, measures, weights=(0.0, 0.3, 1.0))
    for at, weight in enumerate(found.weights):
        values = []
        for row in rows:
            [ranking] = ranked(fused(collection, "late", 1 - weight, weight), row.query)
            ids = [i for i in ranking.ids if i != row.query.image_id]
            values.append([measure(ids, qrels[row.query.id]) for measure in measures])
        np.testing.assert_allclose([found.means["RR"][at], found.means["R@5"][at]], np.mean(values, axis=0))
    assert found.means["RR"][found.weights.index(found.best)] == max(found.means["RR"])
    assert found.queries == 13


def test_a_sweep_without_judged_queries_is_refused():
    with pytest.raises(InvalidData, match="no query has a relevant image"):
        sweep(fused(Captioned()), [QueryRow(TEXT)], {}, parse_measures("RR"))
