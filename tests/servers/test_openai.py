"""The back end for OpenAI-compatible servers, against one on loopback that is honest, poor or broken on demand."""

import asyncio
import base64
import io
import json
import logging
import math
import threading
import time

import pretend_server as ps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmretrieval.asks import Attend, ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.errors import MissingPrerequisite, MMRetrievalError, UsageError
from mmretrieval.mllm_names import open_mllm
from mmretrieval.mllms import openai
from mmretrieval.mllms._openai_address import parse_address
from mmretrieval.mllms._openai_answers import named
from mmretrieval.mllms._openai_http import NoAnswer
from mmretrieval.mllms._openai_scoring import among
from mmretrieval.mllms._openai_secrets import LONGEST, excerpt

RED = Image.new("RGB", (40, 30), (200, 30, 30))
WHETHER = ScoreChoices(("picture 1:", RED, "Is it red? yes or no"), ("yes", "no"))
SAY = Generate(("Say something.", RED), max_tokens=20)
KEY = "k3y-that/nobody+may=see"


@pytest.fixture
def server():
    with ps.PretendServer() as server:
        yield server


@pytest.fixture
def opened(monkeypatch):
    """Opens a model on a server, with short waits, and closes it after the test."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    models = []

    def make(server, **settings):
        address = server if isinstance(server, str) else server.address
        waits = {"pause_seconds": 0.01, "longest_pause_seconds": 0.05, "answer_seconds": 5, "connect_seconds": 5}
        models.append(openai.OpenAI(address, **{**waits, **settings}))
        return models[-1]

    yield make
    for model in models:
        model.close()


def ready(model, server):
    """The model after it has found out what the server can do; what was asked for that is forgotten."""
    model.abilities()
    server.requests.clear()
    return model


def log_sum(*values):
    return math.log(sum(map(math.exp, values)))


class TestScores:
    def test_spellings_of_a_choice_are_added_up(self, server, opened):
        [reply] = opened(server).answer([WHETHER])
        assert reply.log_probs == pytest.approx((log_sum(-0.5, -2.0), -1.5))
        assert (reply.bounded, reply.in_words, reply.tokens) == (0, False, 41)

    def test_a_choice_that_is_not_among_the_likeliest_gets_their_least_as_a_bound_and_is_counted(self, server, opened):
        server.top = 3
        [reply] = opened(server).answer([ScoreChoices(("?",), ("yes", "no", "never"))])
        assert reply.log_probs[2] == -1.7  # of " yes", "no" and the third, the least
        assert reply.bounded == 1

    def test_no_choice_among_the_likeliest_is_no_answer(self, server, opened):
        [reply] = opened(server).answer([ScoreChoices(("?",), ("green", "blue"))])
        assert isinstance(reply, Failed)
        assert "none of the choices" in reply.reason

    def test_a_model_that_begins_to_think_has_not_chosen(self, server, opened):
        server.tokens["<think>"] = -0.01
        [reply] = opened(server).answer([WHETHER])
        assert isinstance(reply, Failed)
        assert "think" in reply.reason

    def test_named_tokens_are_scored_exactly_however_unlikely(self, server, opened):
        server.exact, server.tokens["rare"] = True, -25.0
        server.top = 2
        [reply] = opened(server).answer([ScoreChoices(("?",), ("rare", "no"))])
        assert reply.log_probs == pytest.approx((-25.0, -1.5))
        assert reply.bounded == 0
        assert server.chats[-1]["max_tokens"] == 1

    def test_choices_of_several_tokens_are_scored_token_by_token(self, server, opened):
        """With "1", "2" and "12" as tokens, "21" is "2" and then "1": another request, its answer begun with "2"."""
        server.exact = True
        model = ready(opened(server), server)
        [reply] = model.answer([ScoreChoices(("?",), ("12", "21"), prefill="[")])
        assert reply.log_probs == pytest.approx((-3.0, -2.5 - 1.7))
        begun = [body["messages"][1]["content"] for body in server.chats]
        assert sorted(begun) == ["[", "[2"]
        assert all(body["continue_final_message"] and not body["add_generation_prompt"] for body in server.chats)

    def test_without_log_probabilities_the_choice_is_named_in_words_and_told_so(self, server, opened):
        server.top, server.text = 0, "**No.**"
        [reply] = opened(server).answer([WHETHER])
        assert reply == ChoiceScores((math.log(0.5), 0.0), tokens=41, bounded=2, in_words=True)
        [words] = [part["text"] for part in server.chats[-1]["messages"][0]["content"] if "one of these" in str(part)]
        assert "yes, no" in words

    def test_a_small_model_is_asked_in_the_words_it_knows_and_no_others(self, server, opened):
        server.top = 0
        opened(server, compact=True).answer([WHETHER])
        content = server.chats[-1]["messages"][0]["content"]
        assert [part.get("text") for part in content] == ["picture 1:", None, "Is it red? yes or no"]

    def test_words_that_name_no_choice_are_no_answer(self, server, opened):
        server.top, server.text = 0, "I would rather not say."
        [reply] = opened(server).answer([WHETHER])
        assert isinstance(reply, Failed)
        assert "I would rather not" in reply.reason

    def test_numbers_filled_up_after_sampling_are_not_taken_for_the_models(self, server, opened):
        server.tokens = {"yes": 0.0, "no": -9999.0, "the": -9999.0}
        server.text = "yes"
        [reply] = opened(server).answer([WHETHER])
        assert reply.in_words

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.7, "-1", None, True])
    def test_numbers_that_are_no_log_probabilities_are_refused(self, server, opened, value):
        model = ready(opened(server), server)
        place = {"token": "yes", "logprob": value, "top_logprobs": [{"token": "no", "logprob": -1.0}]}
        answer = {"choices": [{"message": {"content": "yes"}, "logprobs": {"content": [place]}}]}
        server.faults.append(ps.say(json.dumps(answer).encode()))
        [reply] = model.answer([WHETHER])
        assert isinstance(reply, Failed)

    @pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"content": [None]}, {"content": "x"}, []])
    def test_log_probabilities_that_fail_to_come_are_told(self, server, opened, logprobs):
        model = ready(opened(server), server)
        answer = {"choices": [{"message": {"content": "yes"}, "logprobs": logprobs}]}
        server.faults.append(ps.say(json.dumps(answer).encode()))
        [reply] = model.answer([WHETHER])
        assert reply == Failed("the server gave no log-probabilities this time")

    @given(
        st.dictionaries(st.text("yesno1A ", min_size=1, max_size=3), st.floats(-30, -0.01), min_size=1, max_size=20),
        st.lists(st.text("yesno1", min_size=1, max_size=4), min_size=1, max_size=5, unique_by=str.casefold),
    )
    def test_a_bound_is_never_below_what_a_choice_can_be_and_present_ones_are_exact(self, found, choices):
        """Twin: count the spellings one by one."""
        ways = [{b + w for w in (c, c.capitalize(), c.lower(), c.upper()) for b in ("", " ")} for c in choices]
        present = [[found[way] for way in sorted(own) if way in found] for own in ways]
        if not any(present):
            with pytest.raises(NoAnswer):
                among(found, choices)
            return
        values, bounded = among(found, choices)
        assert bounded == sum(not own for own in present)
        for value, own in zip(values, present, strict=True):
            if own:
                assert value == pytest.approx(log_sum(*own))
            else:
                assert value >= min(found.values())

    @pytest.mark.parametrize(
        ("text", "at"), [("yes", 0), (" *No*. ", 1), ("no, there is none", 1), ("'YES'", 0), ("Yes\n\nbecause", 0)]
    )
    def test_named_reads_the_choice_from_the_words(self, text, at):
        assert named(text, ("yes", "no")) == at

    @pytest.mark.parametrize("text", ["maybe", "the answer is yes or no", "y", "noodles", "Error 429: no"])
    def test_named_takes_nothing_else_for_a_choice(self, text):
        with pytest.raises(NoAnswer):
            named(text, ("yes", "no"))


class TestText:
    def test_text_comes_with_its_tokens(self, server, opened):
        assert opened(server).answer([SAY]) == [Text("yes, it does", 41)]

    def test_an_answer_cut_by_its_length_is_told_as_cut(self, server, opened):
        server.finish = "length"
        assert opened(server).answer([SAY])[0].cut is True

    def test_thoughts_are_no_part_of_a_text(self, server, opened):
        server.text = "<think>\nhm, 3 > 1\n</think>\n\nA heron."
        assert opened(server).answer([SAY])[0].text == "A heron."

    @pytest.mark.parametrize("text", ["", "  \n", "<think>it may be that", None])
    def test_nothing_but_thoughts_is_no_answer(self, server, opened, text):
        server.text, server.finish = "x", "length"
        server.message = {"content": text, "reasoning_content": "long"}
        [reply] = opened(server).answer([SAY])
        assert isinstance(reply, Failed)
        assert "more tokens" in reply.reason

    def test_a_schema_is_sent_where_the_server_keeps_to_it(self, server, opened):
        schema = {"type": "object", "properties": {"grade": {"type": "integer"}}}
        opened(server).answer([Generate(("Grade it.",), schema=schema)])
        assert server.chats[-1]["response_format"]["json_schema"]["schema"] == schema

    def test_a_schema_is_not_sent_where_the_server_drops_it(self, server, opened):
        server.schemas = False
        opened(server).answer([Generate(("Grade it.",), schema={"type": "object"})])
        assert "response_format" not in server.chats[-1]

    def test_a_schema_that_the_server_refuses_is_left_out_and_told(self, server, opened, caplog):
        model = opened(server)
        model.answer([Generate(("Grade it.",), schema={"type": "object"})])
        server.faults.append(ps.refuse(400, b'{"error": "unsupported keyword"}'))
        [reply] = model.answer([Generate(("Grade it.",), schema={"type": "object"})])
        assert isinstance(reply, Text)
        assert "unsupported keyword" in caplog.text

    def test_a_refusal_is_no_answer(self, server, opened):
        server.message = {"refusal": "I cannot look at this."}
        assert "refused" in opened(server).answer([SAY])[0].reason

    def test_a_filtered_answer_is_no_answer(self, server, opened):
        server.finish = "content_filter"
        assert "filter" in opened(server).answer([SAY])[0].reason


class TestRequests:
    def test_temperature_and_the_switch_for_thoughts_are_in_every_request(self, server, opened):
        opened(server).answer([WHETHER, SAY])
        assert len(server.chats) >= 3
        assert all(body["temperature"] == 0 for body in server.chats)
        assert all(body["chat_template_kwargs"] == {"enable_thinking": False} for body in server.chats)

    def test_words_and_pictures_keep_their_order(self, server, opened):
        opened(server).answer([WHETHER])
        [turn] = server.chats[-1]["messages"]
        assert [part["type"] for part in turn["content"]] == ["text", "image_url", "text"]

    def test_small_pictures_arrive_without_loss_as_png(self, server, opened):
        opened(server).answer([WHETHER])
        picture = sent_picture(server)
        assert picture.format == "PNG"
        assert picture.tobytes() == RED.tobytes()

    def test_large_pictures_are_scaled_to_the_budget_and_arrive_as_jpeg(self, server, opened):
        opened(server, max_pixels=600_000).answer([Generate((Image.new("RGBA", (3000, 1500)),))])
        picture = sent_picture(server)
        assert picture.format == "JPEG"
        assert picture.mode == "RGB"
        assert 590_000 <= picture.width * picture.height <= 600_000
        assert picture.width / picture.height == pytest.approx(2, rel=0.01)

    def test_many_pictures_share_the_budget_of_a_prompt(self, server, opened):
        opened(server, max_prompt_pixels=100_000).answer([Generate((Image.new("RGB", (500, 500)),) * 4)])
        assert sent_picture(server).size == (158, 158)

    def test_as_many_requests_are_under_way_as_allowed_and_no_more(self, server, opened):
        model = ready(opened(server, concurrency=3), server)
        server.together = threading.Barrier(3)
        replies = model.answer([SAY] * 12)
        assert all(isinstance(reply, Text) for reply in replies)
        assert server.most_under_way == 3

    def test_replies_stand_in_the_order_of_the_asks(self, server, opened):
        model = ready(opened(server), server)
        server.faults.extend([ps.hang(0.2)])  # the first one fails, and comes last
        replies = model.answer([WHETHER, SAY, WHETHER, SAY])
        assert [type(reply) for reply in replies] == [ChoiceScores, Text, ChoiceScores, Text]

    def test_nothing_is_sent_before_the_first_ask(self, server, opened):
        model = opened(server)
        assert model.fingerprint["model"] == "tiny"
        assert model.answer([]) == []
        assert server.requests == []

    def test_attention_is_not_to_be_had(self, server, opened):
        [reply] = opened(server).answer([Attend((RED, "red?"))])
        assert isinstance(reply, Failed)
        assert reply.asked is False

    def test_several_threads_may_ask_at_once(self, server, opened):
        model, found = opened(server), []
        threads = [threading.Thread(target=lambda: found.extend(model.answer([WHETHER] * 3))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 12
        assert len(set(found)) == 1

    def test_it_answers_inside_a_running_event_loop_as_notebooks_have(self, server, opened):
        model = opened(server)

        async def cell():
            return model.answer([SAY])

        assert asyncio.run(cell()) == [Text("yes, it does", 41)]

    def test_a_closed_model_answers_nothing(self, server, opened):
        model = opened(server)
        model.answer([SAY])
        model.close()
        [reply] = model.answer([SAY])
        assert isinstance(reply, Failed)
        assert reply.asked is False


def sent_picture(server):
    content = server.chats[-1]["messages"][0]["content"]
    url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
    head, _, data = url.partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:{picture.get_format_mimetype()}"
    return picture


class TestAbilities:
    @pytest.mark.parametrize("field", ["chat_template_kwargs", "max_tokens", "logprobs", "response_format"])
    def test_a_field_that_the_server_refuses_is_left_out_of_all_later_requests(self, server, opened, field):
        server.refuses = (field,)
        if field == "max_tokens":
            server.refuses = ()
            server.faults.append(ps.refuse(400, b'{"error": "use max_completion_tokens instead"}'))
        model = opened(server)
        replies = model.answer([WHETHER, Generate(("Grade it.",), schema={"type": "object"})])
        assert not any(isinstance(reply, Failed) for reply in replies)
        server.requests.clear()
        model.answer([WHETHER, Generate(("Grade it.",), schema={"type": "object"})])
        assert len(server.chats) == 2
        assert not any(field in body for body in server.chats)

    def test_fewer_log_probabilities_are_taken_where_twenty_are_too_many(self, server, opened):
        server.faults.append(ps.refuse(400, b'{"error": "top_logprobs must be at most 5"}'))
        model = opened(server)
        assert model.abilities().log_probs == 5
        assert model.abilities().thinking_switch

    def test_abilities_are_found_out_once(self, server, opened):
        model = ready(opened(server), server)
        model.answer([WHETHER])
        model.answer([SAY])
        assert len(server.chats) == 2

    def test_a_server_of_another_kind_is_told_with_its_own_words(self, server, opened):
        server.faults.extend([ps.refuse(404, b'{"error": {"message": "no model tiny"}}')] * 2)
        replies = opened(server).answer([SAY, WHETHER])
        assert all(reply.asked is False and "no model tiny" in reply.reason for reply in replies)

    def test_the_abilities_of_a_dead_server_are_an_error(self, opened):
        with pytest.raises(MMRetrievalError, match="cannot be reached"):
            opened(dead()).abilities()


def dead():
    """An address at which nobody listens."""
    with ps.PretendServer() as server:
        return server.address


FAULTS = {
    "an error": (ps.refuse(500, b"Internal Server Error"), "status 500: Internal Server Error"),
    "unavailable": (ps.refuse(503), "status 503"),
    "not allowed": (ps.refuse(401), "OPENAI_API_KEY"),
    "moved": (ps.refuse(307, b"", location="/v2"), "moved"),
    "not JSON": (ps.say(b"<html>yes</html>"), "no JSON: <html>yes</html>"),
    "empty": (ps.say(b""), "nothing at all"),
    "a list": (ps.say(b"[1, 2]"), "another shape"),
    "deep": (ps.say(b"[" * 100_000), "no JSON"),
    "no choices": (ps.say(b'{"choices": []}'), "another shape"),
    "choices of another kind": (ps.say(b'{"choices": "yes"}'), "another shape"),
    "no message": (ps.say(b'{"choices": [{}]}'), "another shape"),
    "no content": (ps.say(b'{"choices": [{"message": {}}]}'), "nothing"),
    "parts": (ps.say(b'{"choices": [{"message": {"content": ["yes"]}}]}'), "no text"),
    "an error with status 200": (ps.say(b'{"error": {"message": "overloaded"}, "choices": [1]}'), "overloaded"),
    "not Unicode": (ps.say(b'{"choices": "\xff\xfe"}'), "no JSON"),
}


class TestFaults:
    @pytest.mark.parametrize("name", FAULTS)
    @pytest.mark.parametrize("ask", [SAY, WHETHER], ids=["text", "choices"])
    def test_what_is_no_answer_fails_with_a_plain_reason_and_is_not_repeated(self, server, opened, name, ask):
        fault, told = FAULTS[name]
        model = ready(opened(server), server)
        server.faults.append(fault)
        [reply] = model.answer([ask])
        assert isinstance(reply, Failed)
        assert told in reply.reason or (ask is WHETHER and "log-probabilities" in reply.reason)
        assert len(server.chats) == 1

    @pytest.mark.parametrize("fault", [ps.drop, ps.half, ps.refuse(429)], ids=["dropped", "half", "busy"])
    def test_what_may_pass_is_tried_again(self, server, opened, fault):
        model = ready(opened(server), server)
        server.faults.extend([fault, fault])
        assert model.answer([SAY]) == [Text("yes, it does", 41)]
        assert len(server.chats) == 3

    @pytest.mark.parametrize(
        ("fault", "told"),
        [(ps.drop, "ended the connection"), (ps.half, "ended the connection"), (ps.refuse(429), "status 429")],
        ids=["dropped", "half", "busy"],
    )
    def test_tries_come_to_an_end(self, server, opened, fault, told):
        model = ready(opened(server, tries=3), server)
        server.faults.extend([fault] * 3)
        [reply] = model.answer([SAY])
        assert isinstance(reply, Failed)
        assert told in reply.reason
        assert len(server.chats) == 3

    @pytest.mark.parametrize("wait", ["86400", "Fri, 31 Dec 2999 23:59:59 GMT", "inf"])
    def test_a_server_that_wants_a_day_is_asked_again_after_the_longest_pause(self, server, opened, wait):
        model = ready(opened(server), server)
        server.faults.append(ps.refuse(429, retry_after=wait))
        assert isinstance(model.answer([SAY])[0], Text)

    def test_the_pause_is_as_long_as_the_server_asks(self, server, opened):
        model = ready(opened(server, pause_seconds=60, longest_pause_seconds=60), server)
        server.faults.extend(
            [ps.refuse(429, retry_after=0), ps.refuse(429, retry_after="Thu, 01 Jan 1970 00:00:00 GMT")]
        )
        model.deadline = time.monotonic() + 20  # a pause of a minute would not end in time
        assert isinstance(model.answer([SAY])[0], Text)

    def test_a_dead_server_fails_every_ask_and_none_counts_as_asked(self, opened):
        replies = opened(dead()).answer([SAY, WHETHER, SAY])
        assert len(replies) == 3
        assert all("cannot be reached" in reply.reason and reply.asked is False for reply in replies)

    def test_a_server_that_comes_back_is_used_again(self, server, opened):
        server.faults.extend([ps.drop] * 4)
        model = opened(server)
        assert isinstance(model.answer([SAY])[0], Failed)
        assert isinstance(model.answer([SAY])[0], Text)

    @pytest.mark.parametrize("fault", [ps.hang, ps.drip])
    def test_an_answer_that_takes_too_long_is_given_up_and_not_asked_for_again(self, server, opened, fault):
        model = ready(opened(server, answer_seconds=0.2, connect_seconds=0.1), server)
        server.faults.append(fault(1.5))
        [reply] = model.answer([SAY])
        assert isinstance(reply, Failed)
        assert "within 0.2 s" in reply.reason
        assert len(server.chats) == 1

    @pytest.mark.parametrize("fault", [ps.hang, ps.drip])
    def test_a_deadline_holds_for_what_is_under_way_and_for_what_waits(self, server, opened, fault):
        model = ready(opened(server, concurrency=2), server)
        server.faults.extend([fault(2)] * 2)
        start = time.monotonic()
        model.deadline = start + 0.3
        replies = model.answer([SAY] * 5)
        assert time.monotonic() - start < 2
        assert [type(reply) for reply in replies] == [Failed] * 5
        assert [reply.asked for reply in replies] == [True, True, False, False, False]

    def test_a_deadline_ends_a_pause_between_tries(self, server, opened):
        model = ready(opened(server, pause_seconds=60, longest_pause_seconds=60), server)
        server.faults.append(ps.drop)
        model.deadline = time.monotonic() + 0.2
        assert isinstance(model.answer([SAY])[0], Failed)

    def test_a_deadline_that_is_over_sends_nothing(self, server, opened):
        model = ready(opened(server), server)
        model.deadline = time.monotonic() - 1
        [reply] = model.answer([SAY])
        assert isinstance(reply, Failed)
        assert reply.asked is False
        assert server.requests == []

    def test_an_answer_without_end_is_given_up(self, server, opened):
        model = ready(opened(server), server)
        server.faults.append(ps.say(b" " * (9 * 2**20)))
        assert "without end" in model.answer([SAY])[0].reason

    def test_words_and_pictures_that_cannot_be_sent_fail_alone(self, server, opened, tmp_path):
        RED.save(tmp_path / "cut.png")
        data = (tmp_path / "cut.png").read_bytes()
        (tmp_path / "cut.png").write_bytes(data[: len(data) - 30])
        with Image.open(tmp_path / "cut.png") as cut:
            replies = opened(server).answer([Generate(("lone \ud800",)), Generate((cut,)), SAY])
        assert [type(reply) for reply in replies] == [Failed, Failed, Text]

    def test_closing_it_ends_what_is_under_way(self, server, opened):
        model, found = ready(opened(server, answer_seconds=60), server), []
        server.together = threading.Barrier(2)  # the one request waits for another that never comes
        asking = threading.Thread(target=lambda: found.extend(model.answer([SAY])))
        asking.start()
        while not server.chats:
            time.sleep(0.01)
        model.close()
        asking.join()
        server.together.abort()
        assert isinstance(found[0], Failed)

    def test_one_bad_answer_spoils_no_other(self, server, opened):
        model = ready(opened(server, concurrency=1), server)
        server.faults.extend([ps.refuse(500), ps.say(b"")])
        replies = model.answer([SAY] * 4)
        assert [type(reply) for reply in replies] == [Failed, Failed, Text, Text]


class TestSecrets:
    @pytest.fixture
    def keyed(self, server, opened, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        return ready(opened(server), server)

    def test_the_key_is_sent(self, server, keyed):
        keyed.answer([SAY])
        assert server.requests[-1][1]["Authorization"] == f"Bearer {KEY}"

    def test_without_a_key_none_is_sent(self, server, opened):
        opened(server).answer([SAY])
        assert "Authorization" not in server.requests[-1][1]

    @pytest.mark.parametrize("status", [200, 401, 429, 500])
    @pytest.mark.parametrize(
        "body",
        [
            f"bad key {KEY}",
            json.dumps({"error": {"message": f"you sent Authorization: Bearer {KEY}"}}),
            json.dumps({"error": {"headers": {"authorization": [KEY] * 30}}}),
            "x" * (LONGEST - 8) + f" {KEY}",
        ],
    )
    def test_a_key_that_the_server_echoes_is_in_no_reply_and_no_log(self, server, keyed, caplog, status, body):
        caplog.set_level(logging.DEBUG)
        server.faults.extend([ps.refuse(status, body.encode())] * 4)
        [reply] = keyed.answer([SAY])
        assert isinstance(reply, Failed)
        for piece in (KEY, KEY[:8], KEY[-8:]):
            assert piece not in reply.reason
            assert piece not in caplog.text

    def test_the_key_is_in_nothing_that_is_written_down(self, keyed):
        assert KEY not in f"{keyed.fingerprint} {keyed.spec} {keyed!r} {vars(keyed).get('_patience')}"

    def test_another_variable_may_hold_the_key(self, server, opened, monkeypatch):
        monkeypatch.setenv("MY_KEY", "other")
        opened(server, key_variable="MY_KEY").answer([SAY])
        assert server.requests[-1][1]["Authorization"] == "Bearer other"

    def test_the_address_may_name_the_variable(self, server, monkeypatch):
        monkeypatch.setenv("MY_KEY", "other")
        model = open_mllm(f"openai:{server.address}?key_variable=MY_KEY?compact=no")
        model.answer([SAY])
        model.close()
        assert server.requests[-1][1]["Authorization"] == "Bearer other"
        assert model.spec == f"openai:{server.address}"

    def test_a_variable_that_is_named_must_hold_a_key(self, monkeypatch):
        monkeypatch.delenv("MY_KEY", raising=False)
        with pytest.raises(MissingPrerequisite, match="MY_KEY"):
            openai.OpenAI("m@http://h/v1", key_variable="MY_KEY")

    def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "se cret\nkey")
        with pytest.raises(UsageError) as error:
            openai.OpenAI("m@http://h/v1")
        assert "cret" not in str(error.value)

    @given(st.text(), st.from_regex(r"[!-~]{6,40}", fullmatch=True), st.text())
    def test_no_excerpt_holds_the_key_whatever_stands_around_it(self, before, key, after):
        for body in (before + key + after, json.dumps({"error": {"message": before + key + after}}), json.dumps([key])):
            said = excerpt(body, key)
            assert key not in said.replace("[hidden]", "") or key in "[hidden]"
            assert len(said) <= LONGEST + 1

    def test_pictures_and_other_keys_are_left_out_of_an_excerpt(self):
        said = excerpt(f"bad url data:image/png;base64,{'A' * 400} for sk-proj-abcdef123456, Bearer abc.def", "")
        assert said == "bad url [hidden] for [hidden], Bearer [hidden]"


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "model", "url"),
        [
            ("qwen@http://127.0.0.1:8000/v1", "qwen", "http://127.0.0.1:8000/v1"),
            ("org/name@https://host/v1/", "org/name", "https://host/v1"),
            ("gemini@001@https://host/api/openai", "gemini@001", "https://host/api/openai"),
            ("m@http://host:80", "m", "http://host:80/v1"),
            ("m@http://h/v1/?key_variable=MINE", "m", "http://h/v1"),
            ("m@http://[::1]:80/v1", "m", "http://[::1]:80/v1"),
        ],
    )
    def test_model_and_server_are_read(self, text, model, url):
        address = parse_address(text)
        assert (address.model, address.url) == (model, url)

    @pytest.mark.parametrize(
        "text",
        ["", "qwen", "@http://h/v1", "qwen@", "qwen@h:8000", "qwen@ftp://h", "m@http://h:99999/v1", "m@http://", "a b@http://h",
         "m@http://user:secret1@h/v1", "m@http://h/v1?key=secret1", "m@http://h/v1#secret1", "m@http://[secret1/v1",
         "m@http://h/v1?key_variable=secret1-", "m@http://h/v1?key_variable=A&key=secret1"],
    )  # fmt: skip
    def test_others_are_refused_and_no_secret_is_shown(self, text):
        with pytest.raises(UsageError, match="openai:MODEL@URL") as error:
            parse_address(text)
        assert "secret1" not in str(error.value)

    def test_the_name_a_user_gives_opens_it(self, server):
        model = open_mllm(f"openai:{server.address}?compact=yes")
        assert model.compact
        assert model.spec == f"openai:{server.address}"
        assert isinstance(model.answer([SAY])[0], Text)
        model.close()

    @pytest.mark.parametrize("setting", ["concurrency", "max_pixels", "tries"])
    def test_settings_out_of_range_are_refused(self, setting):
        with pytest.raises(UsageError, match=f"{setting} is 0"):
            openai.OpenAI("m@http://h/v1", **{setting: 0})
