"""One door to the model: nothing is asked twice, nothing beyond the budget, and what was answered is never lost."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
from example_stages import Scripted
from PIL import Image

from mmretrieval.asks import Failed, Generate, ScoreChoices, Text
from mmretrieval.budget import Budget
from mmretrieval.calls import Calls, open_calls
from mmretrieval.errors import InvalidData, MMRetrievalError, NotFound, StorageError, UsageError
from mmretrieval.mllms.replay import Replay
from mmretrieval.recording import Recording
from mmretrieval.reply_cache import ReplyCache


def echo(ask):
    return Text(f"you said {ask.parts[0]}", tokens=10)


def asks(*words):
    return [Generate((word,)) for word in words]


def asked(model):
    return [ask.parts[0] for chunk in model.calls for ask in chunk]


@pytest.fixture
def door(tmp_path):
    """A door to a model, which keeps replies in one folder."""
    opened = []

    def make(model, **more):
        opened.append(open_calls(model, tmp_path, **more))
        return opened[-1]

    yield make
    for calls in opened:
        calls.close()


# The cache


def test_a_second_run_asks_nothing_and_says_that_its_replies_were_kept(door):
    first, second = Scripted(echo), Scripted(echo)
    fresh = door(first).answer(asks("a", "b"))
    assert door(second).answer(asks("b", "a")) == [replace(reply, cached=True) for reply in reversed(fresh)]
    assert (asked(first), asked(second)) == (["a", "b"], [])


def test_only_what_is_new_is_asked(door):
    model = Scripted(echo)
    calls = door(model)
    calls.answer(asks("a", "b"))
    texts = [reply.text for reply in calls.answer(asks("c", "b", "d", "a"))]
    assert texts == ["you said c", "you said b", "you said d", "you said a"]
    assert asked(model) == ["a", "b", "c", "d"]


def test_equal_asks_of_one_batch_are_asked_once(door):
    model = Scripted(echo)
    noise = np.random.default_rng(1).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    same = [Generate(("look", Image.fromarray(noise))) for _ in range(3)]
    replies = door(model).answer([*same, *asks("other"), *same])
    assert len(asked(model)) == 2
    assert [(reply.cached, reply.tokens) for reply in replies[:3]] == [(False, 10), (True, 0), (True, 0)]
    assert len({reply.text for reply in replies}) == 2


def test_another_model_another_setting_or_another_choice_is_asked_again(door):
    first, second = Scripted(echo), Scripted(echo)
    second.spec = "another"
    door(first).answer(asks("a"))
    door(first).answer([Generate(("a",), max_tokens=9)])
    door(second).answer(asks("a"))
    assert (len(asked(first)), len(asked(second))) == (2, 1)


def test_a_small_model_gets_the_short_form_and_is_kept_by_it(door):
    model = Scripted(echo, compact=True)
    long = [Generate(("a long question",), compact=("short",)), Generate(("a longer question",), compact=("short",))]
    assert [reply.text for reply in door(model).answer(long)] == ["you said short"] * 2
    assert asked(model) == ["short"]


def test_failures_are_asked_again_by_the_next_run(door):
    def flaky(ask):
        return Failed("connection reset", tokens=1) if ask.parts[0] == "b" else echo(ask)

    broken, mended = Scripted(flaky), Scripted(echo)
    assert door(broken).answer(asks("a", "b"))[1] == Failed("connection reset", tokens=1)
    replies = door(mended).answer(asks("a", "b"))
    assert [reply.text for reply in replies] == ["you said a", "you said b"]
    assert asked(mended) == ["b"]


def test_what_is_no_answer_to_the_ask_is_a_failure_and_not_kept(door):
    wrong, right = Scripted(echo), Scripted(lambda ask: Failed("asked"))
    question = [ScoreChoices(("a",), ("yes", "no"))]
    assert door(wrong).answer(question) == [Failed("Text is no answer to ScoreChoices")]
    assert door(right).answer(question) == [Failed("asked")]


def test_what_was_answered_before_the_model_broke_is_kept(door):
    def breaks(ask):
        if ask.parts[0] == "16":
            raise RuntimeError("out of memory")
        return echo(ask)

    broken, mended = Scripted(breaks), Scripted(echo)
    numbers = asks(*map(str, range(20)))
    with pytest.raises(RuntimeError, match="out of memory"):
        door(broken).answer(numbers)
    door(mended).answer(numbers)
    assert asked(mended) == ["16", "17", "18", "19"]


def test_a_model_that_loses_replies_is_refused():
    model = Scripted(echo)
    model.answer = lambda asks: []
    with pytest.raises(MMRetrievalError, match="'scripted' gave 0 replies to 1 asks"):
        Calls(model).answer(asks("a"))


def test_the_model_gets_chunks_of_the_size_it_likes():
    model = Scripted(echo)
    model.at_once = 3
    Calls(model).answer(asks(*"abcdefgh"))
    assert [len(chunk) for chunk in model.calls] == [3, 3, 2]


# The budget


def test_calls_beyond_the_budget_fail_with_the_reason_and_reach_no_model(door):
    model = Scripted(echo)
    model.at_once = 2
    replies = door(model, budget=Budget(max_calls=3)).answer(asks(*"abcde"))
    assert [isinstance(reply, Failed) for reply in replies] == [False, False, False, True, True]
    assert replies[3] == Failed("the budget of 3 calls is spent", asked=False)
    assert asked(model) == ["a", "b", "c"]


def test_what_is_kept_costs_nothing_even_when_all_is_spent(door):
    door(Scripted(echo)).answer(asks("a", "b"))
    model = Scripted(echo)
    replies = door(model, budget=Budget(max_calls=0)).answer(asks("a", "new", "b"))
    assert [isinstance(reply, Failed) for reply in replies] == [False, True, False]
    assert model.calls == []


def test_runs_with_small_budgets_reach_the_end_together(door):
    models = [Scripted(echo) for _ in range(4)]
    for model in models:
        replies = door(model, budget=Budget(max_calls=2)).answer(asks(*"abcdefg"))
    assert [asked(model) for model in models] == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert not any(isinstance(reply, Failed) for reply in replies)


def test_failed_calls_count_and_replies_that_were_kept_elsewhere_do_not():
    budget = Budget(max_calls=4)
    Calls(Scripted(lambda ask: Failed("down")), budget=budget).answer(asks("a", "b"))
    Calls(Scripted(lambda ask: Text("x", 5, cached=True)), budget=budget).answer(asks(*"cdefghijk"))
    assert (budget.calls, budget.tokens) == (2, 0)


def test_many_threads_with_flaky_replies_never_exceed_the_calls():
    model = Scripted(lambda ask: Failed("reset") if ask.parts[0].endswith("3") else echo(ask))
    model.at_once = 3
    calls = Calls(model, budget=Budget(max_calls=57))

    def work(worker):
        return calls.answer(asks(*(f"{worker}-{n}" for n in range(20))))

    with ThreadPoolExecutor(6) as pool:
        replies = [reply for batch in pool.map(work, range(6)) for reply in batch]
    assert len(asked(model)) == 57
    assert sum(isinstance(reply, Failed) and not reply.asked for reply in replies) == 120 - 57


def test_money_is_counted_by_what_the_replies_took():
    model = Scripted(lambda ask: Text("x", tokens=ask.max_tokens))
    budget = Budget(max_cost=0.01, price=20.0)  # 500 tokens
    replies = Calls(model, budget=budget).answer([Generate((f"{n}",), max_tokens=100) for n in range(9)])
    answered = sum(isinstance(reply, Text) for reply in replies)
    assert budget.tokens == 100 * answered
    assert answered == 3, "the fourth may take a hundred and one more for its words and the template"
    assert budget.cost <= 0.01


def test_a_server_that_counts_no_tokens_is_taken_at_the_most():
    model = Scripted(lambda ask: Text("x"))
    budget = Budget(max_cost=1.0, price=2000.0)  # 500 tokens
    Calls(model, budget=budget).answer([Generate((f"{n}",), max_tokens=99) for n in range(9)])
    assert budget.tokens == 400, "99 for the answer, 1 for the word, 100 for the template"


def test_as_time_runs_out_chunks_shrink_to_what_can_still_be_answered():
    now = [100.0]
    deadlines = []

    def slow(ask):
        deadlines.append(model.deadline)
        now[0] += 4
        return echo(ask)

    model = Scripted(slow)
    model.at_once = 8
    budget = Budget(max_seconds=30, clock=lambda: now[0])
    replies = Calls(model, budget=budget).answer(asks(*"abcdefghijkl"))
    assert set(deadlines) == {130.0}
    assert [len(chunk) for chunk in model.calls] == [1, 6, 1], (
        "4 seconds each: the last begins 2 seconds before the end"
    )
    assert replies[8] == Failed("the budget of 30 seconds is spent", asked=False)


def test_a_model_that_is_quick_gets_whole_chunks_within_its_time():
    model = Scripted(echo)
    model.at_once = 4
    Calls(model, budget=Budget(max_seconds=3600)).answer(asks(*"abcdefghi"))
    assert [len(chunk) for chunk in model.calls] == [1, 4, 4]


def test_searches_of_several_threads_have_each_their_own_deadline():
    """One model behind two doors with budgets of their own, both of them asking at the same time."""
    both, deadlines = Barrier(2, timeout=30), {}

    def reply(ask):
        both.wait()
        deadlines[ask.parts[0]] = model.deadline
        return echo(ask)

    model = Scripted(reply)
    budgets = {"a": Budget(max_seconds=10, clock=lambda: 100.0), "b": Budget(max_seconds=500, clock=lambda: 100.0)}
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda word: Calls(model, budget=budgets[word]).answer(asks(word)), "ab"))
    assert deadlines == {"a": 110.0, "b": 600.0}
    assert model.deadline == math.inf


def test_a_model_that_heeds_the_deadline_is_not_charged_for_what_it_left():
    model = Scripted(lambda ask: echo(ask) if ask.parts[0] == "a" else Failed("too late", asked=False))
    budget = Budget(max_seconds=60)
    Calls(model, budget=budget).answer(asks("a", "b", "c"))
    assert (budget.calls, budget.tokens) == (1, 10)


# Recording and replay


def test_a_recording_answers_like_the_model_and_needs_neither_model_nor_pictures(tmp_path, door):
    picture = Image.effect_noise((30, 20), 90).convert("RGB")
    picture.save(tmp_path / "noise.png")
    model, file = (
        Scripted(lambda ask: Failed("refused", 2) if ask.parts[0] == "bad" else echo(ask)),
        tmp_path / "r.jsonl",
    )
    questions = [Generate(("look", picture), schema={"type": "object"}), *asks("bad", "ß\n日本")]
    given = door(model, record=file).answer(questions)
    with Image.open(tmp_path / "noise.png") as opened:
        again = Replay(file).answer([Generate(("look", opened), schema={"type": "object"}), *questions[1:]])
    assert again == [replace(reply, cached=True) for reply in given]
    assert file.stat().st_size < 1500


def test_a_recording_is_complete_even_where_the_cache_answered(tmp_path, door):
    door(Scripted(echo)).answer(asks("a", "b"))
    door(Scripted(echo), record=tmp_path / "r.jsonl").answer(asks("a", "b", "c"))
    replies = Replay(tmp_path / "r.jsonl").answer(asks("c", "b", "a"))
    assert [reply.text for reply in replies] == ["you said c", "you said b", "you said a"]


def test_an_unknown_ask_fails_with_the_first_words_of_the_prompt(tmp_path, door):
    door(Scripted(echo), record=tmp_path / "r.jsonl").answer(asks("a"))
    [reply] = Replay(tmp_path / "r.jsonl").answer(asks("Which picture shows a heron?"))
    assert isinstance(reply, Failed)
    assert not reply.asked
    assert "has no reply to 'Which picture shows a heron?'" in reply.reason
    assert "record again" in reply.reason


def test_a_replay_takes_nothing_from_the_cache_and_puts_nothing_into_it(tmp_path, door):
    door(Scripted(echo)).answer(asks("kept"))
    door(Scripted(echo), record=tmp_path / "r.jsonl").answer(asks("recorded"))
    replay = door(f"replay:{tmp_path / 'r.jsonl'}", budget=Budget(max_calls=1))
    kept, recorded = replay.answer(asks("kept", "recorded"))
    assert isinstance(kept, Failed)
    assert recorded.text == "you said recorded"
    cache = ReplyCache(tmp_path, replay.fingerprint)
    assert cache.mean_tokens(["Generate"])[0] == 0
    cache.close()


def test_a_recording_goes_on_where_it_ended_even_after_a_kill(tmp_path):
    file, model = tmp_path / "r.jsonl", Scripted(echo)
    Calls(model, recording=Recording(file, model)).answer(asks("a", "b"))
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"key": "cut o')
    assert len(Replay(file).answer(asks("a"))) == 1, "a cut line at the end is no damage"
    Calls(model, recording=Recording(file, model)).answer(asks("b", "c"))
    lines = file.read_bytes().splitlines()
    assert file.read_bytes().startswith(whole)
    assert len(lines) == 4, "a header and three asks, none twice"


def test_of_two_replies_to_one_ask_the_later_counts(tmp_path):
    file = tmp_path / "r.jsonl"
    for reply in (Failed("down"), Text("up", 3)):
        model = Scripted(lambda ask, reply=reply: reply)
        Calls(model, recording=Recording(file, model)).answer(asks("a"))
    assert Replay(file).answer(asks("a")) == [Text("up", 3, cached=True)]


def test_a_recording_of_another_model_is_not_continued(tmp_path):
    model, other = Scripted(echo), Scripted(echo)
    other.spec = "other"
    Recording(tmp_path / "r.jsonl", model)
    with pytest.raises(UsageError, match="is a recording of the model 'scripted', as it was then: give another file"):
        Recording(tmp_path / "r.jsonl", other)


def test_a_replay_is_asked_in_the_form_of_the_model_that_was_recorded(tmp_path):
    file, model = tmp_path / "r.jsonl", Scripted(echo, compact=True)
    question = [Generate(("long",), compact=("short",))]
    Calls(model, recording=Recording(file, model)).answer(question)
    replay = Replay(file)
    assert (replay.compact, replay.of, replay.answers) == (True, "scripted", model.answers)
    assert replay.answer(question)[0].text == "you said short"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "its first line does not say so"),
        ("hello\n", "line 1 is no JSON"),
        ("[]\n", "line 1 is no JSON object"),
        ('{"qid": 1}\n', "its first line does not say so"),
        ('{"mmretrieval": "recording", "format": 7, "model": {}}\n', "format 7, and this version reads 1"),
        ('{"mmretrieval": "recording", "format": 1, "model": {}}\n', "does not say which model was recorded"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_line(tmp_path, content, told):
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises(InvalidData, match=told) as refused:
        Replay(tmp_path / "r.jsonl")
    assert str(tmp_path / "r.jsonl") in str(refused.value)


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    file, model = tmp_path / "r.jsonl", Scripted(echo)
    Calls(model, recording=Recording(file, model)).answer(asks("a", "b"))
    lines = file.read_text().splitlines(keepends=True)
    for damaged, told in (('{"key": "1"}\n', "line 2 holds no ask with its reply"), ("{\n", "line 2 is no JSON")):
        file.write_text("".join([lines[0], damaged, lines[2]]))
        with pytest.raises(InvalidData, match=told):
            Replay(file)


def test_a_recording_that_is_not_there_or_cannot_be_written_is_told(tmp_path):
    with pytest.raises(NotFound, match=r"there is no recording .*make one with --record"):
        Replay(tmp_path / "none.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="the recording cannot be written"):
        Recording(tmp_path / "file" / "r.jsonl", Scripted(echo))


# Opening and closing


class Closing(Scripted):
    closed = 0

    def close(self):
        self.closed += 1


def test_a_model_that_was_given_opened_stays_open(tmp_path):
    model = Closing(echo)
    calls = open_calls(model, tmp_path)
    assert open_calls(calls, tmp_path / "elsewhere") is calls
    calls.close()
    assert model.closed == 0


def test_without_a_folder_nothing_is_kept(tmp_path):
    model = Scripted(echo)
    for _ in range(2):
        open_calls(model).answer(asks("a"))
    assert asked(model) == ["a", "a"]
    assert list(tmp_path.iterdir()) == []


def test_warnings_of_the_cache_are_passed_on(tmp_path):
    (tmp_path / "replies.sqlite").write_bytes(b"nonsense " * 1000)
    calls = open_calls(Scripted(echo), tmp_path)
    assert "is damaged" in calls.warnings[0]
    calls.close()
