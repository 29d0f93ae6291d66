"""Any rewriter: a query comes back, whatever the model says, and nothing the user asked for is lost."""

import pytest
from example_stages import Listing, MemoryCollection, Scripted, seeded_reply

from mmretrieval.asks import ChoiceScores, Failed, ScoreChoices, Text
from mmretrieval.pipeline import Pipeline
from mmretrieval.stages import Rewriter
from mmretrieval.types import Query

QUERY = Query("q7", text="a red bowl of soup", exclude=frozenset({"img1"}))


def search(rewriter, reply, query=QUERY):
    collection = MemoryCollection(4)
    return Pipeline([rewriter, Listing(collection)], Scripted(reply), collection).search([query], 4)[0]


def test_it_is_a_rewriter_that_says_what_it_does(subject):
    assert issubclass(subject, Rewriter)
    assert (subject.__doc__ or "").strip()


def test_the_query_keeps_its_id_and_its_exclusions(make):
    ranking = search(make(), seeded_reply)
    assert ranking.query == QUERY
    assert ranking.ids == ["img0", "img2", "img3"]
    assert ranking.steps[0].status in ("ok", "fallback")


@pytest.mark.parametrize("text", ["", "   ", "{}", "[1, 2", "a" * 5000, "\x00\n"], ids=repr)
def test_senseless_replies_leave_a_query_that_can_be_searched(make, text):
    def reply(ask):
        return ChoiceScores((float("nan"),) * len(ask.choices)) if isinstance(ask, ScoreChoices) else Text(text)

    assert search(make(), reply).steps[0].status in ("ok", "partial", "fallback")


def test_a_failed_ask_is_told(make):
    step = search(make(), lambda ask: Failed("too busy")).steps[0]
    assert step.status == ("fallback" if step.calls else "ok")


def test_the_same_replies_give_the_same_query(make):
    assert search(make(), seeded_reply).steps[0].note == search(make(), seeded_reply).steps[0].note
