"""Several parts, examples and operators against their formulas written out with NumPy, and what must hold for all."""

from __future__ import annotations

import numpy as np
import pytest
from example_rows import unit
from example_stages import HashEncoder, MemoryCollection
from hypothesis import given
from hypothesis import strategies as st
from seeded import (
    COLLECTION,
    DIM,
    ENCODER,
    PICTURE,
    ROWS,
    SIZE,
    arc,
    assert_ranked,
    collection_of,
    dense,
    mean,
    picture,
    search,
    stored,
    text,
    u,
)

from mmretrieval.errors import NotFound, UsageError
from mmretrieval.first_stages._product import Product
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.types import Part, Query

OPERATORS = ("sum", "slerp", "product")


def test_all_kinds_of_parts_follow_the_formula_of_the_sum():
    base = 0.8 * text("a dog") + 1.5 * picture()
    fitting = tuple(sorted(COLLECTION.ids, key=lambda name: -(ROWS[COLLECTION.ids.index(name)] @ base))[:2])
    query = Query(
        text="a dog",
        image=PICTURE,
        weights={"text": 0.8, "image": 1.5, "like": 0.6, "unlike": 0.4},
        parts=(Part(text="at night", weight=0.3), Part(text="snow", weight=-0.5), Part(image_id="img7", weight=0.7)),
        like=fitting,
        unlike=("img3",),
    )
    base = u(1.5 * picture() + 0.8 * text("a dog") + 0.3 * text("at night") + 0.7 * stored("img7"))
    q = base - 0.5 * text("snow") + 0.6 * mean(fitting) - 0.4 * mean(["img3"])
    ranking = search(query)
    assert ranking.warnings == ()
    assert_ranked(ranking, ROWS @ u(q), left_out=["img3"])


def test_words_alone_stay_as_they_are_and_marks_lead_them_on():
    raw, second = (ENCODER.encode_texts([words])[0].astype(float) for words in ("a dog", "at night"))
    assert_ranked(search(Query(text="a dog", parts=(Part(text="at night", weight=0.5),))), ROWS @ u(raw + 0.5 * second))
    avoiding = Query(text="a dog", parts=(Part(text="snow", weight=-0.5),), weights={"text": 3.0})
    assert_ranked(search(avoiding), ROWS @ u(raw - 0.5 * text("snow")))


