"""The look at a language model: what it finds in one that sees, one that is blind, one that goes by place."""

import json
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from tiny_vlms import write_vlm

from mmretrieval.asks import MLLM, ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.cli.entry import run
from mmretrieval.mllm_checkup import check_up, drawn_scenes, drawn_shapes


class Honest(MLLM):
    """Sees whether a picture is more red or more blue, and knows which of the two the words want."""

    answers = frozenset({Generate, ScoreChoices})
    spec = "honest"

    def answer(self, asks):
        return [self.one(ask, [self.look(part) for part in ask.parts if not isinstance(part, str)]) for ask in asks]

    def look(self, image):
        red, _, blue = np.asarray(image, dtype=float).mean(axis=(0, 1))
        return "red" if red > blue else "blue"

    def one(self, ask, seen):
        tokens = 10 + 5 * len(seen)
        if isinstance(ask, Generate):
            return Text(" ".join(seen), tokens)
        wanted = "red" if "red" in " ".join(part for part in ask.parts if isinstance(part, str)) else "blue"
        if ask.choices == ("yes", "no"):
            return ChoiceScores((-0.1, -3.0) if wanted in seen else (-3.0, -0.1), tokens)
        return ChoiceScores(tuple(0.0 if one == wanted else -2.0 for one in seen), tokens)


class Blind(Honest):
    """Drops pictures on the way, as some servers do."""

    def look(self, image):
        return "red"

    def one(self, ask, seen):
        reply = super().one(ask, seen)
        return type(reply)(reply.text if isinstance(reply, Text) else reply.log_probs, 10)


class Placed(Honest):
    """Always takes the first picture."""

    def one(self, ask, seen):
        return super().one(ask, seen) if ask.parts[0] != "picture 1:" else ChoiceScores((-0.1, -2.0), 20)


class Dead(Honest):
    def one(self, ask, seen):
        return Failed("the server is gone")


class InWords(Honest):
    answers = frozenset({Generate})


def found(model):
    return {finding.name: finding for finding in check_up(model)}


def problems(model):
    return {finding.name for finding in check_up(model) if not finding.ok}


def test_a_model_that_sees_has_no_problems():
    findings = found(Honest())
    assert problems(Honest()) == set()
    assert findings["answers"].detail == "honest answers Generate, ScoreChoices, and gets the full questions"
    assert findings["yes and no"].detail == (
        "2 of 2 things are likelier in the picture that shows them, by 5.80 nats on average (least 5.80); 1 is wanted"
    )
    assert findings["order"].detail.startswith("4 of 4 right among two pictures; 0 of 2 answers go with the place")
    assert findings["tokens"].detail == "a picture of 256 by 256 takes 5 tokens, two take 10"


def test_a_model_that_does_not_see_is_found_out():
    assert problems(Blind()) == {"text", "yes and no", "order", "tokens"}


def test_a_model_that_goes_by_place_is_found_out():
    assert problems(Placed()) == {"order"}
    assert "2 of 4 right among two pictures; 2 of 2 answers go with the place" in found(Placed())["order"].detail


def test_a_model_that_does_not_answer_tells_why():
    findings = found(Dead())
    assert problems(Dead()) == findings.keys() - {"answers"}
    assert {finding.detail for name, finding in findings.items() if name != "answers"} == {"the server is gone"}


def test_what_a_model_cannot_be_asked_is_left_out():
    assert found(InWords()).keys() == {"answers", "text"}


@pytest.mark.parametrize("draw", [drawn_shapes, drawn_scenes])
def test_the_drawn_pictures_are_the_same_everywhere_and_differ(draw):
    for (first, second), again in zip(draw(), draw(), strict=True):
        assert [one.image.tobytes() for one in again] == [first.image.tobytes(), second.image.tobytes()]
        assert first.image.tobytes() != second.image.tobytes()
        assert first.words != second.words


def test_the_command_line_tells_what_a_model_without_training_lacks(tmp_path):
    folder = write_vlm(tmp_path / "vlm", "fast_vlm")
    out = StringIO()
    with redirect_stdout(out):
        code = run(["doctor", "--mllm", str(folder), "--device", "cpu", "--json"])
    report = json.loads(out.getvalue())
    checks = {check["name"]: check for check in report["checks"]}
    assert code == 3
    assert {"answers", "text", "yes and no", "order", "tokens", "seconds for one", "seconds each of 8"} == set(checks)
    assert checks["answers"]["ok"]
    assert checks["tokens"]["ok"]
    assert not checks["yes and no"]["ok"]
    assert report["errors"] == [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
