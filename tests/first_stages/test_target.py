"""A described target against SQUARE's formula written out with NumPy, and what its share means at both ends."""

from __future__ import annotations

import numpy as np
import pytest
from example_stages import Brute, HashEncoder, MemoryCollection
from hypothesis import given
from hypothesis import strategies as st
from seeded import COLLECTION, ENCODER, PICTURE, ROWS, Seeded, assert_ranked, picture, search, text, u

from mmretrieval.errors import UsageError
from mmretrieval.first_stages._words import sentences, words_of
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.types import Part, Query

TARGET = "a red fox in the snow"
SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0])


def composed(alpha, beta, **more):
    weights = {"text": alpha, "image": 1 - alpha, "target": beta}
    return Query(text="in the snow", image=PICTURE, weights=weights, target=TARGET, **more)


def plain(words):
    return ENCODER.encode_texts([words])[0].astype(np.float64)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_the_target_is_blended_with_the_unit_vector_of_picture_and_words(alpha, beta):
    q = u((1 - beta) * u((1 - alpha) * picture() + alpha * text("in the snow")) + beta * text(TARGET))
    ranking = search(composed(alpha, beta))
    assert_ranked(ranking, ROWS @ q)
    for hit in ranking.hits:
        assert set(hit.shares) == {"image", "text", "target"}
        assert sum(hit.shares.values()) == pytest.approx(hit.score, abs=1e-5)


@pytest.mark.parametrize("compose", ["sum", "slerp", "product"])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_a_share_of_0_is_the_query_without_a_target(alpha, compose):
    bare = Query(text="in the snow", image=PICTURE, weights={"text": alpha, "image": 1 - alpha}, compose=compose)
    assert search(composed(alpha, 0.0, compose=compose)).hits == search(bare).hits


@pytest.mark.parametrize("compose", ["sum", "slerp", "product"])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_a_share_of_1_is_a_search_for_the_target_alone(alpha, compose):
    ranking, alone = search(composed(alpha, 1.0, compose=compose)), search(Query(text=TARGET))
    assert ranking.ids == alone.ids
    assert [hit.score for hit in ranking.hits] == [hit.score for hit in alone.hits]
    assert_ranked(ranking, ROWS @ plain(TARGET))


def test_the_ends_of_alpha_without_a_target_are_the_single_sources():
    assert search(composed(0.0, 0.0)).ids == search(Query(image=PICTURE)).ids
    assert search(composed(1.0, 0.0)).ids == search(Query(text="in the snow")).ids


def test_with_one_kind_alone_the_target_joins_it_in_the_way_of_that_kind():
    assert_ranked(search(composed(0.0, 0.3)), ROWS @ u(0.7 * picture() + 0.3 * text(TARGET)))
    assert_ranked(search(composed(1.0, 0.3)), ROWS @ u(0.7 * plain("in the snow") + 0.3 * plain(TARGET)))


def test_along_the_arc_the_target_joins_what_the_arc_gives():
    bare = search(Query(text="in the snow", image=PICTURE, compose="slerp"))
    of_arc = {hit.id: hit.score for hit in bare.hits}
    towards = ROWS @ text(TARGET)
    found = search(composed(0.5, 0.25, compose="slerp"))
    blended = {name: 0.75 * of_arc[name] + 0.25 * towards[at] for at, name in enumerate(COLLECTION.ids)}
    assert found.ids == sorted(COLLECTION.ids, key=lambda name: -blended[name])


def test_a_product_gives_the_target_its_share_of_the_conditions():
    query = Query(text="in the snow", image=PICTURE, compose="product", target=TARGET, weights={"target": 0.4})
    directions = [picture(), text("in the snow"), text(TARGET)]
    met = [np.maximum(0, ROWS @ d - (ROWS @ d).min()) for d in directions]
    shares = [0.3, 0.3, 0.4]
    product = np.prod([a**s for a, s in zip(met, shares, strict=True)], axis=0) ** 2
    mean = np.sum([a * s for a, s in zip(met, shares, strict=True)], axis=0)
    assert_ranked(search(query), product - 0.4 * mean**2)


def test_words_to_avoid_lead_away_from_the_whole_blend():
    q = u(0.5 * u(picture() + text("in the snow")) + 0.5 * text(TARGET)) - 0.25 * text("ice")
    query = composed(0.5, 0.5, parts=(Part(text="ice", weight=-0.25),))
    assert_ranked(search(query), ROWS @ u(q))


def test_a_target_alone_is_a_query():
    assert search(Query(target=TARGET)).ids == search(Query(text=TARGET)).ids


class ShortSighted(Seeded):
    """Reads twenty letters."""

    def too_long(self, texts):
        return [len(text) > 20 for text in texts]


def test_a_target_longer_than_the_encoder_reads_is_the_mean_of_its_sentences():
    long = "A red fox sleeps. Snow lies there! Is it night?"
    stage = Dense(ShortSighted(), COLLECTION, Exact(COLLECTION.rows()))
    query = Query(text="in the snow", image=PICTURE, target=long, weights={"target": 0.5})
    mean = u(np.mean([plain(one) for one in ("A red fox sleeps.", "Snow lies there!", "Is it night?")], axis=0))
    q = u(u(picture() + text("in the snow")) + u(mean - COLLECTION.text_mean))
    [ranking] = stage.search([query], 60)
    assert_ranked(ranking, ROWS @ q)
    assert ranking.warnings == ()  # each sentence is short enough


def test_a_sentence_that_is_too_long_is_told():
    stage = Dense(ShortSighted(), COLLECTION, Exact(COLLECTION.rows()))
    [ranking] = stage.search([Query(id="q1", target="A fox sleeps. And it sleeps on and on and on and on.")], 3)
    assert "its end was left out" in ranking.warnings[0]


def test_sentences_end_at_their_signs_and_at_lines():
    assert sentences("A fox.  Is it? Yes!\nSnow, 3.5 cm; ice") == ["A fox.", "Is it?", "Yes!", "Snow, 3.5 cm;", "ice"]
    assert sentences(" \n ") == []


@given(SHARES)
def test_the_words_of_a_query_hold_its_target_and_hold_it_alone_when_it_is_all(beta):
    query = Query(text="in the snow", image_id="img1", target=TARGET, weights={"target": beta})
    expected = {0.0: "in the snow", 1.0: TARGET}.get(beta, f"in the snow\n{TARGET}")
    assert words_of(query) == expected


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(UsageError):
        Query(text="a", target="b", weights={"target": share})


def test_queries_with_and_without_targets_are_searched_together_as_alone():
    queries = [composed(0.5, 0.5), Query(text="a dog"), composed(0.2, 1.0), Query(image=PICTURE), composed(0.3, 0.0)]
    together = Dense(ENCODER, COLLECTION, Exact(COLLECTION.rows())).search(queries, 9)
    assert [ranking.ids for ranking in together] == [search(query, 9).ids for query in queries]


def test_the_encoder_reads_no_text_twice():
    seen = []

    class Counting(HashEncoder):
        def encode_texts(self, texts):
            seen.extend(texts)
            return super().encode_texts(texts)

    collection, encoder = MemoryCollection(5), Counting()
    query = Query(text="fox", image_id="img1", target="fox", weights={"target": 0.5})
    Dense(encoder, collection, Brute(collection.rows())).search([query, query], 3)
    assert seen == ["fox"]
