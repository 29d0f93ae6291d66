"""Captions by a model: each picture gets its own, nothing is asked twice, and what people wrote stays."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from caption_process import Seer, seen
from example_stages import Scripted
from store_samples import SketchEncoder, save

from mmretrieval import prompts
from mmretrieval.asks import Failed, Text
from mmretrieval.budget import Budget
from mmretrieval.calls import Calls
from mmretrieval.captioning import MOST_FAILURES, describe, origin_of
from mmretrieval.captions import encode_captions
from mmretrieval.collection import Collection
from mmretrieval.correcting import set_by_hand
from mmretrieval.describing import LONG, PER_WORD
from mmretrieval.errors import IndexLocked, NotFound, UsageError
from mmretrieval.indexing import index
from mmretrieval.lock import sole_writer
from mmretrieval.making import follow_captions

NAMES = "abcdefghij"


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        save(tmp_path / "pictures" / f"{name}.png", number)
    bring(tmp_path, {})
    return tmp_path


def bring(folder, captions, names=NAMES):
    lines = [{"id": name, "path": f"{name}.png", "caption": captions.get(name, "")} for name in names]
    (folder / "pictures" / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return index(folder / "pictures", folder / "idx", encoder=SketchEncoder())


def told(folder, kind="caption"):
    with Collection.open(folder / "idx") as collection:
        return {name: collection.features(name).get(kind, "") for name in collection.ids}


def truth(folder):
    with Collection.open(folder / "idx") as collection:
        return {name: seen(collection.open_image(name)) for name in collection.ids}


def origins(folder):
    with Collection.open(folder / "idx") as collection:
        return {each["id"]: each["origin"] for each in collection.descriptions() if each["kind"] == "caption"}


def run(folder, mllm=None, **more):
    return describe(folder / "idx", mllm or Scripted(lambda ask: Text(seen(ask.parts[0]), tokens=7)), **more)


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_picture_gets_the_caption_of_its_own_picture(folder, batch_size):
    model = Scripted(lambda ask: Text(seen(ask.parts[0]), tokens=7))
    report = run(folder, model, batch_size=batch_size)
    assert told(folder) == truth(folder)
    assert report.states["caption"] == {"ok": 10, "kept": 0, "pending": 0}
    assert (report.calls, report.tokens, report.is_partial) == (10, 70, False)
    assert len(model.calls) == -(-10 // batch_size)
    assert {tuple(ask.parts[1:]) for call in model.calls for ask in call} == {(prompts.caption(None).parts[1],)}


def test_a_second_run_asks_nothing(folder):
    run(folder)
    again = Scripted(lambda ask: Failed("nobody should ask"))
    report = run(folder, again)
    assert again.calls == [[]] or again.calls == []
    assert report.states["caption"]["kept"] == 10


def test_a_failed_picture_has_no_caption_and_is_asked_again_alone(folder):
    right = truth(folder)
    bad = {right[name] for name in "bdf"}
    report = run(
        folder,
        Scripted(lambda ask: Failed("gone") if seen(ask.parts[0]) in bad else Text(seen(ask.parts[0]))),
        batch_size=2,
    )
    assert told(folder) == {name: "" if name in "bdf" else text for name, text in right.items()}
    assert report.failures == [(name, "caption", "gone") for name in "bdf"]
    assert report.is_partial
    model = Scripted(lambda ask: Text(seen(ask.parts[0])))
    run(folder, model)
    assert sum(map(len, model.calls)) == 3
    assert told(folder) == right


@pytest.mark.parametrize("said", ["", "I'm sorry, I can't help with that.", "<think>well"])
def test_an_answer_that_says_nothing_is_a_refusal_and_is_not_asked_again_of_the_same_model(folder, said):
    report = run(folder, Scripted(lambda _: Text(said)))
    assert report.states["caption"]["refused"] == 10
    assert set(told(folder).values()) == {""}
    same = Scripted(lambda _: Text("a heron"))
    run(folder, same)
    assert sum(map(len, same.calls)) == 0
    run(folder, same, replacing=["model"])
    assert sum(map(len, same.calls)) == 0
    other = Scripted(lambda _: Text("a heron"))
    other.spec = "other"
    run(folder, other, replacing=["model"])
    assert set(told(folder).values()) == {"a heron"}


def test_a_cut_answer_is_kept_and_told(folder):
    report = run(folder, Scripted(lambda _: Text("rice, salmon, eg", cut=True)), what=["caption", "ingredients"])
    assert report.states["caption"]["cut"] == report.states["ingredients"]["cut"] == 10
    assert set(told(folder).values()) == {"rice, salmon, eg"}
    assert set(told(folder, "ingredients").values()) == {"rice, salmon"}


def test_captions_of_the_manifest_and_edited_ones_stay_unless_told_otherwise(folder):
    bring(folder, {"a": "a dog", "b": "a cat"})
    set_by_hand(folder / "idx", "b", "a lynx")
    set_by_hand(folder / "idx", "c", "a fox")
    right, model = truth(folder), Scripted(lambda ask: Text(seen(ask.parts[0])))
    run(folder, model)
    mine = {"a": "a dog", "b": "a lynx", "c": "a fox"}
    assert told(folder) == {**right, **mine}
    by = origin_of(model, "caption")
    assert origins(folder) == dict.fromkeys(NAMES, by) | {"a": "manifest", "b": "edited", "c": "edited"}
    run(folder, model, replacing=["manifest"])
    assert told(folder) == {**right, "b": "a lynx", "c": "a fox"}
    run(folder, model, replacing=["edited"])
    assert told(folder) == right


def test_a_hands_caption_can_be_taken_back(folder):
    bring(folder, {"a": "a dog"})
    assert set_by_hand(folder / "idx", "a", "  a\x00 lynx ") == "a lynx"
    assert set_by_hand(folder / "idx", "a", "") == "a dog"
    assert set_by_hand(folder / "idx", "a", "Eggs, rice, egg", "ingredients") == "eggs, rice"
    with pytest.raises(NotFound, match="no picture has the id 'zebra'"):
        set_by_hand(folder / "idx", "zebra", "a zebra")
    with pytest.raises(UsageError, match="holds no words"):
        set_by_hand(folder / "idx", "a", "<|im_end|>")


def test_a_picture_that_cannot_be_opened_fails_alone(folder):
    (folder / "pictures" / "c.png").write_bytes(b"no picture")
    right = {name: text for name, text in run_and_tell(folder).items() if name != "c"}
    assert told(folder) == {**right, "c": ""}


def run_and_tell(folder):
    report = run(folder)
    assert [(name, kind) for name, kind, _ in report.failures] == [("c", "caption")]
    assert "c.png" in report.failures[0][2]
    with Collection.open(folder / "idx") as collection:
        return {name: seen(collection.open_image(name)) for name in collection.ids if name != "c"}


def test_a_spent_budget_leaves_the_rest_pending_and_the_next_run_goes_on(folder):
    seer = Seer()
    report = run(folder, Calls(seer, budget=Budget(max_calls=7)), batch_size=4)
    assert (report.states["caption"]["ok"], report.states["caption"]["pending"]) == (7, 3)
    assert "the budget of 7 calls is spent" in report.stopped
    assert report.calls == 7
    report = run(folder, Calls(seer))
    assert (report.calls, report.stopped) == (3, "")
    assert told(folder) == truth(folder)


def test_a_stop_ends_after_the_batch_in_hand(folder):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 2

    report = run(folder, batch_size=2, stop=stop)
    assert (report.states["caption"]["ok"], report.states["caption"]["pending"]) == (4, 6)
    assert "run the same command again" in report.stopped


def test_a_killed_run_loses_at_most_the_batch_in_hand(folder):
    log = folder / "log"
    script = Path(__file__).with_name("caption_process.py")
    process = subprocess.Popen([sys.executable, script, folder / "idx", log])
    while not log.exists() or len(log.read_text().splitlines()) < 6:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = sum(bool(text) for text in told(folder).values())
    before = len(log.read_text().splitlines())
    assert kept >= 4
    run(folder, Seer(log))
    assert told(folder) == truth(folder)
    assert len(log.read_text().splitlines()) == before + 10 - kept


def test_a_model_that_fails_on_everything_stops_the_run(folder):
    for number in range(10, MOST_FAILURES + 10):
        save(folder / "pictures" / f"z{number}.png", number)
    bring(folder, {}, names=[*NAMES, *(f"z{number}" for number in range(10, MOST_FAILURES + 10))])
    report = run(folder, Scripted(lambda _: Failed("connection refused")), batch_size=4)
    assert report.states["caption"]["failed"] == MOST_FAILURES
    assert report.states["caption"]["pending"] == 10
    assert "connection refused" in report.stopped


def test_a_small_model_is_asked_its_short_questions_and_only_the_aspects_it_knows(folder):
    model = Scripted(lambda ask: Text(ask.parts[1]), compact=True)
    calls = Calls(model)
    run(folder, calls, what=["caption", "ingredients", "aspects"], encoder=SketchEncoder())
    asked = {ask.parts[1] for call in model.calls for ask in call}
    assert asked == {prompts.CAPTION, prompts.INGREDIENTS}
    with Collection.open(folder / "idx") as collection:
        assert set(collection.feature_rows(["a"])["a"]["aspects"].details) == set(prompts.COMPACT_ASPECTS)


def test_the_two_aspects_that_fit_the_picture_best_are_kept(folder):
    said = {name: f"{name} {'of many words ' * (9 if name == 'scene' else 1)}" for name in prompts.ASPECTS}
    said["writing"] = "None."
    said["attributes"] = "<|im_end|>"

    def reply(ask):
        [name] = [name for name, words in prompts.ASPECTS.items() if words in ask.parts[1]]
        return Text(said[name])

    run(folder, Scripted(reply), what=["aspects"], encoder=SketchEncoder())
    encoder = SketchEncoder()
    with Collection.open(folder / "idx") as collection:
        for name in collection.ids:
            row = collection.vectors("image", [name])[0]
            feature = collection.feature_rows([name])[name]["aspects"]
            texts = {aspect: " ".join(said[aspect].split()) for aspect in ("subject", "scene", "ingredients")}
            worth = {
                aspect: float(encoder.encode_texts([text])[0] @ row) - PER_WORD * max(len(text.split()) - LONG, 0)
                for aspect, text in texts.items()
            }
            best = sorted(worth, key=worth.get)[-2:]
            assert {aspect for aspect, each in feature.details.items() if each["kept"]} == set(best)
            np.testing.assert_allclose([feature.details[a]["score"] for a in worth], list(worth.values()), atol=1e-4)
            assert feature.text == " ".join(f"{texts[a]}." for a in texts if a in best)
            assert collection.record(name).caption == feature.text


def test_the_channel_of_captions_and_the_full_text_follow(folder):
    encoder = SketchEncoder()
    bring(folder, {"a": "a dog"})
    encode_captions(folder / "idx", "clip", encoder)
    run(folder)
    assert follow_captions(folder / "idx", encoder=encoder) == (9, ())
    set_by_hand(folder / "idx", "c", "a heron")
    assert follow_captions(folder / "idx", encoder=encoder) == (1, ())
    texts = {**truth(folder), "a": "a dog", "c": "a heron"}
    with Collection.open(folder / "idx") as collection:
        rows = collection.vectors("caption", list(texts))
        np.testing.assert_allclose(rows, encoder.encode_texts(list(texts.values())), atol=1e-3)
        assert [collection.ids[p] for p in collection.lexical("heron")[0]] == ["c"]


def test_what_the_model_says_is_cleaned_before_it_is_stored(folder):
    run(folder, Scripted(lambda _: Text("a heron<|im_end|>\x00\x1b <image> " + "x" * 5000)))
    assert all(text.startswith("a heron") and len(text) <= 600 for text in told(folder).values())
    assert not any("<" in text or "\x1b" in text for text in told(folder).values())


def test_wishes_that_cannot_be_met_are_refused_before_anything_is_asked(folder):
    model = Scripted(lambda _: Text("x"))
    with pytest.raises(UsageError, match="choose among caption, ingredients, aspects"):
        run(folder, model, what=["smell"])
    with pytest.raises(UsageError, match="choose among model, manifest, edited"):
        run(folder, model, replacing=["all"])
    with pytest.raises(UsageError, match="encoder"):
        run(folder, model, what=["aspects"])
    with pytest.raises(NotFound):
        describe(folder / "nowhere", model)
    with sole_writer(folder / "idx"), pytest.raises(IndexLocked):
        run(folder, model)
    assert model.calls == []
