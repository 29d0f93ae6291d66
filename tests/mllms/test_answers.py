"""What a model of any family answers, against the same model asked one prompt at a time by the library's own call."""

import math
import threading
import time

import numpy as np
import pytest
import torch
from plain_vlm import Plain, picture
from tiny_vlms import change_json, write_vlm
from transformers import AutoModelForImageTextToText

from mmretrieval.asks import TIME_IS_UP, Attend, ChoiceScores, Failed, Generate, ScoreChoices, Text, fitted
from mmretrieval.mllms._choices import spellings
from mmretrieval.mllms.transformers import Transformers

PROMPTS = [
    (picture(1), "does it show a red bowl of soup? yes or no"),
    (picture(2, 64, 96), "does it show rice?"),
    ("no picture at all, only words",),
    (picture(3, 192, 128), "describe the picture"),
    ("picture 1:", picture(4), "picture 2:", picture(5), "which picture shows a heron by the lake?"),
    (picture(6, 45, 30), "yes or no"),
]


def slow_score(plain, parts, choice, prefill=""):
    """Spellings of one token added up, the choice itself token by token."""
    sequences = {tuple(plain.tokens(choice))}
    if not prefill:
        sequences |= {tuple(plain.tokens(word)) for word in spellings(choice) if len(plain.tokens(word)) == 1}
    return np.logaddexp.reduce([slow_sequence(plain, parts, tokens, prefill) for tokens in sequences])


def slow_sequence(plain, parts, tokens, prefill=""):
    total = 0.0
    for n, token in enumerate(tokens):
        total += plain.log_probs(parts, prefill + plain.processor.tokenizer.decode(list(tokens[:n])))[token]
    return total


def test_a_mixed_batch_scores_as_each_prompt_alone(model, plain):
    replies = model.answer([ScoreChoices(parts, ("yes", "no")) for parts in PROMPTS])
    for parts, reply in zip(PROMPTS, replies, strict=True):
        expected = [slow_score(plain, parts, choice) for choice in ("yes", "no")]
        np.testing.assert_allclose(reply.log_probs, expected, atol=2e-5)
        assert reply.tokens == plain.inputs(parts)["input_ids"].shape[1]


def test_scores_do_not_depend_on_what_else_is_asked(model):
    asks = [ScoreChoices(parts, ("yes", "no")) for parts in PROMPTS]
    together = model.answer(asks)
    for ask, reply in zip(asks, together, strict=True):
        np.testing.assert_allclose(model.answer([ask])[0].log_probs, reply.log_probs, atol=2e-5)
    backwards = model.answer(asks[::-1])[::-1]
    for reply, other in zip(together, backwards, strict=True):
        np.testing.assert_allclose(other.log_probs, reply.log_probs, atol=2e-5)


def test_pictures_are_seen_where_they_stand(model):
    first, second = picture(4), picture(5)

    def asked(*pictures):
        parts = ("picture 1:", pictures[0], "picture 2:", pictures[1], "which?")
        return np.array(model.answer([ScoreChoices(parts, ("1", "2"))])[0].log_probs)

    assert np.abs(asked(first, second) - asked(second, first)).max() > 1e-3
    after = model.answer([ScoreChoices(("picture 1: picture 2:", first, second, "which?"), ("1", "2"))])[0].log_probs
    assert np.abs(asked(first, second) - after).max() > 1e-3


def test_a_choice_of_several_tokens_adds_up_their_log_probabilities(model, plain):
    parts, choices = PROMPTS[0], ("a heron by the lake", "rice, salmon, egg", "yes")
    assert [len(plain.tokens(choice)) for choice in choices[:2]] > [1, 1]
    (reply,) = model.answer([ScoreChoices(parts, choices)])
    np.testing.assert_allclose(reply.log_probs, [slow_score(plain, parts, c) for c in choices], atol=1e-4)


def test_an_answer_that_has_begun_is_continued(model, plain):
    parts = PROMPTS[4]
    (reply,) = model.answer([ScoreChoices(parts, ("1", "2"), prefill="picture ")])
    expected = [slow_score(plain, parts, choice, "picture ") for choice in ("1", "2")]
    np.testing.assert_allclose(reply.log_probs, expected, atol=2e-5)
    (free,) = model.answer([ScoreChoices(parts, ("1", "2"))])
    assert np.abs(np.subtract(reply.log_probs, free.log_probs)).max() > 1e-3


