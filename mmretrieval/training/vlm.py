"""Recipe of the demo VLM: the demo CLIP's tower stands still, a small language model learns to read its map.

1. Sentences (the first `SENTENCES` of the time): one sentence that says every slot of a scene, so that each slot is
   learned from every picture.
2. All tasks (the rest): also lists of items, the sentence after a change (`vlm_changes`), yes or no to a query and to
   each of its phrases (`vlm_phrases`), questions about single things (`vlm_things`), and the order of labelled pictures
   and of the cells of a marked sheet. The learning rate falls to nothing from `FALLING` on.

Two more losses help words find what they name: pictures' tokens are drawn towards the words for what is there
(`vlm_alignment`), and some attention heads are told where to look (`vlm_hints`).

What the tower sees is computed once and kept on disk, so that a step costs the language model alone. The layout is
FastVLM's (Vasu et al., 2025): a convolutional tower, two linear layers, a Qwen2 language model.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmretrieval.encoders import demo_folder
from mmretrieval.errors import UsageError
from mmretrieval.training import checkpoint, clip_folder, pool, vlm_features, vlm_folder, vlm_sheets
from mmretrieval.training.clip import MOST_PAIRS, TrainingProgress, TrainingReport
from mmretrieval.training.vlm_alignment import Alignment
from mmretrieval.training.vlm_batches import AFTER, BEFORE, SEQUENCES, Batches
from mmretrieval.training.vlm_learner import Learner, device_of

SENTENCES = 0.2
FALLING = 0.45
RATE = 2e-3
ALIGNMENT, HINTS = 0.3, 0.3  # weights beside what is said
WARM_UP_STEPS = 300
SAVE_SECONDS = 60.0

Report = Callable[[TrainingProgress], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What one training was asked for."""

    out: Path
    clip: Path
    seconds: float
    resume: bool
    seed: str
    pairs: int
    device: torch.device


