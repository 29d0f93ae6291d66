"""Batches of questions about drawn pictures, with the answers that the scenes themselves give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mmretrieval import prompts
from mmretrieval.demo.edits import edit, edit_thing
from mmretrieval.demo.scenes import Scene
from mmretrieval.training import pool, vlm_sheets, vlm_things, vlm_words
from mmretrieval.training.vlm_changes import ask_changed
from mmretrieval.training.vlm_dialogue import IGNORED, Dialogue
from mmretrieval.training.vlm_folder import PAD, TOWER_WIDTH
from mmretrieval.training.vlm_hints import Hint
from mmretrieval.training.vlm_phrases import ask_phrases

if TYPE_CHECKING:
    from numpy.typing import NDArray

Features = Mapping[int, "NDArray[np.float16]"]  # by cells a side, (pictures or sheets, tokens, width)

SEQUENCES = 32  # a batch
PARTS = 4  # that a batch is cut into by length, so that little of the work goes into padding
PICTURES = 64  # whose tokens are drawn towards words at each step
QUESTIONS = 6  # about one picture, one after the other
SHEET_QUESTIONS = 2
INVENTORY = "tell of each"  # a list of names, which no user asks for
INVENTORY_WEIGHT = 3.0  # of the first word said of each
FIRST_WEIGHT = 4.0  # of the token that decides, in answers that are one choice
YES_NO_WEIGHT = 8.0
THINGS_CHANGED = 0.8  # of the changes at least; those of colours, behaviour and surroundings are learned by the way
CHANGED_WEIGHT = 5.0  # of the words of a changed sentence that the change is about
FEWEST, MOST = 2, 6  # pictures of a labelled list

# shares of the tasks: sentences first, since they teach every slot at once
BEFORE: Mapping[str, float] = {"caption": 0.7, "items": 0.1, "target": 0.1, "fits": 0.1}
AFTER: Mapping[str, float] = {
    "caption": 0.12,
    "items": 0.06,
    "inventory": 0.03,
    "target": 0.26,
    "single": 0.05,
    "details": 0.04,
    "phrases": 0.36,
    "fits": 0.04,  # each is two
    "listed": 0.02,
    "sheet": 0.02,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a batch, of sequences of similar length: token ids, targets and weights, each (sequences, tokens), the
    features of their pictures in reading order, (picture tokens, width), and each sequence's hints.
    """

    ids: Tensor
    targets: Tensor
    weights: Tensor
    features: Tensor
    hints: list[list[Hint]]