def test_text_is_that_of_greedy_decoding_alone(model, plain):
    asks = [Generate(parts, max_tokens=7) for parts in PROMPTS] + [Generate(PROMPTS[0], max_tokens=3)]
    for ask, reply in zip(asks, model.answer(asks), strict=True):
        tokens = plain.generated(ask.parts, ask.max_tokens)
        assert isinstance(reply, Text)
        assert reply.cut == (len(tokens) == ask.max_tokens and tokens[-1] != plain.model.generation_config.eos_token_id)
        assert reply.tokens == plain.inputs(ask.parts)["input_ids"].shape[1] + len(tokens)
        assert reply.text == model._serving._chat.answer_in(plain.processor.tokenizer.decode(tokens), "")


def test_an_answer_that_ends_by_itself_is_not_cut(family, folder, tmp_path):
    plain = Plain(folder)
    tokens = plain.generated(PROMPTS[0], 6)
    end = tokens[-1]
    stopping = write_vlm(tmp_path / family, family)
    change_json(stopping / "generation_config.json", eos_token_id=[end], do_sample=True, temperature=5.0)
    (reply,) = Transformers(str(stopping), device="cpu").answer([Generate(PROMPTS[0], max_tokens=6)])
    before = tokens[: tokens.index(end)]
    assert (reply.text, reply.cut) == (
        plain.processor.tokenizer.decode(before, skip_special_tokens=True).strip(),
        False,
    )


def test_a_picture_is_computed_once_whatever_it_is_asked(folder):
    model = Transformers(str(folder), device="cpu")
    assert model.reuses_pictures
    start = model._serving.pictures_computed
    shown = [picture(1), picture(2, 64, 96)]
    first = model.answer([ScoreChoices((one, "rice?"), ("yes", "no")) for one in [*shown, picture(1)]])
    assert model._serving.pictures_computed - start == 2
    again = model.answer([ScoreChoices((one.copy(), "rice?"), ("yes", "no")) for one in shown])
    model.answer([Generate((shown[0], "describe it"), max_tokens=2)])
    assert model._serving.pictures_computed - start == 2
    for reply, other in zip(first, again, strict=False):
        np.testing.assert_allclose(reply.log_probs, other.log_probs, atol=2e-5)


def test_without_memory_for_pictures_the_answers_are_the_same(folder, model):
    forgetful = Transformers(str(folder), device="cpu", keep_mb=0)
    asks = [ScoreChoices((picture(n), "rice?"), ("yes", "no")) for n in (1, 2)] * 2
    for reply, other in zip(forgetful.answer(asks), model.answer(asks), strict=True):
        np.testing.assert_allclose(reply.log_probs, other.log_probs, atol=2e-5)
    before = forgetful._serving.pictures_computed
    forgetful.answer(asks[:1])
    assert forgetful._serving.pictures_computed == before + 1


def test_the_smallest_batches_give_the_same_answers(folder, model):
    narrow = Transformers(str(folder), device="cpu", batch_tokens=1)
    asks = [ScoreChoices(parts, ("yes", "no")) for parts in PROMPTS]
    for reply, other in zip(narrow.answer(asks), model.answer(asks), strict=True):
        np.testing.assert_allclose(reply.log_probs, other.log_probs, atol=2e-5)


def test_pictures_of_any_shape_can_be_shown_together(model):
    """Also where the library's own processor refuses them, or rounds otherwise than the tower."""
    parts = [
        part
        for n, size in enumerate([(96, 96), (40, 31), (150, 61), (20, 90)])
        for part in (f"{n}:", picture(n, *size))
    ]
    together, first = model.answer(
        [ScoreChoices((*parts, "?"), ("yes", "no")), ScoreChoices((parts[1],), ("yes", "no"))]
    )
    assert isinstance(together, ChoiceScores)
    assert together.tokens > first.tokens


def test_marks_of_a_conversation_inside_words_are_only_words(model, plain):
    token = plain.processor.image_token
    marks = [token, *plain.processor.tokenizer.all_special_tokens]
    asks = [ScoreChoices((picture(1), f"rice{mark}egg?"), ("yes", "no")) for mark in marks]
    clean = model.answer([ScoreChoices((picture(1), "rice egg?"), ("yes", "no"))])[0]
    for reply in model.answer(asks):
        np.testing.assert_allclose(reply.log_probs, clean.log_probs, atol=2e-5)


