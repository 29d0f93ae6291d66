"""The shipped language model as a user asks it, on scenes it never saw.

The floors lie well below what assets/reports/demo-vlm.md states, so that only a real loss fails.
"""

from __future__ import annotations

import pytest

from mmretrieval.asks import Generate, ScoreChoices, Text
from mmretrieval.demo.sample import sample
from mmretrieval.mllm_names import demo_folder, open_mllm
from mmretrieval.prompts import compact_list
from mmretrieval.training.vlm_quality import Quality, measure

MEGABYTES = 15
SCENES = 40


@pytest.fixture(scope="module")
def quality() -> Quality:
    return measure(open_mllm("demo", device="cpu"), "shipped", SCENES)


FLOORS = {
    "setting": 0.93,
    "things": 0.88,
    "list_f1": 0.83,
    "applied": 0.75,
    "kept": 0.85,
    "pair": 0.75,
    "verdict": 0.68,
}


def test_every_question_is_answered(quality: Quality) -> None:
    assert quality.failed == 0
    assert quality.scenes == SCENES


@pytest.mark.parametrize("skill", FLOORS)
def test_what_it_says_of_drawn_scenes_is_true(quality: Quality, skill: str) -> None:
    assert getattr(quality, skill) >= FLOORS[skill], quality


def test_it_is_small() -> None:
    folder = demo_folder()
    assert sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) < MEGABYTES * 1e6
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".jinja", ".md", ".safetensors"}, "nothing runs code"


def test_it_is_asked_the_short_questions_and_says_what_it_knows() -> None:
    model = open_mllm("demo", device="cpu")
    assert model.spec == "demo"
    assert model.compact
    assert "drawn" in model.knows
    assert ScoreChoices in model.answers


def test_it_writes_an_order_of_labelled_pictures() -> None:
    model = open_mllm("demo", device="cpu")
    pictures = [sample("order", number).render(256) for number in range(4)]
    (reply,) = model.answer([Generate(compact_list(pictures, "an egg"), max_tokens=40)])
    assert isinstance(reply, Text)
    assert sorted(reply.text.split(" > ")) == ["1", "2", "3", "4"], reply.text
