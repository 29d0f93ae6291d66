"""The options of commands that ask a language model: which one, how much it may cost, and what is recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.errors import UsageError

if TYPE_CHECKING:
    from mmretrieval.planned import Planned
    from mmretrieval.types import Step

Mllm = Annotated[
    str | None,
    typer.Option(
        "--mllm", metavar="NAME", help="The language model: demo, openai:MODEL@URL, a folder, or a name of the hub."
    ),
]
MaxCalls = Annotated[int | None, typer.Option("--max-calls", metavar="N", min=0, help="Ask the model at most N times.")]
MaxSeconds = Annotated[
    float | None,
    typer.Option("--max-seconds", metavar="S", min=0, help="Ask nothing more S seconds after the first call."),
]
MaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", metavar="C", min=0, help="Spend at most C on calls, by --price."),
]
Price = Annotated[
    float | None,
    typer.Option("--price", metavar="P", min=0, help="What a million tokens cost, prompts and answers alike."),
]
Record = Annotated[
    Path | None, typer.Option("--record", metavar="FILE", help="Add what is asked and answered to this file.")
]
Replay = Annotated[
    Path | None, typer.Option("--replay", metavar="FILE", help="Answer from a recording in place of a model.")
]


def asking(
    mllm: str | None,
    replay: Path | None,
    record: Path | None,
    *,
    max_calls: int | None,
    max_seconds: float | None,
    max_cost: float | None,
    price: float | None,
) -> dict[str, Any]:
    """Arguments for what opens a model: `mllm`, `budget`, `record`. UsageError for options that do not go together."""
    from mmretrieval.budget import Budget

    given = {
        "--record": record,
        "--max-calls": max_calls,
        "--max-seconds": max_seconds,
        "--max-cost": max_cost,
        "--price": price,
    }
    if replay is not None and (mllm is not None or record is not None):
        raise UsageError(
            "--replay answers in place of a model, and all of it is recorded: leave out --mllm and --record"
        )
    named = f"replay:{replay}" if replay is not None else mllm
    if named is None:
        for option, value in given.items():
            if value is not None:
                raise UsageError(f"{option} is about calls of a language model: name one with --mllm, or leave it out")
    return {"mllm": named, "budget": Budget(max_calls, max_seconds, max_cost, price), "record": record}


def tell_planned(planned: Iterable[Planned]) -> None:
    """Say on stderr what is about to be asked."""
    for each in planned:
        sys.stderr.write(f"plan: {each}\n")


def tell_steps(steps: Iterable[Step]) -> None:
    """Say on stderr what the stages did that asked, moved hits, or have something to say."""
    for step in steps:
        if step.calls or step.cached or step.moved or step.note:
            did = f"{step.status}, {step.calls} calls, {step.cached} kept replies, moved {step.moved} hits"
            sys.stderr.write(f"step: '{step.name}' {did}{f'; {step.note}' if step.note else ''}\n")
