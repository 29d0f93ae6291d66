"""The driver hands every ask to the model in the form that suits it."""

import pytest
from example_stages import Scripted, seeded_reply

from mmretrieval.asks import Generate, ScoreChoices
from mmretrieval.driver import drive


def asking():
    yield [
        Generate(("a long question",), compact=("short",)),
        ScoreChoices(("the same for all",), ("yes", "no")),
    ]


@pytest.mark.parametrize(("compact", "first"), [(True, "short"), (False, "a long question")])
def test_a_small_model_is_asked_the_short_form_where_there_is_one(compact, first):
    model = Scripted(seeded_reply, compact=compact)
    drive([asking], model, frozenset({Generate, ScoreChoices}), stop_at_error=True)
    assert [ask.parts for ask in model.calls[0]] == [(first,), ("the same for all",)]
    assert all(ask.compact == () for ask in model.calls[0]), "what reaches a model has one form"