def test_a_mark_of_next_to_no_weight_changes_next_to_nothing():
    for asked in ({"text": "a dog"}, {"text": "a dog", "image_id": "img4"}, {"like": ("img1", "img2")}):
        plain = search(Query(**asked))
        marked = search(Query(**asked, parts=(Part(text="snow", weight=-1e-7),)))
        assert marked.ids == plain.ids
        np.testing.assert_allclose([h.score for h in marked.hits], [h.score for h in plain.hits], atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_slerp_follows_its_formula(share):
    query = Query(text="a dog", image_id="img4", weights={"text": share, "image": 1 - share}, compose="slerp")
    assert_ranked(search(query), ROWS @ arc(stored("img4"), text("a dog"), share))


def test_slerp_goes_between_the_sums_of_pictures_and_of_words_and_marks_lead_it_on():
    query = Query(
        text="a dog",
        image_id="img4",
        parts=(Part(text="snow", weight=-0.5), Part(image_id="img9", weight=2.0)),
        unlike=("img3",),
        weights={"unlike": 0.25},
        compose="slerp",
    )
    aim = arc(u(stored("img4") + 2 * stored("img9")), text("a dog"), 1 / (1 + 3))
    assert_ranked(search(query), ROWS @ u(aim - 0.5 * text("snow") - 0.25 * stored("img3")), left_out=["img3"])


def product_scores(conditions, weights, penalty):
    shares = np.array(weights) / np.sum(weights)
    met = []
    for direction in conditions:
        similar = ROWS @ u(direction)
        met.append(np.maximum(0, similar - similar.min()))
    geometric = np.prod([a**w for a, w in zip(met, shares, strict=True)], axis=0)
    arithmetic = np.sum([a * w for a, w in zip(met, shares, strict=True)], axis=0)
    return geometric**2 - 4 * penalty * arithmetic**2


@pytest.mark.parametrize("penalty", [0.0, 0.1, 0.2])
def test_the_product_is_the_paper_s_for_a_picture_and_words(penalty):
    s_i, s_t = ROWS @ stored("img4"), ROWS @ text("a dog")
    s_i, s_t = s_i - s_i.min(), s_t - s_t.min()
    ranking = search(Query(text="a dog", image_id="img4", compose="product"), product=Product(penalty=penalty))
    assert_ranked(ranking, s_t * s_i - penalty * (s_t + s_i) ** 2)


def test_the_product_takes_every_part_as_a_condition_and_negative_ones_turned_round():
    query = Query(
        text="a dog",
        image_id="img4",
        weights={"text": 2.0, "unlike": 0.5},
        parts=(Part(text="snow", weight=-0.5),),
        unlike=("img3",),
        compose="product",
    )
    conditions = [stored("img4"), text("a dog"), -text("snow"), -stored("img3")]
    assert_ranked(search(query), product_scores(conditions, [1, 2, 0.5, 0.5], 0.1), left_out=["img3"])


@pytest.mark.parametrize(
    "settings", [{"penalty": 0.25}, {"penalty": -0.1}, {"penalty": np.nan}, {"expand": -1}, {"pool": 0}]
)
def test_a_product_that_would_prefer_worse_pictures_is_refused(settings):
    with pytest.raises(UsageError, match=r"below 0\.25"):
        Product(**settings)


def test_expansion_blends_a_picture_with_its_nearest():
    direction = stored("img4")
    nearest = np.argsort(-(ROWS @ direction))[:5]
    apart = ROWS[nearest] - COLLECTION.image_mean
    weights = np.exp(0.1 * np.append(apart @ direction, 1.0))
    blended = weights @ np.concatenate([apart, direction[None]]) / weights.sum()
    ranking = search(Query(text="a dog", image_id="img4", compose="product"), product=Product(expand=5))
    assert_ranked(ranking, product_scores([blended, text("a dog")], [1, 1], 0.1))


def test_projection_keeps_the_foremost_directions_of_things_against_styles():
    from importlib.resources import files

    def spread(name):
        phrases = (files("mmretrieval.first_stages") / "phrases" / f"{name}.txt").read_text("utf-8").split("\n")
        rows = ENCODER.encode_texts([phrase for phrase in phrases if phrase]).astype(float) - COLLECTION.text_mean
        return sum(np.outer(row, row) for row in rows) / (len(rows) - 1)

    values, vectors = np.linalg.eigh(0.8 * spread("things") - 0.2 * spread("styles"))
    foremost = vectors[:, np.argsort(-values)[: DIM // 3]]
    direction = foremost @ (foremost.T @ stored("img4"))
    ranking = search(Query(text="a dog", image_id="img4", compose="product"), product=Product(project=True))
    assert_ranked(ranking, product_scores([direction, text("a dog")], [1, 1], 0.1))


@pytest.mark.parametrize("compose", OPERATORS)
def test_all_weight_on_one_part_is_the_search_by_that_part(compose):
    words, alone = search(Query(text="a dog")), search(Query(image_id="img4"))
    for weights, plain in (({"text": 1, "image": 0}, words), ({"text": 0, "image": 1}, alone)):
        ranking = search(Query(text="a dog", image_id="img4", weights=weights, compose=compose))
        assert ranking.hits == plain.hits


@given(st.floats(-1, 1), st.floats(0, 1))
def test_the_arc_gives_unit_vectors_and_is_the_same_from_both_ends(cosine, share):
    from mmretrieval.vectors import arc_weights

    a, b = np.array([1.0, 0.0]), np.array([cosine, np.sqrt(1 - cosine**2)])
    first, second = arc_weights(cosine, share)
    assert (second, first) == pytest.approx(arc_weights(cosine, 1 - share))
    if np.sqrt(1 - cosine**2) > 1e-3:
        assert np.linalg.norm(first * a + second * b) == pytest.approx(1.0, abs=1e-6)
    if np.sqrt(1 - cosine**2) < 1e-5:
        assert (first, second) == (1 - share, share)


# Shares


weights = st.floats(0.1, 3)
names = st.sampled_from(COLLECTION.ids)
words = st.sampled_from(["a dog", "at night", "two cats", "snow"])


@st.composite
def queries(draw):
    compose = draw(st.sampled_from(OPERATORS))
    parts = [
        *draw(st.lists(st.builds(lambda w, t: Part(text=t, weight=w), weights, words), max_size=2)),
        *draw(st.lists(st.builds(lambda w, t: Part(text=t, weight=-w / 3), weights, words), max_size=1)),
        *draw(st.lists(st.builds(lambda w, n: Part(image_id=n, weight=w), weights, names), max_size=2)),
    ]
    return Query(
        text=draw(words),
        image_id=draw(names),
        weights={"text": draw(weights), "image": draw(weights)},
        parts=tuple(parts),
        like=tuple(draw(st.lists(names, max_size=3))),
        unlike=tuple(draw(st.lists(names, max_size=2))),
        compose=compose,
    )


@given(queries())
def test_scores_and_shares_add_up_to_the_score(query):
    try:
        ranking = search(query, 10)
    except UsageError:  # what cannot be joined has tests of its own
        return
    for hit in ranking.hits:
        assert sum(hit.scores.values()) == pytest.approx(hit.score, abs=1e-5)
        assert sum(hit.shares.values()) == pytest.approx(hit.score, abs=1e-5)
        assert hit.why
        assert "\n" not in hit.why


def test_every_part_has_a_share_of_its_own_name():
    query = Query(
        text="a dog",
        image=PICTURE,
        parts=(
            Part(text="at night"),
            Part(text="snow", weight=-0.5),
            Part(text="rain", weight=-0.5),
            Part(image_id="img7"),
        ),
        unlike=("img3",),
    )
    first = search(query).hits[0]
    assert list(first.shares) == ["image", "text", "text 2", "image 2", "minus", "minus 2", "unlike"]
    for said in ("the picture", "the words", "“at night”", "like “snow”", "a further picture", "the counter-examples"):
        assert said in first.why
    product = search(Query(text="a dog", image_id="img4", compose="product")).hits[0]
    assert set(product.shares) == {"product", "penalty"}
    assert product.why.startswith("the picture ")
    assert " × the words " in product.why


# Examples


def test_one_example_is_the_search_by_that_picture_and_several_are_their_mean():
    assert search(Query(like=("img4",))).ids == search(Query(image_id="img4")).ids
    three = ["img4", "img5", "img6"]
    aim = u(np.mean([u(ROWS[COLLECTION.ids.index(name)]) for name in three], axis=0))
    assert_ranked(search(Query(like=tuple(three))), ROWS @ aim)
    assert search(Query(like=("img4", "img4"))).hits == search(Query(like=("img4",))).hits


def test_counter_examples_never_come_back():
    ranking = search(Query(text="a dog", unlike=("img3", "img4")))
    assert not {"img3", "img4"} & set(ranking.ids)
    assert len(ranking.ids) == SIZE - 2


def test_examples_of_no_weight_change_nothing():
    plain = search(Query(text="a dog"))
    assert search(Query(text="a dog", like=("img1",), weights={"like": 0})).hits == plain.hits
    left = [hit for hit in plain.hits if hit.id != "img1"]
    assert search(Query(text="a dog", unlike=("img1",), weights={"unlike": 0})).hits == tuple(left)


def test_an_example_that_does_not_fit_the_query_is_left_out_and_named():
    ranked = search(Query(text="a dog")).ids
    fits, stranger = ranked[0], ranked[-1]
    guarded = search(Query(text="a dog", like=(fits, stranger)))
    half = search(Query(text="a dog", like=(fits,), weights={"like": 0.25}))
    assert guarded.hits == half.hits, "what is left out pulls nowhere, and the rest no harder for it"
    [warning] = guarded.warnings
    assert (
        f"1 of the 2 examples are too unlike the rest of the query and were left out, such as '{stranger}'" in warning
    )
    assert search(Query(text="a dog", like=(stranger,))).hits == search(Query(text="a dog")).hits
    assert search(Query(like=(stranger,))).ids[0] == stranger
    assert search(Query(like=(stranger,))).warnings == ()


@pytest.mark.parametrize("field", ["like", "unlike"])
def test_an_unknown_example_is_named_with_its_query(field):
    with pytest.raises(NotFound, match=r"query 'q3'.*'nobody'"):
        search(Query("q3", text="a dog", **{field: ("nobody",)}))


# What has no meaning


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (Query("q3", text="a dog", compose="slerp"), "it has only words"),
        (Query("q3", text="a dog", like=("img1",), compose="slerp"), "it has only words"),
        (Query("q3", image_id="img1", parts=(Part(image_id="img2"),), compose="slerp"), "it has only pictures"),
        (Query("q3", image_id="img1", parts=(Part(text="a", weight=-1),), compose="slerp"), "it has only pictures"),
        (Query("q3", text="a", image_id="img1", weights={"text": -1}, compose="slerp"), "cannot lead away"),
        (Query("q3", like=("img1",), compose="slerp"), "it has only examples"),
        (
            Query("q3", image_id="img1", weights={"image": -1}, parts=(Part(image_id="img1"),)),
            "cancel each other out",
        ),
    ],
)
def test_what_an_operator_cannot_join_is_refused_with_the_query_s_name(query, told):
    with pytest.raises(UsageError, match=f"query 'q3'.*{told}"):
        search(query)


# The product over collections too large to score whole


def test_the_product_of_the_nearest_alone_finds_the_same_best():
    query = Query(text="a dog", image_id="img4", compose="product")
    whole, pooled = search(query, 5), search(query, 5, product=Product(score_all=0, pool=30))
    assert pooled.hits == whole.hits
    restricted = Query(text="a dog", image_id="img4", compose="product", within=frozenset(COLLECTION.ids[::2]))
    assert search(restricted, 5, product=Product(score_all=0, pool=20)).hits == search(restricted, 5).hits


def test_fewer_hits_of_a_product_are_the_head_of_more():
    query = Query(text="a dog", image_id="img4", compose="product")
    for product in (Product(), Product(score_all=0, pool=25)):
        assert search(query, 5, product=product).hits == search(query, 20, product=product).hits[:5]


def test_products_and_sums_together_equal_each_alone():
    asked = [Query(f"q{at}", text="a dog", image_id=f"img{at}", compose=OPERATORS[at % 3]) for at in range(7)]
    assert dense().search(asked, 9) == [search(query, 9) for query in asked]


def test_an_empty_collection_gives_empty_rankings_for_every_operator():
    empty = collection_of(0)
    stage = Dense(ENCODER, empty, Exact(empty.rows()), product=Product(expand=3))
    for compose in OPERATORS:
        query = Query(text="a dog", image=PICTURE, compose=compose)
        assert stage.search([query], 3)[0].ids == []


# A world where the answers are known: pictures are a scene plus an attribute, and words name the attribute


def additive_world(scenes=150, attributes=8, dim=96, seed=4):
    """Every scene with two attributes; the query is the first picture and the words for the second attribute."""
    rng = np.random.default_rng(seed)
    common = {kind: 0.9 * u(rng.normal(size=dim)) for kind in ("image", "text")}
    scene = rng.normal(size=(scenes, dim)) / np.sqrt(dim)
    attribute = rng.normal(size=(attributes, dim)) / np.sqrt(dim)
    pairs = [rng.choice(attributes, 2, replace=False) for _ in range(scenes)]
    rows = [common["image"] + scene[n] + attribute[a] for n, pair in enumerate(pairs) for a in pair]
    matrix = unit(np.array(rows) + 0.15 * rng.normal(size=(len(rows), dim)) / np.sqrt(dim))
    said = unit(common["text"] + attribute)
    collection = MemoryCollection(len(matrix), dim, matrix)
    collection.text_mean = said.mean(axis=0)

    class Attributes(HashEncoder):
        def encode_texts(self, texts):
            return said[[int(words) for words in texts]]

    encoder = Attributes()
    encoder.dim = dim
    asked = [
        Query(f"q{n}", text=str(pair[1]), image_id=f"img{2 * n}", exclude=frozenset({f"img{2 * n}"}))
        for n, pair in enumerate(pairs)
    ]
    return collection, encoder, asked


@pytest.mark.parametrize("compose", OPERATORS)
def test_every_operator_finds_the_changed_picture_and_never_the_reference(compose):
    collection, encoder, asked = additive_world()
    stage = Dense(encoder, collection, Exact(collection.rows()))
    asked = [Query(q.id, q.text, image_id=q.image_id, exclude=q.exclude, compose=compose) for q in asked]
    found = stage.search(asked, 10)
    right = [f"img{2 * n + 1}" for n in range(len(asked))]
    assert np.mean([name in ranking.ids for name, ranking in zip(right, found, strict=True)]) >= 0.98
    assert not any(query.image_id in ranking.ids for query, ranking in zip(asked, found, strict=True))
