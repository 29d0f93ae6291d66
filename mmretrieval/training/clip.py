"""Recipe of the demo CLIP: supervised slots first, then contrastive learning that knows its false negatives.

1. Warm start (the first `WARM` of the time): the vision tower alone learns to read every slot of a scene (which
   ingredient lies where, how many, ...). Small things are learned here that contrastive learning finds last.
2. Contrastive (the rest): pictures and texts that mention a random subset of the facts. Half of every batch are
   one-attribute edits of the other half. A text is never pushed away from another picture that also shows all it
   mentions. The slots stay as a side task on the tower and on the embedding, the mentioned facts as one of the text.

The method is CLIP (Radford et al., 2021) with exact false-negative masking, which only a world of known facts allows.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmretrieval.errors import UsageError
from mmretrieval.training import checkpoint, clip_folder, parallel, pool
from mmretrieval.training.clip_batches import PAIRS_PER_BATCH, Batches
from mmretrieval.training.clip_learner import Learner

WARM = 0.52
RATE = {"warm": 2e-3, "contrast": 1.2e-3}
TOWER_RATE = 0.4  # of the rate above, for the vision tower once it has been warmed
WARM_UP_STEPS = 150
SAVE_SECONDS = 60.0
MOST_PAIRS = 40_000


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Where a training is: `stage` is draw, warm or contrast; `done` and `total` are pairs or seconds."""

    stage: str
    done: float
    total: float
    loss: float
    steps: int


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training did; `folder` holds the model in open_clip's format."""

    folder: Path
    seconds: float
    steps: int
    pictures: int
    finished: bool


