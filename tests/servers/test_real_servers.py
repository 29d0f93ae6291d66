"""Real servers on loopback, serving the very weights that are loaded here: both have to say the same."""

import json
import math
import signal

import httpx
import pytest
import real_servers
from PIL import Image, ImageDraw

from mmretrieval.asks import ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.mllm_names import open_mllm
from mmretrieval.mllms._openai_answers import next_tokens
from mmretrieval.mllms._openai_messages import messages
from mmretrieval.mllms._openai_scoring import among
from mmretrieval.sheet import sheet

pytestmark = pytest.mark.servers

SCHEMA = {
    "type": "object",
    "properties": {"grade": {"enum": [1, 2, 3]}},
    "required": ["grade"],
    "additionalProperties": False,
}
WORDS = ("a red bowl", "two herons on the left", "rice and salmon", "a fox in the snow", "green tea", "an owl")


def drawn(number, size=(96, 96)):
    """One of many pictures that differ."""
    picture = Image.new("RGB", size, (40 * number % 256, 90, 255 - 30 * number % 256))
    ImageDraw.Draw(picture).ellipse([10 + number, 20, 60, 50 + 3 * number], fill=(230, 200 - 20 * number % 200, 20))
    return picture


WHETHER = [ScoreChoices((drawn(n), f"does it show {w}? yes or no"), ("yes", "no")) for n, w in enumerate(WORDS)]
WIDE = ScoreChoices((drawn(3, (192, 96)), "does it show a red fox? yes or no"), ("yes", "no"))
WHICH = ScoreChoices(
    (*(part for n in range(1, 5) for part in (f"picture {n}:", drawn(n))), "which picture shows a fox?"),
    ("1", "2", "3", "4"),
)
DESCRIBE = [Generate((drawn(number), "describe the picture"), max_tokens=30) for number in range(3)]


def opened(address):
    return open_mllm(f"openai:{address}?compact=yes")


@pytest.fixture(scope="module")
def serve(folder, tmp_path_factory):
    with real_servers.transformers_serve(folder, tmp_path_factory.mktemp("serve") / "log") as (_, address):
        model = opened(address)
        yield model
        model.close()


def order(reply):
    assert isinstance(reply, ChoiceScores), reply
    return sorted(range(len(reply.log_probs)), key=lambda at: -reply.log_probs[at])


