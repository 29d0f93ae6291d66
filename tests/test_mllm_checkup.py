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
    """Counts what it is asked, and answers none of it."""

    asked = 0

    def one(self, ask, seen):
        self.asked += 1
        return Failed("the server is gone")


class Mute(Honest):
    """Writes, and does not score."""

    def one(self, ask, seen):
        return super().one(ask, seen) if isinstance(ask, Generate) else Failed("no log-probabilities here")


class Dim(Honest):
    """Sees, and is hardly surer of yes where yes is right."""

    def one(self, ask, seen):
        reply = super().one(ask, seen)
        if isinstance(ask, Generate) or ask.choices != ("yes", "no"):
            return reply
        return ChoiceScores(tuple(0.01 * each for each in reply.log_probs), reply.tokens)


class InWords(Honest):
    answers = frozenset({Generate})


def found(model):
    return {finding.name: finding for finding in check_up(model)}


def states(model):
    return {finding.name: finding.state for finding in check_up(model) if finding.state != "ok"}


def test_a_model_that_sees_has_no_problems():
    findings = found(Honest())
    assert states(Honest()) == {}
    assert findings["answers"].detail == "honest answers Generate, ScoreChoices, and gets the full questions"
    assert findings["yes and no"].detail == (
        "2 of 2 things are likelier in the picture that shows them, by 5.80 nats on average (least 5.80); 1 is wanted"
    )
    assert findings["order"].detail.startswith("4 of 4 right among two pictures; 0 of 2 answers go with the place")
    assert findings["tokens"].detail == "a picture of 256 by 256 takes 5 tokens, two take 10"


def test_a_model_that_does_not_see_is_found_out():
    assert states(Blind()) == {"text": "broken", "yes and no": "broken", "order": "weak", "tokens": "broken"}
    assert "the picture makes no difference to its answers" in found(Blind())["yes and no"].detail


def test_a_model_that_goes_by_place_is_found_out():
    assert states(Placed()) == {"order": "weak"}
    assert "2 of 4 right among two pictures; 2 of 2 answers go with the place" in found(Placed())["order"].detail


def test_a_model_that_sees_and_hardly_knows_yes_from_no_is_weak_and_not_broken():
    assert states(Dim()) == {"yes and no": "weak"}
    assert found(Dim())["yes and no"].detail.endswith("such as pointwise, hardly help with this model")


def test_a_model_that_does_not_answer_is_asked_once_and_tells_why_once():
    dead = Dead()
    assert [(each.name, each.state, each.detail) for each in check_up(dead)] == [
        ("answers", "broken", "the server is gone")
    ]
    assert dead.asked == 1


def test_a_model_that_answers_one_kind_of_ask_tells_once_that_it_fails_at_the_other():
    assert states(Mute()) == {"yes and no": "broken"}
    assert found(Mute()).keys() == {"answers", "text", "yes and no"}


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
    assert {"answers", "text", "yes and no", "order", "tokens", "seconds for one", "seconds each of 8"} == set(checks)
    assert checks["answers"]["ok"]
    assert checks["tokens"]["ok"]
    lacking = [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
    assert (code, report["status"], report["errors"]) == ((6, "error", lacking) if lacking else (0, "ok", []))
    assert report["warnings"] == [f"{name}: {check['detail']}" for name, check in checks.items() if check["weak"]]
    assert not checks["yes and no"]["ok"] or checks["yes and no"]["weak"]  # random weights know nothing


def test_what_the_demo_model_does_badly_is_a_warning_and_no_failure(capsys):
    assert run(["doctor", "--mllm", "demo"]) == 0
    said = capsys.readouterr()
    shown = dict(line.split("\t")[1::-1] for line in said.out.splitlines())
    assert set(shown.values()) <= {"ok", "weak"}
    assert said.err.count("warning: ") == list(shown.values()).count("weak")
    assert "error: " not in said.err


def test_a_server_that_is_not_there_is_told_in_one_sentence(capsys):
    assert run(["doctor", "--mllm", "openai:any@http://127.0.0.1:9/v1"]) == 6
    said = capsys.readouterr()
    [line] = said.out.splitlines()
    state, name, told = line.split("\t")
    assert (state, name) == ("PROBLEM", "answers")
    assert "http://127.0.0.1:9/v1 cannot be reached" in told
    assert said.err == f"error: answers: {told}\n"
