"""What a search is going to ask of its language model, before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from mmretrieval.asks import MLLM, Ask, Attend, Generate, ScoreChoices
from mmretrieval.calls import Calls
from mmretrieval.pipeline import Pipeline
from mmretrieval.stages import AskKind, Refiner, Reranker, Stage

_WORDS, _SIDE = "a " * 200, 448  # of an ask that nothing is known about


@dataclass(frozen=True, slots=True)
class Planned:
    """At most so many calls of a stage for all queries together, and about so many tokens.

    `basis` says what the tokens are estimated from. Calls whose replies are kept are not made.
    """

    stage: str
    calls: int
    tokens: int
    basis: str

    def __str__(self) -> str:
        return f"'{self.stage}' asks at most {self.calls:,} times, about {self.tokens:,} tokens ({self.basis})"


def planned_calls(pipeline: Pipeline, records: int, queries: int = 1) -> list[Planned]:
    """For each stage that asks; `records` are in the collection, and a reranker looks at no more than its depth."""
    stages: list[Stage] = [*pipeline.rewriters, *pipeline.later]
    asking = [stage for stage in stages if stage.needs]
    return [_planned(stage, pipeline.mllm, records, queries) for stage in asking if pipeline.mllm is not None]


def _planned(stage: Stage, mllm: MLLM | None, records: int, queries: int) -> Planned:
    assert mllm is not None, "the pipeline refuses a stage that asks nobody"
    depth = stage.depth if isinstance(stage, Refiner | Reranker) else 0
    calls = queries * stage.calls(min(depth, records))
    count, mean = (0, 0.0)
    if isinstance(mllm, Calls) and mllm.cache is not None:
        count, mean = mllm.cache.mean_tokens(kind.__name__ for kind in stage.needs)
    if count and mean:
        return Planned(stage.name, calls, round(calls * mean), f"by {count:,} earlier replies of this model")
    most = max(mllm.tokens_at_most(_usual(kind)) for kind in stage.needs)
    return Planned(stage.name, calls, calls * most, "rather less: there are no earlier replies to judge by")


def _usual(kind: AskKind) -> Ask:
    """An ask about one picture, with a prompt as long as most are."""
    parts = (_WORDS, Image.new("RGB", (_SIDE, _SIDE)))
    if kind is ScoreChoices:
        return ScoreChoices(parts, ("yes", "no"))
    return Attend(parts) if kind is Attend else Generate(parts)
