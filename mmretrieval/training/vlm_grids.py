"""How well a demo VLM picks the right cell of a marked sheet, beside what the demo CLIP picks of the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval import prompts
from mmretrieval.asks import MLLM, ChoiceScores, fitted
from mmretrieval.demo.edits import edit
from mmretrieval.demo.render import render
from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import Scene
from mmretrieval.demo.wording import choose_facts
from mmretrieval.demo.write import MENTIONED, SIZE
from mmretrieval.protocols import Encoder
from mmretrieval.sheet import sheet
from mmretrieval.training import vlm_words
from mmretrieval.training.clip_folder import IMAGE_SIZE
from mmretrieval.training.vlm_folder import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

EDITED = 3  # every third picture of a sheet is a one-attribute edit of another one


@dataclass(frozen=True, slots=True)
class GridQuality:
    """Shares of sheets whose first cell is a right one, and whose first two hold one; chance is that of a blind pick.

    `listed` is the same pictures shown one by one behind their labels, `alone` each picture asked for by itself.
    """

    side: int
    sheets: int
    chance: float
    clip: tuple[float, float]
    sheet: tuple[float, float]
    listed: tuple[float, float]
    alone: tuple[float, float]


def measure_grids(model: MLLM, encoder: Encoder, side: int, seed: str, number: int = 100) -> GridQuality:
    """Less than a second a sheet on one core."""
    rng = Random(f"grids:{seed}:{side}")
    found: dict[str, list[tuple[bool, bool]]] = {"clip": [], "sheet": [], "listed": [], "alone": []}
    chances = []
    for which in range(number):
        shown = _cells(f"{seed}:{side}:{which}", side * side, rng)
        pictures = [render(one, SIZE, f"grid:{seed}:{side}:{which}:{place}") for place, one in enumerate(shown)]
        wanted = rng.choice(shown)
        facts = choose_facts(wanted, MENTIONED, rng)
        words = vlm_words.words_for(wanted, facts, rng)
        right = np.array([facts <= one.facts for one in shown])
        chances.append(right.mean())
        for name, scores in _scores(model, encoder, pictures, side, words).items():
            order = np.argsort(-scores, kind="stable")
            found[name].append((bool(right[order[:1]].any()), bool(right[order[:2]].any())))
    shares = {name: (_share(values, 0), _share(values, 1)) for name, values in found.items()}
    return GridQuality(side, number, float(np.mean(chances)), **shares)


def _cells(seed: str, count: int, rng: Random) -> list[Scene]:
    """Scenes of one domain, every third an edit of the one before, in a random order."""
    domain = rng.randrange(2)
    shown: list[Scene] = []
    while len(shown) < count:
        if len(shown) % EDITED == EDITED - 1 or (count == 4 and len(shown) == 1):
            shown.append(edit(shown[-1], rng)[0])
        else:
            shown.append(scene(f"unseen-grid:{seed}", len(shown), "food" if domain else "nature"))
    rng.shuffle(shown)
    return shown


def _scores(
    model: MLLM, encoder: Encoder, pictures: Sequence[Image], side: int, words: str
) -> dict[str, NDArray[np.float64]]:
    on_sheet = sheet(pictures, columns=side, rows=side, cell=IMAGE_SIZE, strip=STRIDE, gap=0).image
    asks = [
        prompts.which_of_grid(on_sheet, len(pictures), words),
        prompts.which_of_list(pictures, words),
        *(prompts.fits(picture, words) for picture in pictures),
    ]
    replies = [
        np.array(reply.log_probs) if isinstance(reply, ChoiceScores) else np.zeros(len(pictures))
        for reply in model.answer([fitted(ask, model) for ask in asks])
    ]
    return {
        "clip": encoder.encode_images(pictures).astype(float) @ encoder.encode_texts([words])[0],
        "sheet": replies[0],
        "listed": replies[1],
        "alone": np.array([odds[0] - odds[1] for odds in replies[2:]]),
    }


def _share(values: Sequence[tuple[bool, bool]], place: int) -> float:
    return float(np.mean([value[place] for value in values]))
