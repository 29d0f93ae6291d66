"""The recipe of the demo VLM on a few pictures: what it writes, how it resumes, and that what it learns is true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from mmretrieval import prompts
from mmretrieval.demo.edits import edit
from mmretrieval.demo.sample import scene
from mmretrieval.encoders import demo_folder
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.training import pool, vlm_features, vlm_hints, vlm_sheets, vlm_words
from mmretrieval.training.clip import TrainingReport
from mmretrieval.training.vlm import rate, train
from mmretrieval.training.vlm_batches import AFTER, BEFORE, SEQUENCES, Batches
from mmretrieval.training.vlm_dialogue import IGNORED, Dialogue
from mmretrieval.training.vlm_folder import ASSISTANT, END, IMAGE, PAD, START, USER
from mmretrieval.training.vlm_learner import Learner

PAIRS = 40
MINUTES = 1000.0


def train_steps(out: Path, until: int, *, resume: bool = False) -> TrainingReport:
    """Trains until that many steps are done in all, however fast the machine is."""
    state = out / "training" / "checkpoint" / "state.json"
    done = [json.loads(state.read_text())["steps"] if resume else 0]
    return train(
        out,
        MINUTES,
        resume=resume,
        pairs=PAIRS,
        device="cpu",
        progress=lambda now: done.append(max(done[-1], now.steps)),
        stop=lambda: done[-1] >= until,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One step on sentences, then, with the clock put forward, one on all tasks."""
    out = tmp_path_factory.mktemp("train") / "vlm"
    assert train_steps(out, 1).steps == 1
    state = out / "training" / "checkpoint" / "state.json"
    facts = json.loads(state.read_text())
    state.write_text(json.dumps(facts | {"seconds": MINUTES * 60 * 0.5}))
    assert train_steps(out, 2, resume=True).steps == 2
    return out


@pytest.fixture(scope="module")
def batches(trained: Path) -> Batches:
    features = {1: vlm_features.rows(trained / "training" / "features-1.f16", (96, 96))}
    for layout in vlm_sheets.LAYOUTS:
        features[layout.side] = vlm_features.rows(trained / "training" / f"features-{layout.side}.f16", layout.shape)
    return Batches(features, PAIRS, "0", Tokenizer.from_file(str(trained / "tokenizer.json")))


def test_a_sentence_says_every_slot_and_is_read_back_whole() -> None:
    for number in range(400):
        shown = scene("words", number, "both")
        assert vlm_words.read(vlm_words.sentence(shown)) == vlm_words.values_of(shown)


def test_a_question_fits_exactly_one_of_a_picture_and_its_edit() -> None:
    rng = Random(3)
    first = 0
    for number in range(300):
        one = scene("questions", number, "both")
        other = edit(one, rng)[0]
        words, facts = vlm_words.question(one, other, rng)
        assert words
        assert (facts <= one.facts) is not (facts <= other.facts)
        first += facts <= one.facts
    assert 90 < first < 210


def test_the_auto_classes_load_what_a_training_writes_and_lay_a_chat_out_as_it_was_learned(trained: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(trained)
    model = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32).eval()
    assert sum(file.stat().st_size for file in trained.iterdir() if file.is_file()) < 15_000_000
    image = Image.new("RGB", (256, 200), (90, 120, 40))
    content = [{"type": "image", "image": image}, {"type": "text", "text": prompts.CAPTION}]
    chat = [{"role": "user", "content": content}]
    given = processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    words = Tokenizer.from_file(str(trained / "tokenizer.json")).encode(prompts.CAPTION, add_special_tokens=False).ids
    assert given["input_ids"][0].tolist() == [START, USER, *[IMAGE] * 9, *words, ASSISTANT]
    assert given["pixel_values"].shape[-2:] == (96, 96)
    out = model.generate(**given, max_new_tokens=3)
    assert out.shape[1] == given["input_ids"].shape[1] + 3 or out[0, -1] == END


def test_features_kept_on_disk_teach_the_same_as_the_model_looking_itself(trained: Path, batches: Batches) -> None:
    learner = Learner(demo_folder())
    pixels = pool.pixels(trained / "training" / "pool.u8", 96)
    fresh = vlm_features.seen(learner.tower, pixels[6:9])
    np.testing.assert_allclose(fresh, batches.features[1][6:9], rtol=2e-3, atol=1e-3)  # batch sizes round otherwise
    layout = vlm_sheets.LAYOUTS[0]
    drawn = vlm_sheets.pixels(pixels, "0", layout, 3, 4)
    assert drawn.shape[1:3] == layout.shape == (256, 192)
    rows = vlm_sheets.chosen("0", layout, 3, PAIRS)
    np.testing.assert_array_equal(drawn[0, 32:128, :96], pixels[rows[0]])
    looked = vlm_features.seen(learner.tower, drawn)[0]
    np.testing.assert_allclose(looked, batches.features[2][3], rtol=2e-3, atol=1e-3)