def test_one_bad_ask_does_not_spoil_the_others(model):
    good = ScoreChoices(PROMPTS[0], ("yes", "no"))
    long = ScoreChoices(("word " * 3000,), ("yes", "no"))
    asks = [good, long, ScoreChoices((), ("yes",)), ScoreChoices(("a",), ()), ScoreChoices(("a",), ("yes", "yes")),
            Generate(PROMPTS[0], max_tokens=0), Generate(("a",), max_tokens=2), ScoreChoices(("a",), ("",)),
            good]  # fmt: skip
    replies = model.answer(asks)
    assert [type(reply) for reply in replies] == [
        ChoiceScores, Failed, Failed, Failed, Failed, Failed, Text, Failed, ChoiceScores,
    ]  # fmt: skip
    assert "and the model takes 2,048 in all: show fewer or smaller pictures" in replies[1].reason
    assert "the choices 'yes' and 'yes' are the same to this model" in replies[4].reason
    np.testing.assert_allclose(replies[0].log_probs, replies[-1].log_probs, atol=1e-12)


def test_an_answer_is_cut_where_the_model_has_no_more_room(qwen):
    ten, twenty = (reply.tokens for reply in qwen.answer([ScoreChoices(("no " * n,), ("a",)) for n in (10, 20)]))
    each = (twenty - ten) / 10
    words = int(10 + (2040 - ten) / each)
    (reply,) = qwen.answer([Generate(("no " * words,), max_tokens=500)])
    assert isinstance(reply, Text)
    assert reply.cut
    assert 2040 < reply.tokens <= 2048


def test_pictures_are_scaled_to_the_pixels_that_are_allowed(qwen_folder):
    small = Transformers(str(qwen_folder), device="cpu", max_pixels=48 * 48)
    large = Transformers(str(qwen_folder), device="cpu", max_prompt_pixels=2 * 96 * 96)
    one, two = (
        ScoreChoices((picture(1, 144, 144), "?"), ("a", "b")),
        ScoreChoices((picture(1, 144, 144), picture(2, 144, 144), "?"), ("a", "b")),
    )
    words = large.answer([ScoreChoices(("?",), ("a", "b"))])[0].tokens
    assert small.answer([one])[0].tokens == words + 2 + 2 * 2
    assert large.answer([one])[0].tokens == words + 2 + 6 * 6  # 135 px make 5.6 patches of 24 px
    assert large.answer([two])[0].tokens == words + 2 * (2 + 4 * 4)


def test_no_asks_get_no_replies(model):
    assert model.answer([]) == []


