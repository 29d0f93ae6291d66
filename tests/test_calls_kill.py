"""SIGKILL in the middle of many calls: what was answered is kept, and at most the chunk in hand is asked again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import counting_model
import pytest

from mmretrieval.asks import Generate, Text
from mmretrieval.calls import open_calls
from mmretrieval.mllms.replay import Replay

ASKS, KILLS = 60, 12
CHUNK = counting_model.Counting.at_once
HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")

PROCESS = f"""
import sys
from pathlib import Path
from counting_model import Counting
from mmretrieval.asks import Generate
from mmretrieval.calls import open_calls
calls = open_calls(Counting(sys.argv[1]), Path(sys.argv[2]), record=sys.argv[3])
sys.stdout.write("ready\\n")
sys.stdout.flush()
calls.answer([Generate((f"question {{n}}",)) for n in range({ASKS})])
"""


def killed_run(log, folder, record, seconds):
    environment = {**os.environ, "SECONDS_A_CALL": "0.005", "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    command = [sys.executable, "-c", PROCESS, str(log), str(folder), str(record)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)


def asked(log):
    return log.read_text().split() if log.exists() else []


def test_a_dozen_kills_cost_a_chunk_each_at_most(tmp_path):
    log, folder, record = tmp_path / "log", tmp_path / "index", tmp_path / "calls.jsonl"
    folder.mkdir()
    moments = random.Random(3)
    questions = [Generate((f"question {n}",)) for n in range(ASKS)]
    span = 0.05
    for kill in range(KILLS):
        before = asked(log)
        killed_run(log, folder, record, moments.uniform(0, span))
        new = asked(log)[len(before) :]
        assert len(set(new) & set(before)) <= CHUNK, f"kill {kill}: more than the chunk in hand was lost"
        span *= 1 if new else 1.5  # however slow the machine is, the kills shall come in the middle of the work
    assert asked(log)
    model = counting_model.Counting(str(log))
    calls = open_calls(model, folder, record=record)
    assert calls.warnings == ()
    replies = calls.answer(questions)
    calls.close()
    assert len(asked(log)) - ASKS <= CHUNK * KILLS
    assert all(isinstance(reply, Text) for reply in replies)
    fresh = counting_model.Counting(str(tmp_path / "other")).answer(questions)
    assert [reply.text for reply in replies] == [reply.text for reply in fresh]
    assert [reply.text for reply in Replay(record).answer(questions)] == [reply.text for reply in fresh]
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert len({line["key"] for line in lines[1:]}) == ASKS
