"""The target caption: what the model is shown, what becomes of each answer, and that without one beta is 0."""

from __future__ import annotations

import pytest
from example_stages import Brute, HashEncoder, MemoryCollection, Scripted
from PIL import Image

from mmretrieval.asks import Failed, Generate, Text
from mmretrieval.errors import UnreadableImage, UsageError
from mmretrieval.first_stages.dense import Dense
from mmretrieval.pipeline import Pipeline
from mmretrieval.rewriters.target_caption import TargetCaption
from mmretrieval.specs import make
from mmretrieval.types import TARGET_SHARE, Encoded, Query

COLLECTION = MemoryCollection(12)
COMPOSED = Query("q3", "make it blue", image_id="img4")


def dense():
    return Dense(HashEncoder(), COLLECTION, Brute(COLLECTION.rows()))


def search(reply, query=COMPOSED, *, compact=False, **settings):
    model = Scripted(reply if callable(reply) else lambda _: reply, compact=compact)
    ranking = Pipeline([TargetCaption(COLLECTION, **settings), dense()], model, COLLECTION).search([query], 12)[0]
    return ranking, model


def plain(query=COMPOSED):
    return dense().search([query], 12)[0]


def test_the_target_joins_the_query_with_its_share():
    ranking, _ = search(Text("A blue soup in a bowl.", tokens=9), beta=0.3)
    expected = plain(
        Query("q3", "make it blue", image_id="img4", target="A blue soup in a bowl.", weights={"target": 0.3})
    )
    assert ranking.hits == expected.hits
    assert ranking.hits != plain().hits
    step = ranking.steps[0]
    assert (step.name, step.status, step.calls, step.tokens) == ("target_caption", "ok", 1, 9)
    assert step.note == "target: A blue soup in a bowl."
    assert step.parsed == {"ok": 1}
    assert ranking.query == COMPOSED


def test_one_ask_shows_the_picture_and_the_change_together():
    _, model = search(Text("a soup"))
    [[ask]] = model.calls
    assert isinstance(ask, Generate)
    picture, words = ask.parts
    assert picture.tobytes() == COLLECTION.open_image("img4").tobytes()
    assert "make it blue" in words


def test_a_small_model_gets_the_short_question():
    _, model = search(Text("a soup"), compact=True)
    assert model.calls[0][0].parts[1] == "describe it after this change: make it blue"


@pytest.mark.parametrize(
    ("reply", "note"),
    [
        (Failed("too busy"), "beta is 0; 1 of 1 asks failed: too busy"),
        (Text("I'm sorry, but I cannot help with that."), "refused"),
        (Text(""), "the model described nothing; beta is 0"),
        (Text("  \n\t "), "the model described nothing; beta is 0"),
        (Text("<think>hm, a picture"), "the model described nothing; beta is 0"),
        (Text("42, 43"), "the model described nothing; beta is 0"),
    ],
    ids=["failed", "refusal", "empty", "blank", "only thoughts", "no words"],
)
def test_without_a_description_the_ranking_is_exactly_that_of_beta_0_and_the_step_says_why(reply, note):
    ranking, _ = search(reply)
    assert ranking.hits == plain().hits == search(Text("unused"), beta=0.0)[0].hits
    assert ranking.steps[0].status == "fallback"
    assert note in ranking.steps[0].note


def test_beta_0_asks_nothing():
    ranking, model = search(Text("a soup"), beta=0.0)
    assert model.calls == []
    assert (ranking.steps[0].status, ranking.steps[0].calls) == ("ok", 0)
    assert TargetCaption(COLLECTION, beta=0.0).calls(0) == 0
    assert Pipeline([TargetCaption(COLLECTION, beta=0.0), dense()], None, COLLECTION).search([COMPOSED], 12)
    assert TargetCaption(COLLECTION).calls(0) == 1


def test_beta_1_is_a_search_for_the_description_alone():
    ranking, _ = search(Text("“A blue soup.”"), beta=1.0)
    assert ranking.ids == plain(Query(text="A blue soup.")).ids


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_alpha_shares_the_rest_between_words_and_picture(alpha):
    weights = {"text": alpha, "image": 1 - alpha}
    expected = plain(Query("q", "make it blue", image_id="img4", weights=weights))
    assert search(Failed("no"), alpha=alpha)[0].hits == expected.hits


def test_at_its_ends_alpha_is_the_single_sources():
    assert search(Failed("no"), alpha=0.0)[0].ids == plain(Query(image_id="img4")).ids
    assert search(Failed("no"), alpha=1.0)[0].ids == plain(Query(text="make it blue")).ids


def test_weights_of_the_query_stand_above_alpha():
    query = Query("q", "make it blue", image_id="img4", weights={"text": 0.9, "image": 0.1})
    assert search(Failed("no"), query, alpha=0.2)[0].hits == plain(query).hits


@pytest.mark.parametrize("query", [Query(text="a soup"), Query(image_id="img2")], ids=["words", "picture"])
def test_other_queries_stay_as_they_are_and_cost_nothing(query):
    ranking, model = search(Text("a boat"), query)
    assert ranking.hits == plain(query).hits
    assert model.calls == []
    assert ranking.steps[0].status == "ok"


def test_a_picture_that_is_only_a_vector_cannot_be_shown_and_that_is_told():
    query = Query("q", "make it blue", image=Encoded(tuple(COLLECTION.matrix[3].tolist())))
    ranking, model = search(Text("a boat"), query)
    assert ranking.hits == plain(query).hits
    assert model.calls == []
    assert ranking.steps[0].status == "fallback"
    assert "only a vector" in ranking.steps[0].note


def test_a_picture_from_outside_is_shown_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    Image.new("RGB", (6, 3), "red").save(tmp_path / "a.jpg", exif=exif)
    _, model = search(Text("a boat"), Query("q", "make it blue", image=tmp_path / "a.jpg"))
    assert model.calls[0][0].parts[0].size == (3, 6)


def test_a_broken_picture_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    rewriter = TargetCaption(COLLECTION)
    with pytest.raises(UnreadableImage, match=r"a\.png"):
        next(rewriter.rewrite(Query("q", "make it blue", image=tmp_path / "a.png")))


def test_a_description_that_was_cut_off_is_used_and_told():
    step = search(Text("A blue soup in a", cut=True))[0].steps[0]
    assert (step.status, step.parsed) == ("partial", {"partial": 1})


def test_many_queries_are_asked_in_one_call():
    model = Scripted(lambda ask: Text(f"answer to {ask.parts[1][-30:]}"))
    pipeline = Pipeline([TargetCaption(COLLECTION), dense()], model, COLLECTION)
    pipeline.search([Query(f"q{n}", f"make it {n}", image_id=f"img{n}") for n in range(5)], 3)
    assert [len(call) for call in model.calls] == [5]


def test_it_is_made_from_words_with_its_defaults():
    rewriter = make("rewriters", "target_caption:beta=0.2,alpha=0.7", collection=COLLECTION)
    assert (rewriter.beta, rewriter.alpha) == (0.2, 0.7)
    assert make("rewriters", "target-caption", collection=COLLECTION).beta == TARGET_SHARE


@pytest.mark.parametrize("setting", ["beta=1.5", "beta=-0.1", "alpha=2", "beta=nan"])
def test_shares_outside_0_to_1_are_refused(setting):
    with pytest.raises(UsageError, match="from 0 to 1"):
        make("rewriters", f"target_caption:{setting}", collection=COLLECTION)
