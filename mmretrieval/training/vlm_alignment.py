"""Pictures' tokens drawn towards the words for what lies there, so that a word can find its thing.

A language model this small learns to say what lies at a place, but hardly to find the place where a named thing lies:
nothing makes the key of a picture's token look like the word for it. So the tokens of a place are trained to be nearer
to the embeddings of the right words than to those of other words of the same family.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmretrieval.demo.scenes import FoodPlate, Scene
from mmretrieval.demo.vocabulary import (
    ANIMAL_COLOURS,
    BEHAVIOURS,
    COUNTS,
    CUTLERY,
    HABITATS,
    INGREDIENTS,
    NUMERALS,
    PLANTS,
    PLATE_COLOURS,
    PLATES,
    SPECIES,
    TABLES,
    WEATHERS,
)
from mmretrieval.errors import UsageError
from mmretrieval.training import slots
from mmretrieval.training.vlm_things import EVERYWHERE, MAP, things

SCALE = 20.0  # of a cosine, before the softmax over a family


def _names(forms: Mapping[str, tuple[tuple[str, str], ...]]) -> dict[str, list[str]]:
    return {kind: [name for pair in pairs for name in pair] for kind, pairs in forms.items()}


_WORDS: Mapping[str, Mapping[str, Iterable[str]]] = {
    "ingredient": _names(INGREDIENTS),
    "species": _names(SPECIES),
    "count": {count: NUMERALS[count] for count in COUNTS},
    "colour": ANIMAL_COLOURS,
    "behaviour": BEHAVIOURS,
    "plate": PLATES,
    "plate_colour": PLATE_COLOURS,
    "table": TABLES,
    "cutlery": CUTLERY,
    "plant": _names(PLANTS),
    "habitat": HABITATS,
    "weather": WEATHERS,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing of a picture: where it lies, and its value in a family of words."""

    family: str
    value: int
    where: tuple[int, ...]


class Alignment:
    """The words of every family as token ids; words that two values share tell nothing and are left out."""

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self.values: dict[str, list[list[int]]] = {}
        self._place: dict[str, dict[str, int]] = {}
        for family, words in _WORDS.items():
            ids = [{token for form in forms for token in encode(form)} for forms in words.values()]
            often = Counter(token for one in ids for token in one)
            self.values[family] = [sorted(token for token in one if often[token] == 1) for one in ids]
            for value, own in zip(words, self.values[family], strict=True):
                if not own:
                    raise UsageError(
                        f"the tokenizer has no token of its own for '{value}' ({family}): train with another seed, "
                        "from whose sentences it learns other tokens"
                    )
            self._place[family] = {value: number for number, value in enumerate(words)}

    def things(self, scene: Scene) -> list[Seen]:
        """What is to be read at the places of a scene, and all over it."""
        kind = "ingredient" if isinstance(scene, FoodPlate) else "species"
        named = [({kind: thing.kind, **thing.said}, thing.where) for thing in things(scene).values()]
        return [
            Seen(family, self._place[family][value], where)
            for values, where in [*named, (slots.values(scene), EVERYWHERE)]
            for family, value in values.items()
            if value in self._place.get(family, ())
        ]

    def loss(self, pictures: Tensor, embeddings: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Mean cross-entropy over things and families.

        `pictures` is (n, 9, width), what the language model is given for each scene's picture; `embeddings` is
        (vocabulary, width).
        """
        by_family: dict[str, list[tuple[int, Seen]]] = {}
        for number, scene in enumerate(scenes):
            for thing in self.things(scene):
                by_family.setdefault(thing.family, []).append((number, thing))
        losses = [self._of_family(family, things, pictures, embeddings) for family, things in by_family.items()]
        return torch.stack(losses).mean()

    def _of_family(
        self, family: str, things: Sequence[tuple[int, Seen]], pictures: Tensor, embeddings: Tensor
    ) -> Tensor:
        where = torch.zeros(len(things), MAP, device=pictures.device)
        for row, (_, thing) in enumerate(things):
            where[row, list(thing.where)] = 1.0 / len(thing.where)
        shown = torch.tensor([number for number, _ in things], device=pictures.device)
        looks = F.normalize((where[:, :, None] * F.normalize(pictures, dim=-1)[shown]).sum(1), dim=-1)
        scores = []
        for ids in self.values[family]:
            words = F.normalize(embeddings[torch.tensor(ids, device=embeddings.device)], dim=-1)
            scores.append(torch.logsumexp(SCALE * looks @ words.T, dim=1))
        wanted = torch.tensor([thing.value for _, thing in things], device=pictures.device)
        return F.cross_entropy(torch.stack(scores, dim=1), wanted)
