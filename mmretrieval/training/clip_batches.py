"""Batches of drawn pictures with their slots, and of texts that mention some of their facts."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmretrieval.demo.scenes import Scene
from mmretrieval.demo.wording import choose_facts, describe, kinds
from mmretrieval.training import pool, slots

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS_PER_BATCH = {"warm": 24, "contrast": 96}
SHARES = (0.15, 0.4, 0.6, 0.8, 0.8, 1.0)  # of the facts that a training text mentions
KINDS_ALONE = 0.25  # of the texts mention nothing but ingredients, or animals and their habitat
SHIFT = 3  # pixels a training picture is moved at most


class Batches:
    """Batch i is a function of the seed and i, so that a resumed training goes on as it would have."""

    def __init__(self, pixels: NDArray[np.uint8], seed: str, tokenizer: Any, device: torch.device, rank: int) -> None:
        """Every `rank` of a parallel training draws batches of its own."""
        self.pixels, self.seed, self.tokenizer, self.device, self.rank = pixels, seed, tokenizer, device, rank
        self.scenes: list[Scene] = []
        for number in range(len(pixels) // 2):
            self.scenes += pool.pair(seed, number)[:2]
        self.targets = slots.targets(self.scenes)

    def images(self, step: int, stage: str) -> tuple[NDArray[np.int64], Tensor, Tensor]:
        """Row numbers (n,), pictures (n, 3, size, size) in -1..1, slot targets."""
        rng = np.random.default_rng([step, self.rank, *self.seed.encode()])
        pairs = rng.choice(len(self.scenes) // 2, PAIRS_PER_BATCH[stage], replace=False)
        rows = np.sort(np.concatenate([2 * pairs, 2 * pairs + 1]))
        taken = torch.from_numpy(self.pixels[rows]).to(self.device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        down, right = (int(x) for x in rng.integers(0, 2 * SHIFT + 1, 2))
        size = taken.shape[-1]
        taken = F.pad(taken, (SHIFT,) * 4, mode="replicate")[:, :, down : down + size, right : right + size]
        gain = torch.from_numpy(rng.uniform(0.9, 1.1, (len(rows), 1, 1, 1)).astype(np.float32)).to(self.device)
        taken = (taken * gain).clamp(-1.0, 1.0).contiguous(memory_format=torch.channels_last)
        return rows, taken, torch.from_numpy(self.targets[rows]).to(self.device)

    def texts(self, rows: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Padded token ids, mentioned facts, and the mask of allowed negatives."""
        rng = Random(f"texts:{self.seed}:{self.rank}:{step}")
        facts = [_said(self.scenes[row], rng) for row in rows]
        words = [describe(self.scenes[row], said, rng) for row, said in zip(rows, facts, strict=True)]
        ids = self.tokenizer(words)
        mentioned = slots.fact_rows(facts)
        allowed = ~slots.contains(slots.fact_rows(self.scenes[row].facts for row in rows), mentioned)
        np.fill_diagonal(allowed, True)
        return (
            ids.to(self.device),
            torch.from_numpy(mentioned).to(self.device),
            torch.from_numpy(allowed).to(self.device),
        )


def _said(scene: Scene, rng: Random) -> frozenset[str]:
    return kinds(scene) if rng.random() < KINDS_ALONE else choose_facts(scene, rng.choice(SHARES), rng)
