"""Things asked for against things listed: values against a slow twin, and nothing invented where no list is."""

import itertools

import numpy as np
import pytest
from example_stages import HashEncoder, Listing, MemoryCollection, Scripted
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.asks import Failed, Text
from mmretrieval.errors import UsageError
from mmretrieval.pipeline import Pipeline
from mmretrieval.protocols import TextEncoder
from mmretrieval.rerankers._coverage import cover
from mmretrieval.rerankers._likeness import FEWEST, Likeness
from mmretrieval.rerankers._nouns import means, phrases
from mmretrieval.rerankers.ingredients import NO_LISTS, NO_THINGS, Ingredients
from mmretrieval.types import ImageRecord, Part, Query

NAMES = [("rice",), ("egg",), ("fried", "egg"), ("salmon",), ("pea",), ("bread",), ("toast",), ("heron",)]


class Toy(TextEncoder):
    """Unit rows by name; names that are not given point each in a direction of its own."""

    spec, dim, fingerprint = "toy", 64, {}

    def __init__(self, **rows):
        self.rows, self.seen = {name.replace("_", " "): row for name, row in rows.items()}, []

    def encode_texts(self, texts):
        self.seen += texts
        return np.stack([self._row(text) for text in texts]).astype(np.float32)

    def too_long(self, texts):
        return [False] * len(texts)

    def _row(self, text):
        row = np.zeros(self.dim)
        if text in self.rows:
            row[: len(self.rows[text])] = self.rows[text]
        else:
            row[10 + sum(map(ord, text)) % 54] = 1
        return row / np.linalg.norm(row)


class Larder(MemoryCollection):
    """Records with these lists; an empty one is not stored."""

    def __init__(self, lists, captions=(), metas=()):
        super().__init__(len(lists))
        self.lists, self.given, self.metas = list(lists), list(captions), list(metas)

    def features(self, record_id):
        number = self.ids.index(record_id)
        said = {"ingredients": self.lists[number], "caption": self.given[number] if self.given else ""}
        return {kind: text for kind, text in said.items() if text}

    def record(self, record_id):
        number = self.ids.index(record_id)
        return ImageRecord(record_id, f"{record_id}.png", meta=self.metas[number] if self.metas else {})


def search(lists, text="rice, egg and salmon", mllm=None, encoder=None, captions=(), metas=(), query=None, **settings):
    collection = Larder(lists, captions, metas)
    stage = Ingredients(encoder or Toy(), **{"alpha": 1.0, **settings})
    pipeline = Pipeline([Listing(collection), stage], mllm, collection)
    return pipeline.search([query or Query("q", text=text)], len(lists))[0]


def test_pictures_stand_in_the_order_of_what_they_have_of_what_is_asked():
    ranking = search(["egg", "bread", "salmon, rice, eggs", "rice, egg"])
    assert ranking.ids == ["img2", "img3", "img0", "img1"]
    assert [hit.score for hit in ranking.hits] == pytest.approx([1, 2 / 3, 1 / 3, 0])


def test_what_is_matched_and_what_is_missing_is_told():
    [hit, _] = search(["prawns, fried egg", "salmon"], "two shrimps with an egg and salmon").hits
    assert hit.details["matched"] == {"shrimp": "prawn", "egg": "fried egg"}
    assert hit.details["missing"] == ["salmon"]
    assert hit.why == "has shrimp, egg; lacks salmon"


def test_what_no_list_names_is_told_and_does_not_count():
    ranking = search(["rice", "bread"], "rice on a marble counter")
    assert [hit.details["coverage"] for hit in ranking.hits] == [1, 0]
    assert "no list names marble counter" in ranking.steps[-1].note


def test_lists_have_less_say_the_more_of_the_query_is_no_thing_of_theirs():
    lists = ["egg", "rice, bread", "rice, bread, egg"]
    of_things = search(lists, "rice, bread and egg", alpha=0.6)
    of_half = search(lists, "rice, bread and egg on a square platter, a checked tablecloth, a tall lamp", alpha=0.6)
    parts = [{hit.id: hit.scores for hit in ranking.hits} for ranking in (of_things, of_half)]
    for name in ("img0", "img1", "img2"):
        assert parts[1][name]["ingredients"] == pytest.approx(parts[0][name]["ingredients"] / 2)
        assert parts[1][name]["before"] == pytest.approx(parts[0][name]["before"] * 0.7 / 0.4)
    alone = search(lists, "rice, bread and egg on a square platter", alpha=1.0)
    assert alone.ids == ["img2", "img1", "img0"]


def test_what_is_to_be_avoided_counts_against_a_picture():
    query = Query("q", text="rice and egg", parts=(Part(text="peas", weight=-1),))
    ranking = search(["rice, egg, pea pod", "rice", "rice, egg"], query=query)
    assert ranking.ids == ["img2", "img0", "img1"]
    assert [hit.score for hit in ranking.hits] == [1, 0.5, 0.5]
    assert ranking.hits[1].details["unwanted"] == ["pea"]


def test_lists_that_are_stored_need_no_model():
    assert search(["egg", "rice, egg"]).steps[-1].calls == 0


def test_a_model_is_asked_for_the_lists_that_are_missing_and_for_no_other():
    mllm = Scripted(lambda ask: Text("rice, salmon, egg"))
    ranking = search(["egg", "", "rice, egg"], mllm=mllm)
    assert ranking.ids == ["img1", "img2", "img0"]
    assert ranking.steps[-1].calls == 1
    assert ranking.steps[-1].parsed == {"ok": 1}


