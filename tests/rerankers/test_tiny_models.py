"""Every reranker that asks, on a real model class with random weights: its numbers are the model's own."""

import pytest
from looking_models import Coloured
from ranked_runs import WORDS, run, shuffled
from tiny_vlms import write_vlm

from mmretrieval import registry
from mmretrieval.asks import ScoreChoices
from mmretrieval.mllm_names import open_mllm
from mmretrieval.prompts import fits
from mmretrieval.rerankers._odds import log_odds
from mmretrieval.rerankers._pictures import pictures
from mmretrieval.stages import Candidate


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    opened = open_mllm(str(write_vlm(tmp_path_factory.mktemp("vlm") / "fast", "fast_vlm")), device="cpu")
    yield opened
    opened.close()


def test_pointwise_orders_by_the_log_odds_of_each_question_asked_alone(model):
    collection, order = Coloured(4), shuffled(4)
    ranking, numbers = run(registry.load("rerankers", "pointwise")(alpha=1.0), model, 4, order=order)
    told = {}
    for hit in ranking.hits:
        candidate = Candidate(collection.record(hit.id), hit, collection)
        ask = fits(pictures([candidate]).image(0), WORDS.text)
        parts = ask.compact if model.compact else ask.parts
        [reply] = model.answer([ScoreChoices(parts, ask.choices)])
        told[hit.id] = log_odds(reply)
    assert {hit.id: hit.score for hit in ranking.hits} == pytest.approx(told, abs=1e-4)
    assert [hit.score for hit in ranking.hits] == sorted((hit.score for hit in ranking.hits), reverse=True)
    assert sorted(numbers) == sorted(order)


@pytest.mark.parametrize("name", ["first_token", "setwise", "groupwise"])
def test_the_others_give_an_order_and_tell_what_they_asked(model, name):
    ranking, numbers = run(registry.load("rerankers", name)(), model, 4, order=shuffled(4))
    assert sorted(numbers) == [0, 1, 2, 3]
    assert ranking.steps[-1].calls > 0
    assert ranking.steps[-1].tokens > 0
    assert "asks failed" not in ranking.steps[-1].note
