"""What became of a stage's answer: the status of its step, and the counts and the sentence that go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmretrieval.driver import Outcome
from mmretrieval.glue import Glued, moved
from mmretrieval.ordering import kendall_tau
from mmretrieval.stages import Reranked, Rewritten
from mmretrieval.types import Hit, Status

_FROM_BEST: tuple[Status, ...] = ("ok", "repaired", "partial", "fallback")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a step will tell of a stage, besides what it cost; `idle` when it did nothing, for what the note says."""

    status: Status = "ok"
    note: str = ""
    moved: int = 0
    parsed: Mapping[str, int] = field(default_factory=dict)
    tau: float | None = None
    flips: float | None = None
    idle: bool = False


def of_glued(before: Sequence[Hit], glued: Glued) -> Verdict:
    """By what had to be mended in the hits that came back."""
    status: Status = "repaired" if glued.dropped else "partial" if glued.forgotten else "ok"
    return Verdict(status, glued.note, moved(before, glued.hits))


def of_reranked(before: Sequence[Hit], glued: Glued, told: Reranked, depth: int) -> Verdict:
    """By what had to be mended, by how the model's answers could be read, and how far the top `depth` moved."""
    verdict = of_glued(before, glued)
    place = {hit.id: rank for rank, hit in enumerate(before[:depth])}
    return replace(
        verdict,
        status=worse(verdict.status, _of_answers(told.parsed)),
        note=joined(told.note, _unread(told.parsed), verdict.note),
        parsed=dict(told.parsed),
        tau=kendall_tau([place[hit.id] for hit in glued.hits[:depth]]) if len(place) > 1 else None,
        flips=told.flips,
        idle=bool(told.note) and tuple(told.hits) == tuple(before[:depth]),
    )


def of_rewritten(told: Rewritten, change: str, *, lost: bool) -> Verdict:
    """By how the model's answer could be read; `lost` when the rewriter had dropped what the user asked for."""
    status = worse("repaired" if lost else "ok", _of_answers(told.parsed))
    return Verdict(status, joined(change, told.note, _unread(told.parsed)), parsed=dict(told.parsed))


def with_failed_asks(verdict: Verdict, outcome: Outcome[Any]) -> Verdict:
    """Worse where the model did not answer; "fallback" where it answered nothing at all."""
    if not outcome.failures:
        return verdict
    asked = outcome.calls + outcome.cached + outcome.unasked
    remark = f"{len(outcome.failures)} of {asked} asks failed: {outcome.failures[0]}"
    status = worse(verdict.status, "fallback" if len(outcome.failures) == asked else "partial")
    return replace(verdict, status=status, note=joined(verdict.note, remark))


def worse(one: Status, other: Status) -> Status:
    """The worse of two."""
    return max(one, other, key=_FROM_BEST.index)


def joined(*notes: str) -> str:
    """The notes that say something, as one line."""
    return "; ".join(note for note in notes if note)


def _of_answers(parsed: Mapping[str, int]) -> Status:
    failed = parsed.get("failed", 0)
    if failed and failed == sum(parsed.values()):
        return "fallback"
    if failed or parsed.get("partial", 0):
        return "partial"
    return "repaired" if parsed.get("repaired", 0) else "ok"


def _unread(parsed: Mapping[str, int]) -> str:
    mended = {status: count for status, count in parsed.items() if count and status != "ok"}
    told = ", ".join(f"{count} {status}" for status, count in mended.items())
    return f"of {sum(parsed.values())} answers {told}" if told else ""
