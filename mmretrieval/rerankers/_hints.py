"""What the search before found out about a candidate, said to the model beside its picture.

Paper: InsertRank (arXiv 2506.14086), which writes the score of BM25 beside each passage; Vote-in-Context (arXiv
2511.01617) does so with pictures. Here every channel is told as a place among the candidates, since a cosine of 0.27
means nothing to a language model. Deviation: places instead of scores. A model may copy the order it is told, so the
step's `tau` near 1 says that the pictures were not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmretrieval.stages import Candidate

_SAID = {"image": "looks", "bm25": "words", "caption": "sense of the caption"}


def hints(candidates: Sequence[Candidate]) -> list[str]:
    """One sentence for each candidate, in their order."""
    own = [_channels(candidate) for candidate in candidates]
    count = len(candidates)
    told = []
    for place, channels in enumerate(own, start=1):
        facts = [f"place {place} of {count}"]
        if len(channels) > 1:
            facts += [f"{_SAID.get(c, c)} better than {_below(own, c, s)} of {count}" for c, s in channels.items()]
        told.append(f"A search engine, which may be wrong, gave it {', '.join(facts)}.")
    return told


def _channels(candidate: Candidate) -> Mapping[str, float]:
    """The first stage's scores, also behind another reranker."""
    before: Mapping[str, Any] = candidate.hit.details.get("first_stage", {})
    scores: Mapping[str, float] = before.get("scores", candidate.hit.scores)
    return scores


def _below(own: Sequence[Mapping[str, float]], channel: str, score: float) -> int:
    return sum(channels.get(channel, float("-inf")) < score for channels in own)