class Batches:
    """Batch i is a function of the seed and i, so that a resumed training goes on as it would have."""

    def __init__(self, features: Features, pairs: int, seed: str, tokenizer: Any) -> None:
        """`features[1]` are the single pictures in the pool's order, `features[n]` the sheets of n x n cells."""
        self.features, self.pairs, self.seed = features, pairs, seed
        self._tokenizer = tokenizer
        self.scenes: list[Scene] = []
        for number in range(pairs):
            self.scenes += pool.pair(seed, number)[:2]
        self.facts = [scene.facts for scene in self.scenes]
        self._tasks: dict[str, Callable[[Dialogue, Random], None]] = {
            "caption": self._caption,
            "items": self._items,
            "inventory": self._inventory,
            "target": self._target,
            "single": self._single,
            "phrases": self._phrases,
            "details": self._details,
            "listed": self._listed,
            "sheet": self._sheet,
        }

    def batch(self, step: int, shares: Mapping[str, float], device: torch.device) -> list[Part]:
        """`SEQUENCES` dialogues, the tasks drawn by their shares, the shortest first."""
        rng = Random(f"vlm:{self.seed}:{step}")
        dialogues: list[Dialogue] = []
        while len(dialogues) < SEQUENCES:
            (task,) = rng.choices(list(shares), list(shares.values()))
            if task == "fits":
                dialogues += self._fits(rng)
            else:
                dialogues.append(self._begun())
                self._tasks[task](dialogues[-1], rng)
        dialogues = dialogues[:SEQUENCES]
        dialogues.sort(key=lambda dialogue: len(dialogue.ids))
        size = SEQUENCES // PARTS
        return [collated(dialogues[start : start + size], device) for start in range(0, SEQUENCES, size)]

    def pictures(self, step: int, device: torch.device) -> tuple[Tensor, list[Scene]]:
        """`PICTURES` single pictures' features, (n, 9, width), with what they show."""
        rng = Random(f"vlm-pictures:{self.seed}:{step}")
        rows = [self._some(rng) for _ in range(PICTURES)]
        seen = np.stack([self.features[1][row] for row in rows]).astype(np.float32)
        return torch.from_numpy(seen).to(device), [self.scenes[row] for row in rows]

    def encode(self, text: str) -> tuple[list[int], list[int]]:
        """The token ids of a text, and where in it each ends."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, [end for _, end in encoded.offsets]

    def _begun(self) -> Dialogue:
        dialogue = Dialogue(self.encode)
        dialogue.user()
        return dialogue

    def _some(self, rng: Random) -> int:
        return rng.randrange(len(self.scenes))

    def _caption(self, dialogue: Dialogue, rng: Random) -> None:
        row = self._some(rng)
        dialogue.picture(self.features[1][row])
        dialogue.words(prompts.CAPTION)
        dialogue.answer(vlm_words.sentence(self.scenes[row]))

    def _items(self, dialogue: Dialogue, rng: Random) -> None:
        row = self._some(rng)
        dialogue.picture(self.features[1][row])
        dialogue.words(prompts.INGREDIENTS)
        dialogue.answer(", ".join(vlm_words.items(self.scenes[row])))

    def _target(self, dialogue: Dialogue, rng: Random) -> None:
        row = self._some(rng)
        change = edit_thing if rng.random() < THINGS_CHANGED else edit
        changed, words = change(self.scenes[row], rng)
        dialogue.picture(self.features[1][row])
        ask_changed(dialogue, self.scenes[row], changed, words, CHANGED_WEIGHT)

    def _inventory(self, dialogue: Dialogue, rng: Random) -> None:
        row = self._some(rng)
        dialogue.picture(self.features[1][row])
        dialogue.words(INVENTORY)
        dialogue.inventory(vlm_things.inventory(self.scenes[row], rng), self.scenes[row], INVENTORY_WEIGHT)

    def _single(self, dialogue: Dialogue, rng: Random) -> None:
        self._several(dialogue, rng, partial(_about_one, vlm_things.single))

    def _details(self, dialogue: Dialogue, rng: Random) -> None:
        self._several(dialogue, rng, partial(_about_one, vlm_words.detail))

    def _phrases(self, dialogue: Dialogue, rng: Random) -> None:
        self._several(dialogue, rng, partial(ask_phrases, weight=YES_NO_WEIGHT))

    def _several(self, dialogue: Dialogue, rng: Random, ask: Callable[[Dialogue, Scene, Random], None]) -> None:
        """Questions about one picture, one after the other."""
        row = self._some(rng)
        dialogue.picture(self.features[1][row])
        for number in range(QUESTIONS):
            if number:
                dialogue.user()
            ask(dialogue, self.scenes[row], rng)

    def _fits(self, rng: Random) -> list[Dialogue]:
        """The same questions of a picture and of its edit."""
        pair = rng.randrange(self.pairs)
        rows = (2 * pair, 2 * pair + 1)
        asked = [vlm_words.question(self.scenes[rows[0]], self.scenes[rows[1]], rng) for _ in range(QUESTIONS)]
        made = []
        for row in rows:
            dialogue = self._begun()
            dialogue.picture(self.features[1][row])
            for number, (words, facts) in enumerate(asked):
                if number:
                    dialogue.user()
                dialogue.words_about(prompts.FITS.format(words), self.scenes[row])
                dialogue.answer(prompts.YES_NO[0 if facts <= self.facts[row] else 1], YES_NO_WEIGHT)
            made.append(dialogue)
        return made

    def _listed(self, dialogue: Dialogue, rng: Random) -> None:
        pair, number = rng.randrange(self.pairs), rng.randint(FEWEST, MOST)
        rows = {2 * pair, 2 * pair + 1}
        while len(rows) < number:
            rows.add(2 * (2 * rng.randrange(self.pairs // 2) + pair % 2) + rng.randrange(2))
        order = sorted(rows)
        rng.shuffle(order)
        for label, row in enumerate(order, start=1):
            dialogue.words(prompts.LABEL.format(label))
            dialogue.picture(self.features[1][row])
        self._which(dialogue, order, rng)

    def _sheet(self, dialogue: Dialogue, rng: Random) -> None:
        layout = rng.choice([layout for layout in vlm_sheets.LAYOUTS if layout.side in self.features])
        maps = self.features[layout.side]
        number = rng.randrange(len(maps))
        rows = vlm_sheets.chosen(self.seed, layout, number, self.pairs)
        dialogue.picture(maps[number])
        for question in range(SHEET_QUESTIONS):
            if question:
                dialogue.user()
            self._which(dialogue, rows, rng)

    def _which(self, dialogue: Dialogue, rows: Sequence[int], rng: Random) -> None:
        """Words for one of the pictures, and all their labels by how much of it each shows."""
        wanted = rng.choice(rows)
        facts = vlm_words.said(self.scenes[wanted], rng)
        dialogue.words(prompts.WHICH.format(vlm_words.words_for(self.scenes[wanted], facts, rng)))
        order = sorted(range(len(rows)), key=lambda place: -len(facts & self.facts[rows[place]]))
        dialogue.answer(" > ".join(str(place + 1) for place in order), FIRST_WEIGHT)


def _about_one(
    question: Callable[[Scene, Random], tuple[str, str]], dialogue: Dialogue, scene: Scene, rng: Random
) -> None:
    """A question about one thing, and its answer, which is read off the name."""
    words, answer = question(scene, rng)
    dialogue.words_about(words, scene, single=True)
    dialogue.answer(answer, FIRST_WEIGHT)


def collated(dialogues: Sequence[Dialogue], device: torch.device) -> Part:
    """Dialogues of different length, padded on the right."""
    length = max(len(dialogue.ids) for dialogue in dialogues)

    def padded(values: Sequence[Sequence[float]], fill: float, dtype: torch.dtype) -> Tensor:
        return torch.tensor([[*row, *[fill] * (length - len(row))] for row in values], dtype=dtype)

    seen = [features for dialogue in dialogues for features in dialogue.features]
    return Part(
        padded([dialogue.ids for dialogue in dialogues], PAD, torch.long).to(device),
        padded([dialogue.targets for dialogue in dialogues], IGNORED, torch.long).to(device),
        padded([dialogue.weights for dialogue in dialogues], 0.0, torch.float32).to(device),
        torch.from_numpy(np.concatenate(seen).astype(np.float32).reshape(-1, TOWER_WIDTH)).to(device),
        [dialogue.hints for dialogue in dialogues],
    )