def train(
    out: Path,
    minutes: float,
    *,
    clip: Path | None = None,
    resume: bool = False,
    seed: str = "0",
    pairs: int | None = None,
    device: str | None = None,
    progress: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> TrainingReport:
    """Trains for `minutes` of wall time in all (drawing and looking not counted), resumable at any checkpoint.

    `clip` is the folder of a demo CLIP whose tower is taken over, by default the one that ships. Writes the model
    folder `out` and, in `out/training/`, the drawn pictures (55 KB a pair), what the tower sees of them (13 KB a pair
    and more for sheets) and the checkpoint. Without `pairs`, 500 are drawn for every minute, at most `MOST_PAIRS`.
    """
    if minutes <= 0:
        raise UsageError(f"--minutes {minutes}: give a positive number of minutes")
    saved = _checkpoint(out)
    if resume and not saved.exists() and not saved.with_name("checkpoint.old").exists():
        raise UsageError(f"{out} holds no checkpoint to resume; leave --resume out")
    saved.parent.mkdir(parents=True, exist_ok=True)
    number = pairs or max(pool.CHUNK, min(MOST_PAIRS, round(500 * minutes)))
    settings = Settings(out, clip or demo_folder(), minutes * 60.0, resume, seed, number, device_of(device))
    report: Report = progress or (lambda _: None)
    for drawn in pool.fill(_kept(out, "pool.u8"), seed, number, clip_folder.IMAGE_SIZE, workers=os.cpu_count() or 1):
        report(TrainingProgress("draw", drawn, number, 0.0, 0))
    if not resume or not (out / "tokenizer.json").exists():
        vlm_folder.write_tokenizer(out, seed)
    vlm_folder.write_processor(out)
    return _run(settings, report, stop or (lambda: False))


def _run(of: Settings, report: Report, stop: Callable[[], bool]) -> TrainingReport:
    """Steps until the time is up or `stop` says so, with a checkpoint every minute."""
    torch.manual_seed(int.from_bytes(of.seed.encode()[:6], "little"))
    learner = Learner(of.clip).to(of.device)
    optimizer = torch.optim.AdamW(learner.groups(), lr=RATE, betas=(0.9, 0.95))
    facts: dict[str, Any] = {"seconds": 0.0, "steps": 0, "sequences": 0}
    if of.resume:
        facts = checkpoint.load(_checkpoint(of.out), learner.learned, optimizer)
    batches = _batches(of, learner, report)
    alignment = Alignment(lambda text: batches.encode(text)[0])
    before, began, last_save, ended = facts["seconds"], time.monotonic(), time.monotonic(), False
    while True:
        facts["seconds"], ended = before + time.monotonic() - began, stop()
        if facts["seconds"] >= of.seconds or ended:
            break
        share = facts["seconds"] / of.seconds
        loss = _step(learner, optimizer, batches, alignment, facts["steps"], share, of.device)
        facts["steps"] += 1
        facts["sequences"] += SEQUENCES
        stage = "sentences" if share < SENTENCES else "tasks"
        report(TrainingProgress(stage, facts["seconds"], of.seconds, loss, facts["steps"]))
        if time.monotonic() - last_save > SAVE_SECONDS:
            _save(of.out, learner, optimizer, facts)
            last_save = time.monotonic()
    _save(of.out, learner, optimizer, facts)
    return TrainingReport(of.out, facts["seconds"], facts["steps"], facts["sequences"], not ended)


def _step(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    batches: Batches,
    alignment: Alignment,
    step: int,
    share: float,
    device: torch.device,
) -> float:
    """One step; the loss of what is said."""
    for group in optimizer.param_groups:
        group["lr"] = rate(step, share)
    said, missed = learner.loss(batches.batch(step, BEFORE if share < SENTENCES else AFTER, device))
    apart = learner.alignment_loss(*batches.pictures(step, device), alignment)
    optimizer.zero_grad(set_to_none=True)
    (said + ALIGNMENT * apart + HINTS * missed).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(learner.learned.parameters(), 1.0)
    optimizer.step()
    return float(said.detach())


def rate(step: int, share: float) -> float:
    """The learning rate at a step and a share of the time: a short rise, a plateau, a straight fall."""
    falling = min(1.0, max(0.01, (1.0 - share) / (1.0 - FALLING)))
    return RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * falling


def _batches(of: Settings, learner: Learner, report: Report) -> Batches:
    """What the tower sees of every picture and sheet is computed where it is not there yet."""
    from tokenizers import Tokenizer

    pixels = pool.pixels(_kept(of.out, "pool.u8"), clip_folder.IMAGE_SIZE)[: 2 * of.pairs]
    size = (clip_folder.IMAGE_SIZE, clip_folder.IMAGE_SIZE)
    wanted = [(1, size, len(pixels), lambda start, stop: pixels[start:stop])]
    for layout in vlm_sheets.LAYOUTS:
        number = max(1, layout.number * of.pairs // 1000)
        wanted.append((layout.side, layout.shape, number, partial(vlm_sheets.pixels, pixels, of.seed, layout)))
    features = {}
    for side, shape, number, pictures in wanted:
        path = _kept(of.out, f"features-{side}.f16")
        for done in vlm_features.fill(path, learner.tower, pictures, number, shape):
            report(TrainingProgress("look", done, number, 0.0, 0))
        features[side] = vlm_features.rows(path, shape)[:number]
    return Batches(features, of.pairs, of.seed, Tokenizer.from_file(str(of.out / "tokenizer.json")))


def _checkpoint(out: Path) -> Path:
    return out / "training" / "checkpoint"


def _kept(out: Path, name: str) -> Path:
    return out / "training" / name


def _save(out: Path, learner: Learner, optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """The checkpoint, and the model as it is now in its shipping format."""
    checkpoint.save(_checkpoint(out), learner.learned, optimizer, facts)
    vlm_folder.write_weights(out, learner.vlm)
