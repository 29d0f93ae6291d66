"""Any model back end: one reply per ask, in order, and a failure is a reply too."""

import pytest
from PIL import Image

from mmretrieval.asks import Attend, Attention, ChoiceScores, Failed, Generate, ScoreChoices, Text

PICTURE = Image.new("RGB", (32, 32), (200, 30, 30))
ASKS = {
    Generate: (Generate(("Name one colour.", PICTURE), max_tokens=8), Text),
    ScoreChoices: (ScoreChoices(("Is it red?", PICTURE), ("yes", "no")), ChoiceScores),
    Attend: (Attend(("Where is red?", PICTURE)), Attention),
}


@pytest.fixture
def mllm(make):
    model = make()
    yield model
    model.close()


def test_it_has_a_name_and_says_what_it_answers(mllm):
    assert mllm.spec
    assert mllm.answers
    assert set(mllm.answers) <= set(ASKS)


def test_no_asks_get_no_replies(mllm):
    assert mllm.answer([]) == []


def test_each_ask_gets_a_reply_of_its_kind_in_order(mllm):
    kinds = sorted(mllm.answers, key=lambda kind: kind.__name__)
    replies = mllm.answer([ASKS[kind][0] for kind in kinds] * 2)
    assert len(replies) == 2 * len(kinds)
    for kind, reply in zip(kinds * 2, replies, strict=True):
        assert isinstance(reply, (ASKS[kind][1], Failed))
        if isinstance(reply, ChoiceScores):
            assert len(reply.log_probs) == 2
        if isinstance(reply, Attention):
            assert len(reply.masses) == 1


def test_the_same_ask_gets_the_same_reply(mllm):
    kind = min(mllm.answers, key=lambda kind: kind.__name__)
    first, second = (mllm.answer([ASKS[kind][0]])[0] for _ in range(2))
    if isinstance(first, Text):
        assert first.text == second.text
    else:
        assert first == second
