"""What a rerank will cost, told before it runs."""

from __future__ import annotations

from collections.abc import Sequence

from mmretrieval.planned import Planned


def cost_line(planned: Sequence[Planned], pace: float | None = None) -> str:
    """One sentence; `pace` is seconds a call, as it was measured so far, None where nothing was."""
    if not planned:
        return "This asks no language model."
    calls, tokens = sum(each.calls for each in planned), sum(each.tokens for each in planned)
    if not calls:
        return "There is nothing to ask the language model."
    told = f"At most {_counted(calls, 'call')} to the language model, about {_counted(tokens, 'token')}"
    if pace is not None:
        told += f", about {_seconds(calls * pace)} at the pace so far"
    bases = "; ".join(dict.fromkeys(each.basis for each in planned))
    return f"{told} ({bases}). Replies that are kept cost nothing."


def stages_told(planned: Sequence[Planned]) -> list[str]:
    """The same stage by stage, where there are several."""
    return [f"{each.stage}: at most {_counted(each.calls, 'call')}" for each in planned] if len(planned) > 1 else []


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
