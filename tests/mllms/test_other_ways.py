"""Models that cannot be used the quick way give the same answers on the slow one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_vlm import picture

from mmretrieval.asks import Attend, Failed, Generate, ScoreChoices
from mmretrieval.mllms._head import Head
from mmretrieval.mllms._serving import Serving

PROMPTS = [
    (picture(1), "does it show a red bowl of soup? yes or no"),
    (picture(2, 64, 96), "does it show rice?"),
    ("only words",),
    ("picture 1:", picture(4), "picture 2:", picture(5), "which picture shows a heron by the lake?"),
]


@pytest.fixture(scope="module")
def whole(model):
    """The model as if it took no features of pictures: its processor makes each prompt, pixels included."""
    loaded = replace(model._serving._loaded, sees=frozenset())
    return Serving(loaded, lambda _: 10**6, thinking=False, batch_tokens=16_384, keep_bytes=0)


def test_prompts_with_their_pixels_give_the_same_answers(whole, model):
    assert not whole.reuses_pictures
    assert model.reuses_pictures
    asks = [ScoreChoices(parts, ("yes", "no", "a red bowl")) for parts in PROMPTS]
    for reply, other in zip(whole.answer(asks), model.answer(asks), strict=True):
        np.testing.assert_allclose(reply.log_probs, other.log_probs, atol=1e-4)
        assert reply.tokens == other.tokens
    told = [Generate(parts, max_tokens=6) for parts in PROMPTS]
    assert whole.answer(told) == model.answer(told)


def test_attention_needs_to_know_which_tokens_are_which_picture(whole):
    (reply,) = whole.answer([Attend(PROMPTS[0])])
    assert isinstance(reply, Failed)
    assert "cannot be told apart" in reply.reason


class Bent(torch.nn.Module):
    """Bends its logits after the projection, as models with soft caps do."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.config = model.config

    def get_output_embeddings(self):
        return self.model.get_output_embeddings()

    def forward(self, **inputs):
        out = self.model(**inputs)
        out.logits = 2 * torch.tanh(out.logits / 2)
        return out


def test_logits_that_are_bent_afterwards_are_taken_as_the_model_makes_them(model):
    serving = model._serving
    (row,) = serving._rows.make([(serving._chat.render(PROMPTS[0]), [PROMPTS[0][0]])])
    wanted = [[(0, token) for token in range(0, 300, 7)]]
    straight, bent = Head(serving._loaded), Head(replace(serving._loaded, model=Bent(serving._loaded.model)))
    for head in (straight, bent):
        head.check(serving._rows.batch([row]))
    assert (straight.exact, bent.exact) == (True, False)
    inputs = serving._rows.batch([row])
    with torch.inference_mode():
        logits = serving._loaded.model(**inputs).logits[0, -1]
    for head, made in ((straight, logits), (bent, 2 * torch.tanh(logits / 2))):
        expected = torch.log_softmax(made.double(), dim=-1)[[token for _, token in wanted[0]]]
        np.testing.assert_allclose(head.log_probs(serving._rows.batch([row]), wanted)[0], expected, atol=1e-5)
