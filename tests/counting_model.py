"""A language model that writes down what it is asked, for tests through the command line: "counting:FILE"."""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from mmretrieval.asks import MLLM, Ask, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text
from mmretrieval.transcript import Pictures, ask_facts, key_of

ENTRY = "[mmretrieval.mllms]\ncounting = counting_model\n"


def install(folder: Path) -> Path:
    """What an installed package leaves for the registry; the folder has to be on the path of Python."""
    info = folder / "counting_model-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting-model\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY)
    return folder


class Counting(MLLM):
    """Replies depend on the ask alone. A file FILE.dead stops it from answering; SECONDS_A_CALL slows it down."""

    answers = frozenset({Generate, ScoreChoices})
    at_once = 4

    def __init__(self, file: str) -> None:
        self.spec = f"counting:{file}"
        self.file = Path(file)

    @property
    def fingerprint(self) -> dict[str, object]:
        return {"counting": 1}

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        pictures = Pictures()
        return [self._reply(key_of(ask_facts(ask, pictures)), ask) for ask in asks]

    def _reply(self, key: str, ask: Ask) -> Reply:
        time.sleep(float(os.environ.get("SECONDS_A_CALL", "0")))
        with self.file.open("a") as log:
            log.write(f"{key}\n")
        if self.file.with_suffix(".dead").exists():
            return Failed("connection refused")
        digest = hashlib.sha256(key.encode()).digest()
        if isinstance(ask, ScoreChoices):
            return ChoiceScores(tuple(-byte / 32 for byte in digest[: len(ask.choices)]), tokens=50)
        return Text(f"a thing number {digest[0]}", tokens=70)
