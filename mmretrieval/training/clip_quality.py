"""How good a demo CLIP is on scenes of a seed it never saw, drawn at full size and prepared as the model says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmretrieval.demo.edits import edit
from mmretrieval.demo.render import render
from mmretrieval.demo.sample import sample, scene
from mmretrieval.demo.scenes import Scene
from mmretrieval.demo.wording import choose_facts, describe
from mmretrieval.demo.write import MENTIONED, SIZE
from mmretrieval.training import slots

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 50
PROBE_STEPS = 300


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares between 0 and 1; `probes` by slot family, from the embedding and from the tower's pooled features."""

    subset: dict[str, float]
    dense: dict[str, float]
    siblings: dict[str, float]
    pair: float
    pairs: int
    pair_by_domain: dict[str, float]
    probes: dict[str, dict[str, float]]
    scenes: int
    probe_scenes: int


class Model:
    """An open_clip folder, loaded as a user would."""

    def __init__(self, folder: Path) -> None:
        import open_clip

        name = f"local-dir:{folder}"
        self.clip, _, self.preprocess = open_clip.create_model_and_transforms(name)
        self.tokenizer = open_clip.get_tokenizer(name)
        self.clip.eval()

    @torch.inference_mode()
    def images(self, scenes: Sequence[Scene], look: str) -> tuple[Tensor, Tensor]:
        """Unit embeddings and pooled tower features."""
        towers = []
        for start in range(0, len(scenes), BATCH):
            part = enumerate(scenes[start : start + BATCH], start=start)
            pixels = torch.stack([self.preprocess(render(shown, SIZE, f"{look}:{n}")) for n, shown in part])
            towers.append(self.clip.visual.trunk(pixels))
        tower = torch.cat(towers)
        return F.normalize(self.clip.visual.head(tower), dim=-1), tower

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Tensor:
        parts = [self.tokenizer(list(texts[start : start + BATCH])) for start in range(0, len(texts), BATCH)]
        return F.normalize(torch.cat([self.clip.encode_text(ids) for ids in parts]), dim=-1)


def measure(folder: Path, seed: str, scenes: int = 1000, probe_scenes: int = 8000) -> Quality:
    """A few minutes on one core, most of it drawing."""
    model = Model(folder)
    gallery = [scene(f"unseen:{seed}", number, "both") for number in range(scenes)]
    vectors, tower = model.images(gallery, f"unseen:{seed}")
    family = [sample(f"unseen-siblings:{seed}", number).scene for number in range(scenes)]
    rng = Random(f"pairs:{seed}")
    edits = [edit(shown, rng)[0] for shown in gallery]
    edited, _ = model.images(edits, f"edited:{seed}")
    pair, pairs, by_domain = _pair(model, gallery, edits, vectors, edited, rng)
    return Quality(
        subset=_retrieval(model, gallery, vectors, MENTIONED, seed),
        dense=_retrieval(model, gallery, vectors, 1.0, seed),
        siblings=_retrieval(model, family, model.images(family, f"siblings:{seed}")[0], MENTIONED, seed),
        pair=pair,
        pairs=pairs,
        pair_by_domain=by_domain,
        probes=_probes(model, gallery, vectors, tower, seed, probe_scenes),
        scenes=scenes,
        probe_scenes=probe_scenes,
    )


def _retrieval(model: Model, gallery: Sequence[Scene], vectors: Tensor, share: float, seed: str) -> dict[str, float]:
    """R@1, R@5, R@10: whether a picture that contains all that the text mentions is among the first."""
    rng = Random(f"queries:{seed}:{share}")
    said = [shown.facts if share == 1.0 else choose_facts(shown, share, rng) for shown in gallery]
    texts = model.texts([describe(shown, facts, rng) for shown, facts in zip(gallery, said, strict=True)])
    relevant = slots.contains(slots.fact_rows(s.facts for s in gallery), slots.fact_rows(said))
    order = (texts @ vectors.T).numpy().argsort(axis=1, kind="stable")[:, ::-1]
    hits = np.take_along_axis(relevant, order, axis=1)
    return {f"R@{k}": float(hits[:, :k].any(axis=1).mean()) for k in (1, 5, 10)}


def _pair(
    model: Model, scenes: Sequence[Scene], edits: Sequence[Scene], ours: Tensor, theirs: Tensor, rng: Random
) -> tuple[float, int, dict[str, float]]:
    """How often a query that its scene fits and the edited one does not is nearer to its scene."""
    said = [choose_facts(shown, MENTIONED, rng) for shown in scenes]
    kept = [i for i, facts in enumerate(said) if not facts <= edits[i].facts]
    texts = model.texts([describe(scenes[i], said[i], rng) for i in kept])
    won = ((texts * ours[kept]).sum(1) > (texts * theirs[kept]).sum(1)).numpy()
    domains = np.array([scenes[i].domain for i in kept])
    return float(won.mean()), len(kept), {d: float(won[domains == d].mean()) for d in ("food", "nature")}


def _probes(
    model: Model, gallery: Sequence[Scene], vectors: Tensor, tower: Tensor, seed: str, number: int
) -> dict[str, dict[str, float]]:
    learned = [scene(f"probe:{seed}", n, "both") for n in range(number)]
    learned_vectors, learned_tower = model.images(learned, f"probe:{seed}")
    wanted, known = slots.targets(learned), slots.targets(gallery)
    return {
        "embedding": _probe(learned_vectors, wanted, vectors, known),
        "tower": _probe(learned_tower, wanted, tower, known),
    }


def _probe(x: Tensor, wanted: NDArray[np.int64], held_out: Tensor, known: NDArray[np.int64]) -> dict[str, float]:
    """Accuracy of a linear classifier per slot family; empty places are left out, since they are easy."""
    mean, spread = x.mean(0), x.std(0) + 1e-6
    x, held_out = ((part - mean) / spread for part in (x.clone(), held_out.clone()))
    right: dict[str, list[Any]] = {}
    for column, (slot, values) in enumerate(slots.SLOTS.items()):
        y = torch.from_numpy(wanted[:, column])
        has = y != slots.ABSENT
        layer = torch.nn.Linear(x.shape[1], len(values))
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.02, weight_decay=0.05)
        for _ in range(PROBE_STEPS):
            loss = F.cross_entropy(layer(x[has]), y[has])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        truth = known[:, column]
        counted = (truth != slots.ABSENT) & (truth != (values.index(slots.NOTHING) if slots.NOTHING in values else -2))
        guess = layer(held_out).argmax(1).numpy()
        right.setdefault(slot.partition("@")[0], []).append((guess == truth)[counted])
    return {family: float(np.concatenate(parts).mean()) for family, parts in right.items()}