def test_many_threads_get_what_they_would_alone(qwen):
    asks = [ScoreChoices((picture(n), f"rice {n}?"), ("yes", "no")) for n in range(12)]
    alone = [qwen.answer([ask])[0].log_probs for ask in asks]
    found = {}
    threads = [
        threading.Thread(target=lambda at=at, ask=ask: found.update({at: qwen.answer([ask])[0].log_probs}))
        for at, ask in enumerate(asks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose([found[at] for at in range(12)], alone, atol=2e-5)


def test_half_precision_is_scored_without_ties(qwen_folder):
    """bfloat16 has eight bits: projected in it, many of these pictures would get one and the same log-odds."""
    half = Transformers(str(qwen_folder), device="cpu", dtype="bfloat16")
    asks = [ScoreChoices((picture(n), "rice?"), ("yes", "no"), prefill=" ") for n in range(60)]
    odds = [one - other for one, other in (reply.log_probs for reply in half.answer(asks))]
    assert len({round(value, 6) for value in odds}) == 60
    as_logits = {float(torch.tensor(value).bfloat16()) for value in odds}
    assert len(as_logits) < 60


def test_small_models_get_the_short_question(qwen, qwen_folder):
    ask = ScoreChoices(("a long question",), ("yes", "no"), compact=("short?",))
    assert qwen.compact
    assert fitted(ask, qwen).parts == ("short?",)
    assert not Transformers(str(qwen_folder), device="cpu", compact=False).compact


def test_a_closed_model_answers_nothing(qwen_folder):
    import gc
    import weakref

    model = Transformers(str(qwen_folder), device="cpu")
    weights = weakref.ref(model._serving._loaded.model)
    model.close()
    model.close()
    gc.collect()
    assert weights() is None
    assert model.answer([Generate(("a",))]) == [Failed(f"the model '{qwen_folder}' is closed")]


def test_log_probabilities_are_of_the_whole_vocabulary(qwen):
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    (reply,) = qwen.answer([ScoreChoices(("say",), letters)])
    assert all(value < 0 for value in reply.log_probs)
    assert sum(math.exp(value) for value in reply.log_probs) < 1


def test_attention_is_that_of_the_whole_maps(model, folder, plain):
    """The library can keep all maps of a prompt; the mean of their middle third is what is told without them."""
    slow = AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, attn_implementation={"text_config": "eager"}, local_files_only=True
    ).eval()
    asks = [Attend(parts) for parts in (PROMPTS[4], PROMPTS[0], ("a:", picture(7), "b:", picture(8), "c:", picture(9)))]
    before = model.answer([ScoreChoices(PROMPTS[4], ("1", "2"))])
    for ask, reply in zip(asks, model.answer(asks), strict=True):
        inputs = plain.inputs(ask.parts)
        with torch.inference_mode():
            maps = slow(**inputs, output_attentions=True, use_cache=False).attentions
        middle = torch.stack(maps[1:2])[:, 0]  # (layers, heads, tokens, tokens) of the one in the middle of three
        mark = plain.processor.tokenizer.convert_tokens_to_ids(plain.processor.image_token)
        spots = (
            (inputs["input_ids"][0] == mark)
            .nonzero()[:, 0]
            .split(
                len(
                    model._serving._rows.pictures.see([part for part in ask.parts if not isinstance(part, str)][:1])[
                        0
                    ].pooled
                )
            )
        )
        looking = middle[:, :, int(spots[-1][-1]) + 1 :].mean(dim=(0, 1, 2))
        expected = [float(looking[own[1:-1]].mean()) for own in spots]
        np.testing.assert_allclose(reply.masses, expected, rtol=1e-4)
        assert len(reply.masses) == sum(not isinstance(part, str) for part in ask.parts)
    assert model.answer([ScoreChoices(PROMPTS[4], ("1", "2"))]) == before


def test_without_pictures_there_is_nothing_to_attend_to(qwen):
    assert qwen.answer([Attend(("words alone",))])[0].reason == "there is no picture to attend to"


@pytest.mark.parametrize("setting", ["max_pixels", "max_prompt_pixels", "batch_tokens"])
def test_limits_have_to_be_positive(setting, qwen_folder):
    from mmretrieval.errors import UsageError

    with pytest.raises(UsageError, match=f"{setting} is 0, and it must be at least 1"):
        Transformers(str(qwen_folder), **{setting: 0})


def test_asks_past_the_deadline_are_failed_unasked_and_can_be_asked_again(qwen_folder):
    model = Transformers(str(qwen_folder), device="cpu", batch_tokens=1)
    asks = [
        ScoreChoices((picture(1), "rice?"), ("yes", "no")),
        Generate((picture(2), "describe the picture"), max_tokens=3),
        Attend((picture(3), "rice")),
    ]
    before = model.answer(asks)
    assert not any(isinstance(reply, Failed) for reply in before)
    model.deadline = time.monotonic()
    assert model.answer(asks) == [Failed(TIME_IS_UP, asked=False)] * 3
    model.deadline = math.inf
    assert model.answer(asks) == before


def test_what_was_answered_by_the_deadline_stays(qwen_folder):
    """The deadline passes during the second prompt of each kind; every prompt is a batch of its own."""
    model = Transformers(str(qwen_folder), device="cpu", batch_tokens=1)
    kinds = {
        "score": [ScoreChoices((picture(n), "rice? " * (4 - n)), ("yes", "no")) for n in range(4)],
        "attend": [Attend((picture(n), "rice")) for n in range(4)],
    }
    serving = model._serving
    for asks in kinds.values():
        whole, seen = model.answer(asks), []

        def passes(*_, seen=seen):
            seen.append(1)
            if len(seen) == 2:
                serving._room.deadline = -math.inf

        hook = serving._loaded.model.register_forward_hook(passes)
        replies = model.answer(asks)
        hook.remove()
        assert replies[:2] == whole[:2]
        assert replies[2:] == [Failed(TIME_IS_UP, asked=False)] * 2


def test_an_answer_that_was_begun_when_time_was_up_counts_as_asked(qwen_folder):
    """Choices of several tokens with different beginnings take several passes; only the first is in time."""
    model = Transformers(str(qwen_folder), device="cpu", batch_tokens=1)
    serving = model._serving
    ask = ScoreChoices((picture(1), "which?"), ("rice and soup", "fish and bread", "egg and toast"))

    def passes(*_):
        serving._room.deadline = -math.inf

    hook = serving._loaded.model.register_forward_hook(passes)
    assert model.answer([ask]) == [Failed(TIME_IS_UP)]
    hook.remove()
