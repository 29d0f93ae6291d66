"""How good a demo VLM is on scenes of a seed it never saw, drawn at full size and asked as any model is asked.

Everything goes through the back end of transformers models and the compact prompts, so what is measured is what a
user of the model gets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval import prompts
from mmretrieval.asks import MLLM, Ask, ChoiceScores, Text, fitted
from mmretrieval.demo.edits import edit
from mmretrieval.demo.render import render
from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import Scene
from mmretrieval.demo.wording import choose_facts
from mmretrieval.demo.write import MENTIONED, SIZE
from mmretrieval.errors import MMRetrievalError
from mmretrieval.training import vlm_words

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.asks import Reply

BATCH = 64
# what a scene is set in, and what stands in it
SETTING = ("plate", "plate_colour", "table", "cutlery", "cutlery_side", "habitat", "weather")
THINGS = ("ingredient", "count", "species", "colour", "behaviour", "animal_count", "plant", "plant_count")

Asked = Callable[[Sequence[Ask]], list["Reply"]]


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares between 0 and 1.

    `slots` by family: how often a sentence says the right value. `setting` and `things` are means over the families
    of `SETTING` and `THINGS`. `list_f1` is the mean F1 of item lists. `applied`: all changed slots right in the
    sentence after a change; `kept`: share of the unchanged slots that are right. `pair`: a query that fits one picture
    and not its one-attribute edit gets the better yes; `verdict`: the share of right answers on both.
    """

    slots: dict[str, float]
    setting: float
    things: float
    list_f1: float
    applied: float
    kept: float
    pair: float
    pairs: int
    verdict: float
    scenes: int
    failed: int


def measure(model: MLLM, seed: str, scenes: int = 500) -> Quality:
    """About ten seconds for 100 scenes on one core."""
    shown = [scene(f"unseen:{seed}", number, "both") for number in range(scenes)]
    drawn = [render(one, SIZE, f"unseen:{seed}:{number}") for number, one in enumerate(shown)]
    rng = Random(f"changes:{seed}")
    edits = [edit(one, rng) for one in shown]
    failures = [0]
    ask = _asker(model, failures)
    by_family = _slots(ask, shown, drawn)
    applied, kept = _targets(ask, shown, drawn, edits)
    pair, pairs, verdict = _pairs(ask, shown, drawn, [changed for changed, _ in edits], seed)
    return Quality(
        slots=by_family,
        setting=float(np.mean([by_family[name] for name in SETTING])),
        things=float(np.mean([by_family[name] for name in THINGS])),
        list_f1=_lists(ask, shown, drawn),
        applied=applied,
        kept=kept,
        pair=pair,
        pairs=pairs,
        verdict=verdict,
        scenes=scenes,
        failed=failures[0],
    )


def _asker(model: MLLM, failures: list[int]) -> Asked:
    def ask(asks: Sequence[Ask]) -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(asks), BATCH):
            replies += model.answer([fitted(one, model) for one in asks[start : start + BATCH]])
        failures[0] += sum(not isinstance(reply, Text | ChoiceScores) for reply in replies)
        return replies

    return ask


def _slots(ask: Asked, shown: Sequence[Scene], drawn: Sequence[Image]) -> dict[str, float]:
    right: dict[str, list[bool]] = defaultdict(list)
    for one, text in zip(shown, _texts(ask, [prompts.caption(image) for image in drawn]), strict=True):
        said = vlm_words.read(text)
        for slot, value in vlm_words.values_of(one).items():
            right[slot.partition("@")[0]].append(said.get(slot) == value)
    return {family: float(np.mean(values)) for family, values in right.items()}


def _lists(ask: Asked, shown: Sequence[Scene], drawn: Sequence[Image]) -> float:
    scores = []
    for one, text in zip(shown, _texts(ask, [prompts.ingredients(image) for image in drawn]), strict=True):
        said, true = {item.strip() for item in text.split(",")}, set(vlm_words.items(one))
        scores.append(2 * len(said & true) / (len(said) + len(true)))
    return float(np.mean(scores))


def _targets(
    ask: Asked, shown: Sequence[Scene], drawn: Sequence[Image], edits: Sequence[tuple[Scene, str]]
) -> tuple[float, float]:
    asks = [prompts.target(image, words) for image, (_, words) in zip(drawn, edits, strict=True)]
    applied, kept = [], []
    for one, (changed, _), text in zip(shown, edits, _texts(ask, asks), strict=True):
        before, after, said = vlm_words.values_of(one), vlm_words.values_of(changed), vlm_words.read(text)
        new = {slot for slot in before.keys() | after.keys() if before.get(slot) != after.get(slot)}
        applied.append(all(said.get(slot) == after.get(slot) for slot in new))
        kept += [said.get(slot) == value for slot, value in after.items() if slot not in new]
    return float(np.mean(applied)), float(np.mean(kept))


def _pairs(
    ask: Asked, shown: Sequence[Scene], drawn: Sequence[Image], edited: Sequence[Scene], seed: str
) -> tuple[float, int, float]:
    """A query of every scene that its edit does not fit, asked of both pictures."""
    rng = Random(f"pairs:{seed}")
    asks: list[Ask] = []
    for number, (one, image, other) in enumerate(zip(shown, drawn, edited, strict=True)):
        facts = choose_facts(one, MENTIONED, rng)
        if facts <= other.facts:  # say what the edit changed, too; a scene that only lost something has nothing to say
            facts = vlm_words.with_subjects(one, facts | (one.facts - other.facts))
        if facts <= other.facts:
            continue
        words = vlm_words.words_for(one, facts, rng)
        changed = render(other, SIZE, f"edited:{seed}:{number}")
        asks += [prompts.fits(image, words), prompts.fits(changed, words)]
    odds = np.array([_odds(reply) for reply in ask(asks)]).reshape(-1, 2)
    verdict = ((odds[:, 0] > 0).mean() + (odds[:, 1] < 0).mean()) / 2
    return float((odds[:, 0] > odds[:, 1]).mean()), len(odds), float(verdict)


def _texts(ask: Asked, asks: Sequence[Ask]) -> list[str]:
    """An ask that failed says nothing, and so counts as wrong."""
    return [reply.text if isinstance(reply, Text) else "" for reply in ask(asks)]


def _odds(reply: Reply) -> float:
    if not isinstance(reply, ChoiceScores):
        raise MMRetrievalError(f"a model that gives no odds for yes and no cannot be measured: {reply}")
    return reply.log_probs[0] - reply.log_probs[1]