def test_the_learners_loss_is_that_of_the_whole_model(trained: Path, batches: Batches) -> None:
    """The slow way: pictures through the model, and its own logits."""
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32).eval()
    learner = Learner(demo_folder())
    learner.vlm.load_state_dict(model.state_dict())
    parts = batches.batch(5, {"caption": 1.0}, torch.device("cpu"))
    pixels = pool.pixels(trained / "training" / "pool.u8", 96)
    every = vlm_features.seen(learner.tower, pixels).astype(np.float32)
    total, weight = 0.0, 0.0
    for part in parts:
        seen = part.features.reshape(-1, 9, part.features.shape[1]).numpy()
        rows = [int(np.flatnonzero((every == one).all(axis=(1, 2)))[0]) for one in seen]
        shown = torch.tensor(pixels[rows]).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.inference_mode():
            logits = model(input_ids=part.ids, attention_mask=(part.ids != PAD).long(), pixel_values=shown).logits
        said = logits[:, :-1].log_softmax(-1).gather(-1, part.targets[:, 1:].clamp(min=0)[..., None])[..., 0]
        total -= float((said * part.weights[:, 1:]).sum())
        weight += float(part.weights.sum())
    # features are kept in half precision
    said, missed = learner.loss(parts)
    assert missed == 0
    assert float(said.detach()) == pytest.approx(total / weight, rel=2e-3)


def test_the_learners_hints_are_those_of_the_whole_models_attention(trained: Path, batches: Batches) -> None:
    """The slow way: one dialogue at a time through the whole model, so that nothing is padded."""
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(
        trained, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    learner = Learner(demo_folder())
    learner.vlm.load_state_dict(model.state_dict())
    (part, *_) = batches.batch(5, {"single": 1.0}, torch.device("cpu"))
    embed, project = model.get_input_embeddings(), model.model.multi_modal_projector
    pictures = iter(project(part.features).split(9))
    attentions = []
    for ids in part.ids:
        ids = ids[ids != PAD]
        given = embed(ids)
        given[ids == IMAGE] = next(pictures)
        out = model.model.language_model(inputs_embeds=given[None], output_attentions=True)
        attentions.append(
            [torch.nn.functional.pad(one, (0, 400 - len(ids), 0, 400 - len(ids))) for one in out.attentions]
        )
    whole = [torch.cat(layer) for layer in zip(*attentions, strict=True)]
    _, missed = learner.loss([part])
    assert float(missed.detach()) == pytest.approx(float(vlm_hints.loss(whole, part.hints).detach()), rel=1e-3)


def test_a_batch_follows_from_its_number_and_every_answer_is_learned_whole(batches: Batches) -> None:
    """Besides answers only yes and no are learned, at the ends of phrases, where nothing is said."""
    known = torch.tensor([batches.encode(word)[0][0] for word in prompts.YES_NO])
    for shares in (BEFORE, AFTER):
        parts, again = (batches.batch(7, shares, torch.device("cpu")) for _ in range(2))
        assert [part.ids.tolist() for part in parts] == [part.ids.tolist() for part in again]
        assert all(torch.equal(part.features, same.features) for part, same in zip(parts, again, strict=True))
        assert sum(len(part.ids) for part in parts) == SEQUENCES
        assert [part.ids.shape[1] for part in parts] == sorted(part.ids.shape[1] for part in parts)
        for part in parts:
            learned = part.targets != IGNORED
            silent = learned & (part.targets != part.ids)
            assert bool(torch.isin(part.targets[silent], known).all())
            assert torch.equal(learned, part.weights > 0)
            assert int((part.ids == IMAGE).sum()) == len(part.features)
            assert int((part.ids == ASSISTANT).sum()) == int((part.targets == END).sum())
        silent_too = any(bool(((p.targets != IGNORED) & (p.targets != p.ids)).any()) for p in parts)
        assert silent_too is (shares is AFTER)
        assert batches.batch(8, shares, torch.device("cpu"))[0].ids.tolist() != parts[0].ids.tolist()


def test_the_rate_rises_stays_and_falls() -> None:
    assert rate(0, 0.0) < rate(100, 0.01) < rate(400, 0.02) == rate(9_000, 0.4)
    assert rate(9_000, 0.4) > rate(9_000, 0.8) > rate(9_000, 0.99) > 0


def test_a_checkpoint_is_needed_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume"):
        train(tmp_path, 1.0, resume=True)
    with pytest.raises(UsageError, match="positive number of minutes"):
        train(tmp_path, 0.0)


def test_a_damaged_checkpoint_is_named(trained: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (copy / "training" / "checkpoint" / "module.safetensors").write_bytes(b"short")
    with pytest.raises(InvalidData, match="start again without --resume"):
        train_steps(copy, 3, resume=True)


def test_the_words_a_change_is_about_count_more() -> None:
    vocabulary = {word: number for number, word in enumerate("abcdef", start=10)}

    def encode(text: str) -> tuple[list[int], list[int]]:
        return [vocabulary[word] for word in text.split()], []

    dialogue = Dialogue(encode)
    dialogue.user()
    dialogue.changed_answer("a x b".replace("x", "e f"), "a b", 5.0)
    assert dialogue.weights == [0.0, 0.0, 0.0, 1.0, 5.0, 5.0, 1.0, 1.0]
    shorter = Dialogue(encode)
    shorter.changed_answer("a d", "a b c d", 5.0)
    assert shorter.weights == [0.0, 0.0, 1.0, 5.0, 1.0]
    assert shorter.targets == [IGNORED, IGNORED, 10, 13, END]


def test_answers_about_details_are_true_of_the_scene() -> None:
    """The slow way: the answer's words, looked up in the sentence of the scene, which is read back whole elsewhere."""
    rng = Random(4)
    absent = 0
    for number in range(600):
        shown = scene("details", number, "both")
        words, answer = vlm_words.detail(shown, rng)
        assert words.endswith("?")
        if answer == vlm_words.NONE:
            absent += 1
            continue
        assert re.search(rf"\b{answer}\b", vlm_words.sentence(shown)), (words, answer)
    assert 50 < absent < 300