class TestVllm:
    def test_it_is_found_to_score_named_tokens_and_to_switch_thoughts(self, vllm):
        able = vllm.abilities()
        assert (able.exact, able.log_probs, able.thinking_switch) == (True, 20, True)

    def test_choices_have_the_scores_and_the_order_that_they_have_in_this_process(self, vllm, here):
        asks = [*WHETHER, WIDE, WHICH]
        for far, near in zip(vllm.answer(asks), here.answer(asks), strict=True):
            assert far.log_probs == pytest.approx(near.log_probs, abs=2e-3)
            assert order(far) == order(near)
            assert (far.bounded, far.in_words) == (0, False)
            assert far.tokens > 0

    def test_a_sheet_keeps_its_size_and_has_the_scores_that_it_has_in_this_process(self, vllm, here, caplog):
        made = sheet([drawn(n) for n in range(1, 5)], columns=2, cell=96, strip=32, gap=0).image
        ask = ScoreChoices((made, "which picture shows a fox?"), ("1", "2", "3", "4"))
        [far], [near] = vllm.answer([ask]), here.answer([ask])
        assert far.log_probs == pytest.approx(near.log_probs, abs=2e-3)
        assert not caplog.records

    def test_a_sheet_of_broken_strides_is_squashed_and_the_server_lives_on(self, vllm_address, vllm, caplog):
        """Its tower would make other tokens of it than the server counts."""
        made = sheet([drawn(n) for n in range(1, 5)], columns=2, cell=90, strip=20, gap=3).image
        plain = Image.frombytes("RGB", made.size, made.tobytes())  # the same pixels, and no sheet
        model = opened(vllm_address)
        asks = [ScoreChoices((shown, "which picture shows a fox?"), ("1", "2", "3", "4")) for shown in (made, plain)]
        squashed, same = model.answer(asks)
        model.close()
        assert squashed.log_probs == pytest.approx(same.log_probs, abs=2e-3)
        assert "whole 32 pixels" in caplog.text
        assert isinstance(vllm.answer(WHETHER[:1])[0], ChoiceScores)

    def test_pictures_and_words_change_the_scores(self, vllm):
        assert len({reply.log_probs for reply in vllm.answer(WHETHER)}) == len(WHETHER)

    def test_choices_behind_a_prefill_have_the_scores_that_they_have_in_this_process(self, vllm, here):
        ask = ScoreChoices((drawn(2), "which one? "), ("1", "2"), prefill="[")
        [far], [near] = vllm.answer([ask]), here.answer([ask])
        assert far.log_probs == pytest.approx(near.log_probs, abs=2e-3)

    def test_choices_of_several_tokens_have_the_scores_that_they_have_in_this_process(self, vllm, here):
        ask = ScoreChoices((drawn(2), "what is it?"), ("heron heron", "salmon rice", "yes"))
        [far], [near] = vllm.answer([ask]), here.answer([ask])
        assert far.log_probs == pytest.approx(near.log_probs, abs=5e-3)

    def test_the_likeliest_tokens_alone_tell_the_same_or_a_bound_above_it(self, vllm, vllm_address):
        """What a server gives that cannot score named tokens."""
        model, _, url = vllm_address.partition("@")
        for ask, exact in zip(WHETHER, vllm.answer(WHETHER), strict=True):
            body = {"model": model, "messages": messages(ask.parts, 10**6), "temperature": 0, "max_tokens": 1}
            more = {"logprobs": True, "top_logprobs": 20}
            answer = httpx.post(f"{url}/v1/chat/completions", json=body | more, timeout=60, trust_env=False)
            found = next_tokens(answer.json())
            assert len(found) == 20
            if not {"yes", "no"} & found.keys():
                continue
            values, _ = among(found, ask.choices)
            for choice, value, right in zip(ask.choices, values, exact.log_probs, strict=True):
                assert value >= right - 0.1 if choice not in found else value == pytest.approx(right, abs=0.1)

    def test_texts_are_those_of_this_process(self, vllm, here):
        far, near = vllm.answer(DESCRIBE), here.answer(DESCRIBE)
        assert [reply.text for reply in far] == [reply.text for reply in near]

    def test_a_text_cut_by_its_length_is_told_as_cut(self, vllm):
        [reply] = vllm.answer([Generate((drawn(1), "describe the picture"), max_tokens=2)])
        assert isinstance(reply, Text)
        assert reply.cut

    def test_a_schema_is_kept_to(self, vllm):
        [reply] = vllm.answer([Generate((drawn(1), "grade it"), max_tokens=200, schema=SCHEMA)])
        assert isinstance(reply, Text), reply
        assert reply.cut or json.loads(reply.text)["grade"] in (1, 2, 3)
        assert reply.text.startswith("{")

    def test_many_at_once_say_what_each_says_alone(self, vllm):
        asks = [*WHETHER, *DESCRIBE, WHICH] * 2
        for together, alone in zip(vllm.answer(asks), [vllm.answer([ask])[0] for ask in asks], strict=True):
            if isinstance(together, ChoiceScores):
                assert together.log_probs == pytest.approx(alone.log_probs, abs=2e-3)
            else:
                assert together == alone

    def test_a_prompt_that_is_too_long_fails_in_the_servers_own_words(self, vllm):
        [reply] = vllm.answer([Generate(("a red bowl of soup " * 500,), max_tokens=5)])
        assert isinstance(reply, Failed)
        assert "status 400" in reply.reason

    def test_an_unknown_model_fails_with_what_to_check(self, vllm_address):
        model = opened(f"nobody@{vllm_address.partition('@')[2]}")
        [reply] = model.answer(WHETHER[:1])
        model.close()
        assert isinstance(reply, Failed)
        assert "check the model's name" in reply.reason


class TestTransformersServe:
    def test_it_is_found_to_give_no_log_probabilities(self, serve):
        assert serve.abilities().log_probs == 0

    def test_a_choice_is_named_in_words_and_is_the_one_that_is_likeliest_in_this_process(self, serve, here):
        """A model with random weights names none, and that is told."""
        for far, near in zip(serve.answer(WHETHER), here.answer(WHETHER), strict=True):
            if isinstance(far, Failed):
                assert "names none of: yes, no" in far.reason or "nothing" in far.reason
                continue
            assert far.in_words
            assert sorted(far.log_probs) == [math.log(0.5), 0.0]
            assert order(far)[0] == order(near)[0]

    def test_texts_are_those_of_this_process(self, serve, here):
        far, near = serve.answer(DESCRIBE), here.answer(DESCRIBE)
        assert [reply.text for reply in far] == [reply.text for reply in near]

    def test_a_schema_is_found_not_to_be_kept_to_and_left_out(self, serve):
        plain, asked = serve.answer([DESCRIBE[0], Generate(DESCRIBE[0].parts, 30, SCHEMA)])
        assert asked == plain

    def test_a_server_that_dies_fails_what_is_left_and_keeps_what_was_answered(self, folder, tmp_path):
        with real_servers.transformers_serve(folder, tmp_path / "log") as (process, address):
            model = opened(address)
            before = model.answer(DESCRIBE[:1])
            process.send_signal(signal.SIGKILL)
            process.wait()
            after = model.answer(DESCRIBE)
            model.close()
        assert isinstance(before[0], Text)
        assert [type(reply) for reply in after] == [Failed] * len(DESCRIBE)
        assert all("cannot be reached" in reply.reason or "ended the connection" in reply.reason for reply in after)
