"""The cutoff: what it learns by hand, what it lets through, what it refuses, and that it is off unless asked for."""

import numpy as np
import pytest
from example_rows import random_unit, unit
from example_stages import Backwards, Brute, MemoryCollection

from mmretrieval.cutoff import FEWEST, STRICTNESS, Cutoff, Unrelated
from mmretrieval.errors import UsageError
from mmretrieval.first_stages.dense import Dense
from mmretrieval.near_duplicates import THRESHOLD
from mmretrieval.pipeline import Pipeline
from mmretrieval.protocols import Encoder
from mmretrieval.searcher import Searcher
from mmretrieval.stages import FirstStage
from mmretrieval.stand_ins import StandIns
from mmretrieval.types import ImageRecord, Part, Query, Ranking

DIM = 32
COUNT = 60


class Topics(Encoder):
    """The text "topic 7 x" lies near the seventh of some directions; anything else lies anywhere."""

    spec, dim, input_size = "topics", DIM, 8
    fingerprint = {"encoder": "topics"}  # noqa: RUF012

    def __init__(self):
        self.directions = random_unit(200, DIM, 1)
        self.texts = 0

    def encode_images(self, images):
        raise NotImplementedError("pictures are asked for by id here")

    def encode_texts(self, texts):
        self.texts += len(texts)
        return np.stack([self._one(text) for text in texts])

    def too_long(self, texts):
        return [False] * len(texts)

    def _one(self, text):
        rng = np.random.default_rng([ord(letter) for letter in text])
        words = text.split()
        if words[0] != "topic":
            return unit(rng.normal(size=(1, DIM)))[0]
        return unit((self.directions[int(words[1])] + rng.normal(size=DIM) * 0.08)[None])[0]


class Topical(MemoryCollection):
    """One record per topic, with its caption, and near-copies of the first few."""

    def __init__(self, captions=True, count=COUNT, copies=0):
        rows = random_unit(200, DIM, 1)[:count] + np.random.default_rng(2).normal(size=(count, DIM)) * 0.05
        super().__init__(count + copies, matrix=np.concatenate([rows, rows[:copies] * 1.0]))
        self.has_captions = captions
        self.text_mean = np.zeros(DIM, np.float32)

    def record(self, record_id):
        found = super().record(record_id)
        return ImageRecord(found.id, found.path, f"topic {found.id[3:]} caption" if self.has_captions else "")

    def matching(self, expression):
        assert expression == "few"
        return np.arange(5)


def opened(collection, *later):
    encoder = Topics()
    dense = Dense(encoder, collection, Brute(collection.rows()))
    return encoder, Searcher(collection, Pipeline([dense, *later], collection=collection))


def test_what_is_there_is_kept_and_what_is_not_there_is_told():
    _, searcher = opened(Topical())
    found = [searcher.search(f"topic {number} sought", cutoff=True) for number in range(40)]
    assert sum(f"img{number}" in ranking.ids for number, ranking in enumerate(found)) >= 36
    absent = [searcher.search(f"topic {number} sought", cutoff=True) for number in range(100, 140)]
    empty = [ranking for ranking in absent if not ranking.hits]
    assert len(empty) >= 24
    for ranking in empty:
        [warning] = ranking.warnings
        assert "nothing matches: the best picture scores " in warning
        assert [step.name for step in ranking.steps] == ["dense", "cutoff"]
        assert ranking.steps[1].note.startswith("0 of 10 hits reach ")


def test_the_floor_is_the_quantile_of_what_scores_best_without_what_belongs():
    collection = Topical()
    encoder, searcher = opened(collection)
    rows = collection.rows().take(np.arange(COUNT)).astype(np.float64)
    best = []
    for at in range(COUNT):
        scores = rows @ encoder.encode_texts([collection.record(f"img{at}").caption])[0].astype(np.float64)
        near = rows @ rows[at] >= THRESHOLD
        best.append(max(score for place, score in enumerate(scores) if place != at and not near[place]))
    unrelated = Unrelated(searcher.pipeline.first_stage, collection)
    np.testing.assert_allclose(unrelated.best_scores(Query(text="anything")), np.sort(best), atol=1e-6)
    for strictness in (0.5, STRICTNESS, 0.9):
        floor = Cutoff(unrelated, strictness).floor(Query(text="another"))
        assert floor == pytest.approx(np.quantile(best, strictness), abs=1e-6)


def test_hits_are_kept_exactly_from_the_floor_on():
    _, searcher = opened(Topical())
    whole = searcher.search("topic 3 sought", top_k=COUNT)
    floor = searcher._cutoff(0.5).floor(whole.query)
    cut = searcher.search("topic 3 sought", top_k=COUNT, cutoff=0.5)
    assert cut.hits == tuple(hit for hit in whole.hits if hit.score >= floor)
    assert 0 < len(cut.hits) < COUNT


def test_copies_of_a_picture_do_not_make_the_cutoff_stricter():
    floors = []
    for copies in (0, 30):
        collection = Topical(copies=copies)
        _, searcher = opened(collection)
        floors.append(searcher._cutoff(STRICTNESS).floor(Query(text="anything")))
    assert floors[1] == pytest.approx(floors[0], abs=0.05)
    assert floors[1] < THRESHOLD - 0.1