def test_a_model_is_asked_the_short_question_word_by_word_when_it_is_small():
    mllm = Scripted(lambda ask: Text("rice"), compact=True)
    search(["", ""], mllm=mllm)
    assert [ask.parts[1:] for ask in mllm.calls[0]] == [("list what is in it",)] * 2


def test_with_ask_no_the_model_is_left_alone():
    mllm = Scripted(lambda ask: Text("rice"))
    ranking = search(["egg", ""], mllm=mllm, ask=False)
    assert not mllm.calls
    assert ranking.ids == ["img0", "img1"]


def test_the_last_name_of_a_list_that_was_cut_does_not_count():
    ranking = search(["", "rice"], mllm=Scripted(lambda ask: Text("egg, salm", cut=True)))
    assert ranking.hits[0].details["matched"] == {"egg": "egg"}
    assert ranking.steps[-1].parsed == {"partial": 1}


def test_a_picture_without_a_list_keeps_about_its_place_and_says_so():
    ranking = search(["rice, egg", "", "rice", "bread"], mllm=Scripted(lambda ask: Failed("the server is gone")))
    assert ranking.ids == ["img0", "img2", "img1", "img3"] or ranking.ids == ["img0", "img1", "img2", "img3"]
    assert next(hit for hit in ranking.hits if hit.id == "img1").why == "there is no list of what it shows"
    assert ranking.steps[-1].status == "fallback"
    assert "the server is gone" in ranking.steps[-1].note


def test_without_any_list_the_order_stays_and_the_cure_is_named():
    ranking = search(["", "", ""])
    assert ranking.ids == ["img0", "img1", "img2"]
    assert NO_LISTS in ranking.steps[-1].note


def test_a_query_that_names_nothing_leaves_the_order():
    ranking = search(["egg", "rice"], "with the")
    assert (ranking.ids, ranking.steps[-1].note) == (["img0", "img1"], NO_THINGS)


def test_fields_of_the_metadata_and_captions_count_where_they_are_named():
    metas = [{"species": "grey heron", "habitat": ["lake", "reed"]}, {"species": "red fox"}, {}]
    captions = ["a dog", "two ducks", "a heron flying over a pond"]
    options = {"metas": metas, "captions": captions, "text": "a heron on a lake"}
    by_fields = search(["", "", ""], of="species+habitat", **options)
    assert [hit.details.get("coverage") for hit in by_fields.hits] == [1, 0, None]
    by_captions = search(["", "", ""], of="caption", **options)
    assert by_captions.hits[0].id == "img2"
    assert by_captions.hits[0].details["matched"] == {"heron": "heron", "lake": "pond"}


def test_alike_names_count_from_the_threshold_on():
    encoder = Toy(aubergine_stew=[1.0, 0.0], ratatouille=[0.8, 0.6])
    lists = ["bread", "ratatouille"]
    near = search(lists, "aubergine stew", encoder=encoder, threshold=0.79)
    assert near.hits[0].score == pytest.approx(0.8)
    assert near.hits[0].details["matched"] == {"aubergine stew": "ratatouille"}
    assert search(lists, "aubergine stew", encoder=encoder, threshold=0.81).ids == ["img0", "img1"]
    assert search(lists, "aubergine stew", encoder=encoder, threshold=0.79, alike=False).ids == ["img0", "img1"]


def test_the_threshold_is_the_percentile_of_what_different_things_of_one_list_score():
    rng = np.random.default_rng(5)
    names = [(f"thing{letter}",) for letter in "abcdefghijklmnopqrst"]
    encoder = Toy(**{name[0]: rng.normal(size=8) for name in names})
    lists = [names[:12], names[8:], names[3:9]]
    pairs = {frozenset(pair) for own in lists for pair in itertools.combinations(own, 2)}
    assert len(pairs) >= FEWEST
    rows = {name: encoder.encode_texts([name[0]])[0].astype(float) for name in names}
    cosines = [float(rows[one] @ rows[other]) for one, other in map(tuple, pairs)]
    assert Likeness(encoder, 90).least(lists) == pytest.approx(np.percentile(cosines, 90))


def test_common_names_stand_in_where_the_lists_are_too_few():
    few = Likeness(HashEncoder(), 99).least([NAMES[:3]])
    assert few == Likeness(HashEncoder(), 99).least([])
    assert -1 <= few <= 1


@given(
    asked=st.lists(st.sampled_from(NAMES), max_size=4, unique=True),
    avoided=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    lists=st.lists(st.none() | st.lists(st.sampled_from(NAMES), max_size=4, unique=True), max_size=5),
)
def test_coverage_is_that_of_a_slow_reading(asked, avoided, lists):
    covered = cover(asked, avoided, lists)
    named = [name for own in lists if own for name in own]
    wanted = [one for one in asked if any(means(one, name) for name in named)]
    for own, found in zip(lists, covered.of, strict=True):
        if own is None:
            assert found is None
            continue
        has = [one for one in wanted if any(means(one, name) for name in own)]
        bad = [one for one in avoided if any(means(one, name) for name in own)]
        assert list(found.matched) == has
        assert list(found.missing) == [one for one in wanted if one not in has]
        assert list(found.unwanted) == bad
        assert found.share == pytest.approx((len(has) - len(bad)) / max(len(wanted), 1))
    assert list(covered.unknown) == [one for one in asked if one not in wanted]


def test_lists_are_read_as_they_are_stored():
    assert phrases("rice, grilled salmon, egg") == [("rice",), ("grilled", "salmon"), ("egg",)]


@pytest.mark.parametrize("wrong", [{"of": ""}, {"of": "list+"}, {"percentile": 20}, {"threshold": 1.5}, {"alpha": 2}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(UsageError):
        Ingredients(Toy(), **wrong)
