"""The recipe end to end on a few pictures: what it writes, how it resumes, what several processes agree on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import nn

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.training import checkpoint, clip_folder, parallel, pool
from mmretrieval.training.clip import TrainingReport, train
from mmretrieval.training.clip_batches import Batches
from mmretrieval.training.clip_learner import Learner

PAIRS = 100
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
        workers=1,
        device="cpu",
        progress=lambda now: done.append(max(done[-1], now.steps)),
        stop=lambda: done[-1] >= until,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of the warm start, then, with the clock put forward, one of the contrastive stage."""
    out = tmp_path_factory.mktemp("train") / "clip"
    assert train_steps(out, 2).steps == 2
    state = out / "training" / "checkpoint" / "state.json"
    facts = json.loads(state.read_text())
    state.write_text(json.dumps(facts | {"seconds": MINUTES * 60 * 0.6}))
    assert train_steps(out, 3, resume=True).steps == 3
    assert json.loads(state.read_text())["contrast_from"] == 2
    return out


def test_open_clip_loads_what_a_training_writes(trained: Path) -> None:
    name = f"local-dir:{trained}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.inference_mode():
        image = model.encode_image(preprocess(Image.new("RGB", (200, 100), (90, 120, 40)))[None], normalize=True)
        text = model.encode_text(open_clip.get_tokenizer(name)(["two red foxes, étrange"]), normalize=True)
    assert image.shape == text.shape == (1, clip_folder.EMBED_DIM)
    assert torch.isfinite(image).all()
    assert torch.isfinite(text).all()


def test_a_stopped_training_keeps_what_it_has_and_resumes_there(tmp_path: Path) -> None:
    report = train_steps(tmp_path, 1)
    assert (report.steps, report.finished) == (1, False)
    weights = (tmp_path / "training" / "checkpoint" / "module.safetensors").read_bytes()
    assert train_steps(tmp_path, 1, resume=True).steps == 1  # stopped before its first step: nothing may change
    assert (tmp_path / "training" / "checkpoint" / "module.safetensors").read_bytes() == weights
    assert train_steps(tmp_path, 2, resume=True).steps == 2
    assert (tmp_path / "training" / "checkpoint" / "module.safetensors").read_bytes() != weights


def test_the_time_that_is_up_ends_a_training(tmp_path: Path) -> None:
    report = train(tmp_path, 1e-6, pairs=PAIRS, workers=1, device="cpu")
    assert report.finished
    assert report.seconds >= 60e-6


def test_nothing_to_resume_and_no_time_are_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint"):
        train(tmp_path, 1.0, resume=True)
    with pytest.raises(UsageError, match="positive"):
        train(tmp_path, 0.0)


def test_a_checkpoint_gives_back_every_tensor_and_survives_a_kill_between_its_renames(tmp_path: Path) -> None:
    def make() -> tuple[nn.Module, torch.optim.Optimizer]:
        module = nn.Linear(3, 2)
        return module, torch.optim.AdamW(module.parameters())

    module, optimizer = make()
    module(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint.save(tmp_path / "c", module, optimizer, {"steps": 1})
    (tmp_path / "c").rename(tmp_path / "c.old")
    other, fresh = make()
    assert checkpoint.load(tmp_path / "c", other, fresh) == {"steps": 1}
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
    for mine, theirs in zip(
        optimizer.state_dict()["state"].values(), fresh.state_dict()["state"].values(), strict=True
    ):
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    (tmp_path / "c.old" / "module.safetensors").write_bytes(b"broken")
    with pytest.raises(InvalidData, match="cannot be used"):
        checkpoint.load(tmp_path / "c", other, fresh)


def test_a_pool_filled_in_two_goes_equals_one_filled_at_once(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    assert list(pool.fill(once, "s", 60, 32, workers=1))[-1] == 60
    list(pool.fill(twice, "s", 20, 32, workers=1))
    with twice.open("ab") as file:
        file.write(b"half a row")
    list(pool.fill(twice, "s", 60, 32, workers=1))
    assert once.read_bytes() == twice.read_bytes()
    expected = np.frombuffer(pool.draw_pairs("s", 7, 8, 32), np.uint8).reshape(2, 32, 32, 3)
    assert np.array_equal(pool.pixels(once, 32)[14:16], expected)


def test_texts_in_halves_give_the_vectors_of_the_padded_batch(trained: Path) -> None:
    learner = Learner().eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{trained}")
    ids = tokenizer(["a fox", "two tomatoes on the left and rice at the top, on a blue dish", "", "snow " * 30])
    full = learner.mask
    with torch.no_grad():
        halves = learner.encode_texts(ids)
        learner.clip.text.attn_mask = full
        assert torch.allclose(halves, learner.clip.encode_text(ids), atol=1e-5)


def test_a_text_is_not_pushed_from_another_picture_that_shows_all_it_mentions(trained: Path) -> None:
    pixels = pool.pixels(trained / "training" / "pool.u8", clip_folder.IMAGE_SIZE)
    tokenizer = open_clip.get_tokenizer(f"local-dir:{trained}")
    batches = Batches(pixels, "0", tokenizer, torch.device("cpu"), rank=0)
    rows, images, targets = batches.images(5, "contrast")
    again = batches.images(5, "contrast")
    assert np.array_equal(rows, again[0])
    assert torch.equal(images, again[1])
    assert images.shape[1:] == (3, clip_folder.IMAGE_SIZE, clip_folder.IMAGE_SIZE)
    assert len(targets) == len(rows)
    _, mentioned, allowed = batches.texts(rows, 5)
    from mmretrieval.training.slots import FACTS

    for i in range(0, len(rows), 17):
        said = {FACTS[j] for j in np.flatnonzero(mentioned[i].numpy())}
        assert said <= batches.scenes[rows[i]].facts
        for j in range(len(rows)):
            assert bool(allowed[i, j]) == (i == j or not said <= batches.scenes[rows[j]].facts)


def test_two_processes_average_their_gradients(tmp_path: Path) -> None:
    with parallel.group(2, tmp_path / "meeting", other_gradient):
        module = nn.Linear(2, 1)
        parallel.start_alike(module)
        module.weight.grad = torch.full((1, 2), 1.0)
        module.bias.grad = torch.full((1,), 5.0)
        assert parallel.agree([3.0, 4.0]) == [3.0, 4.0]
        parallel.average_gradients(module)
        assert torch.equal(module.weight.grad, torch.full((1, 2), 2.0))
        assert torch.equal(module.bias.grad, torch.full((1,), 6.0))


def other_gradient(rank: int) -> None:
    module = nn.Linear(2, 1)
    parallel.start_alike(module)
    module.weight.grad = torch.full((1, 2), 3.0)
    module.bias.grad = torch.full((1,), 7.0)
    assert parallel.agree([float(rank), 0.0]) == [3.0, 4.0]
    parallel.average_gradients(module)
