"""Answers recorded earlier, and nothing else: no model, no network, no cost.

The whole recording is read at once. Every reply counts as cached. An ask that was never recorded is `Failed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmretrieval.asks import MLLM, Ask, Failed, Reply, fitted
from mmretrieval.recording import read_recording
from mmretrieval.transcript import KINDS, Pictures, ask_facts, first_words, key_of, reply_facts


class Replay(MLLM):
    """A recording in the place of the model it was made with.

    It answers the same kinds of asks and gets the same form of each. Raises NotFound without the file, InvalidData
    for one that is no recording.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = Path(file)
        self.spec = f"replay:{file}"
        recorded = read_recording(self.file)
        self.of = str(recorded.model["spec"])  # the model that was recorded
        self.answers = frozenset(KINDS[name] for name in recorded.model["answers"])
        self.compact = bool(recorded.model["compact"])
        self._replies = recorded.replies

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Of what is recorded, and never equal to that of the model itself."""
        replies = {key: reply_facts(reply) for key, reply in self._replies.items()}
        return {"recording of": self.of, "replies": key_of(replies)}

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        pictures = Pictures()
        return [self._reply(fitted(ask, self), pictures) for ask in asks]

    def _reply(self, ask: Ask, pictures: Pictures) -> Reply:
        known = self._replies.get(key_of(ask_facts(ask, pictures)))
        if known is not None:
            return known
        return Failed(
            f"the recording {self.file} has no reply to {first_words(ask)}: words, pictures or settings differ from "
            "what was recorded; record again with the same ones",
            asked=False,
        )