Report = Callable[[TrainingProgress], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What all processes of one training must agree on."""

    out: Path
    seconds: float
    resume: bool
    seed: str
    pairs: int
    device: str


def train(
    out: Path,
    minutes: float,
    *,
    resume: bool = False,
    seed: str = "0",
    pairs: int | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> TrainingReport:
    """Trains for `minutes` of wall time in all (drawing not counted), resumable at any checkpoint.

    Writes the model folder `out` and, in `out/training/`, the drawn pictures (55 KB a pair) and the checkpoint. Without
    `pairs`, a thousand are drawn for every minute of training, at most `MOST_PAIRS`.
    On a CPU `workers` processes (default: one a core) train together; a GPU takes one.
    """
    if minutes <= 0:
        raise UsageError(f"--minutes {minutes}: give a positive number of minutes")
    pairs = pairs or max(pool.CHUNK, min(MOST_PAIRS, round(1000 * minutes)))
    saved = _checkpoint(out)
    if resume and not saved.exists() and not saved.with_name("checkpoint.old").exists():
        raise UsageError(f"{out} holds no checkpoint to resume; leave --resume out")
    saved.parent.mkdir(parents=True, exist_ok=True)
    report: Report = progress or (lambda _: None)
    cores = os.cpu_count() or 1
    for drawn in pool.fill(_pool(out), seed, pairs, clip_folder.IMAGE_SIZE, workers=cores):
        report(TrainingProgress("draw", drawn, pairs, 0.0, 0))
    clip_folder.write_config(out)
    if not resume or not (out / "tokenizer.json").exists():
        clip_folder.write_tokenizer(out, seed)
    target = device or ("cuda" if torch.cuda.is_available() else "cpu")
    number = workers or (cores if target == "cpu" else 1)
    settings = Settings(out, minutes * 60.0, resume, seed, pairs, target)
    with parallel.group(number, saved.with_name("meeting"), _member, settings):
        return _run(0, settings, report, stop or (lambda: False))


def _member(rank: int, settings: Settings) -> None:
    """One more process of a parallel training."""
    _run(rank, settings, lambda _: None, lambda: False)


def _run(rank: int, of: Settings, report: Report, stop: Callable[[], bool]) -> TrainingReport:
    """Steps until the time is up or `stop` says so, with a checkpoint every minute by rank 0."""
    torch.set_num_threads(1 if of.device == "cpu" else torch.get_num_threads())
    torch.manual_seed(int.from_bytes(of.seed.encode()[:6], "little"))
    learner = Learner().to(of.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = _optimizer(learner)
    facts: dict[str, Any] = {"seconds": 0.0, "steps": 0, "pictures": 0}
    if of.resume:
        facts = checkpoint.load(_checkpoint(of.out), learner, optimizer)
    parallel.start_alike(learner)
    batches = _batches(of, rank)
    before, began, last_save = facts["seconds"], time.monotonic(), time.monotonic()
    while True:
        facts["seconds"], ended = parallel.agree([before + time.monotonic() - began, float(stop())])
        if facts["seconds"] >= of.seconds or ended:
            break
        stage, rate = _stage(facts["seconds"] / of.seconds, facts)
        for part in optimizer.param_groups:
            part["lr"] = rate * (TOWER_RATE if part["tower"] and stage == "contrast" else 1.0)
        loss = _step(learner, optimizer, batches, stage, facts["steps"])
        facts["steps"] += 1
        facts["pictures"] += 2 * PAIRS_PER_BATCH[stage] * parallel.size()
        report(TrainingProgress(stage, facts["seconds"], of.seconds, loss, facts["steps"]))
        if rank == 0 and time.monotonic() - last_save > SAVE_SECONDS:
            _save(of.out, learner, optimizer, facts)
            last_save = time.monotonic()
    if rank == 0:
        _save(of.out, learner, optimizer, facts)
    return TrainingReport(of.out, facts["seconds"], facts["steps"], facts["pictures"], not ended)


def _optimizer(learner: Learner) -> torch.optim.Optimizer:
    """One group of parameters for the vision tower, others for what stands before and behind it."""
    parts = groupby(learner.named_parameters(), key=lambda named: named[0].startswith("clip.visual.trunk."))
    groups = [{"params": [value for _, value in named], "tower": is_tower} for is_tower, named in parts]
    return torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.02, betas=(0.9, 0.98))


def _batches(of: Settings, rank: int) -> Batches:
    import open_clip

    pixels = pool.pixels(_pool(of.out), clip_folder.IMAGE_SIZE)[: 2 * of.pairs]
    return Batches(pixels, of.seed, open_clip.get_tokenizer(f"local-dir:{of.out}"), torch.device(of.device), rank)


def _checkpoint(out: Path) -> Path:
    return out / "training" / "checkpoint"


def _pool(out: Path) -> Path:
    return out / "training" / "pool.u8"


def _save(out: Path, learner: Learner, optimizer: torch.optim.Optimizer, facts: dict[str, Any]) -> None:
    """The checkpoint, and the model as it is now in its shipping format."""
    checkpoint.save(_checkpoint(out), learner, optimizer, facts)
    clip_folder.write_weights(out, {name: value.cpu() for name, value in learner.clip.state_dict().items()})


def _stage(share: float, facts: dict[str, Any]) -> tuple[str, float]:
    """Stage and learning rate at a share of the time: in each stage a short warm-up, then a falling cosine."""
    stage = "warm" if share < WARM else "contrast"
    if stage == "contrast":
        facts.setdefault("contrast_from", facts["steps"])
    local = share / WARM if stage == "warm" else (share - WARM) / (1.0 - WARM)
    steps = facts["steps"] - facts.get("contrast_from", 0)
    floor = 0.3 if stage == "warm" else 0.02
    cosine = floor + (1.0 - floor) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, local)))
    return stage, RATE[stage] * cosine * min(1.0, (steps + 1) / WARM_UP_STEPS)


def _step(learner: Learner, optimizer: torch.optim.Optimizer, batches: Batches, stage: str, step: int) -> float:
    rows, images, targets = batches.images(step, stage)
    with torch.autocast(images.device.type, torch.bfloat16, enabled=images.device.type == "cuda"):
        if stage == "warm":
            loss = learner.warm_loss(images, targets)
        else:
            texts, mentioned, allowed = batches.texts(rows, step)
            loss = learner.contrast_loss(images, texts, targets, mentioned, allowed)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parallel.average_gradients(learner)
    nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
    optimizer.step()
    return float(loss.detach())