QUERIES = [
    Query(text="snow"),
    Query(image_id="img3"),
    Query(text="but in snow", image_id="img3", weights={"text": 0.4}),
    Query(text="but in snow", image_id="img3", compose="slerp"),
    Query(text="snow", parts=(Part(text="rain", weight=-0.5), Part(image_id="img4", weight=0.3))),
    Query(like=("img1", "img2"), unlike=("img9",)),
    Query(text="but in snow", image_id="img3", target="a dog in snow", weights={"target": 0.3}),
]


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_stand_ins_are_made_like_the_query_and_know_what_they_are_made_of(query):
    collection = Topical()
    _, searcher = opened(collection)
    made = StandIns(searcher.pipeline.first_stage, collection).of(query)
    assert len(made) == COUNT
    for one, made_of in [(stand_in.query, set(stand_in.made_of)) for stand_in in made]:
        assert (one.weights, one.compose, len(one.like), len(one.unlike)) == (
            query.weights, query.compose, len(query.like), len(query.unlike),
        )  # fmt: skip
        assert (one.image_id is None, bool(one.text)) == (query.image_id is None, bool(query.text))
        assert [(bool(p.text), p.weight) for p in one.parts] == [(bool(p.text), p.weight) for p in query.parts]
        used = {one.image_id, *one.like, *(p.image_id for p in one.parts if p.weight > 0)} - {None}
        assert bool(one.target) == bool(query.target)
        texts = [one.text, one.target, *(p.text for p in one.parts if p.weight > 0)]
        used |= {f"img{text.split()[1]}" for text in texts if text}
        assert used == made_of
        assert one.exclude == query.exclude
        assert len(used) == sum(map(bool, texts)) + (one.image_id is not None) + len(one.like) + sum(
            p.image_id is not None and p.weight > 0 for p in one.parts
        )
    assert searcher._cutoff(STRICTNESS).floor(query) is not None


def test_without_captions_neutral_sentences_are_the_words():
    collection = Topical(captions=False)
    _, searcher = opened(collection)
    made = StandIns(searcher.pipeline.first_stage, collection).of(Query(text="snow"))
    assert len({one.query.text for one in made}) > 10
    assert searcher.search("topic 3 sought", cutoff=True).ids[0] == "img3"


def test_a_kind_of_query_is_learned_once():
    encoder, searcher = opened(Topical())
    searcher.search("topic 3 sought", cutoff=True)
    before = encoder.texts
    searcher.search_all([Query(f"q{n}", f"topic {n}", exclude=frozenset({"img1"})) for n in range(5)], cutoff=0.9)
    assert encoder.texts == before + 5


def test_scores_of_a_reranker_are_not_what_is_cut():
    _, plain = opened(Topical())
    _, turned = opened(Topical(), Backwards())
    kept = plain.search("topic 3 sought", top_k=20, cutoff=0.5).ids
    assert turned.search("topic 3 sought", top_k=20, cutoff=0.5).ids == kept[::-1]


def test_where_too_little_is_left_to_learn_from_nothing_is_cut():
    _, small = opened(Topical(count=FEWEST - 1))
    ranking = small.search("topic 100 sought", cutoff=True)
    assert len(ranking.hits) == 10
    assert "too few pictures to tell" in ranking.warnings[0]
    assert ranking.steps[-1].status == "fallback"


@pytest.mark.parametrize("marks", ["like", "unlike", "parts"])
def test_a_query_with_more_parts_than_a_small_collection_can_stand_in_for_is_not_cut(marks):
    _, searcher = opened(Topical(count=6))
    ids = tuple(searcher.ids)
    given = tuple(Part(image_id=one, weight=0.1) for one in ids * 2) if marks == "parts" else ids[:5]
    query = Query(text="topic 3 words", **{marks: given})
    whole, cut = searcher.search(query, top_k=6), searcher.search(query, top_k=6, cutoff=True)
    assert cut.ids == whole.ids
    assert any("cut" in warning for warning in cut.warnings)


def test_a_filter_makes_a_cutoff_of_its_own():
    _, searcher = opened(Topical())
    floors = [searcher._cutoff(STRICTNESS).floor(Query(text="snow", filter=text)) for text in ("", "few")]
    assert floors[1] < floors[0]  # the best of five is worse than the best of sixty


class Ranks(FirstStage):
    """A first stage whose scores are ranks."""

    scores_compare_queries = False

    def search(self, queries, top_k):
        return [Ranking(query) for query in queries]


def test_a_first_stage_whose_scores_mean_nothing_beyond_their_query_is_refused():
    collection = Topical()
    searcher = Searcher(collection, Pipeline([Ranks()], collection=collection))
    assert searcher.search("snow").ids == []
    with pytest.raises(UsageError, match="there is no cutoff for 'test_cutoff'"):
        searcher.search("snow", cutoff=True)


@pytest.mark.parametrize("strictness", [0.0, 1.0, -1.0, float("nan")])
def test_a_strictness_outside_its_range_is_refused(strictness):
    _, searcher = opened(Topical())
    with pytest.raises(UsageError, match="strictness"):
        searcher.search("snow", cutoff=strictness)
