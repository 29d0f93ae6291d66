"""What a rerank will cost, told before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmretrieval.planned import Planned


def cost_line(planned: Sequence[Planned], paces: Mapping[str, float] | None = None) -> str:
    """One sentence; `paces` are seconds a call of each stage, as far as they were measured on this server."""
    if not planned:
        return "This asks no language model."
    calls, tokens = sum(each.calls for each in planned), sum(each.tokens for each in planned)
    if not calls:
        return "There is nothing to ask the language model."
    told = f"At most {_counted(calls, 'call')} to the language model, about {_counted(tokens, 'token')}"
    if paces is not None and all(each.stage in paces for each in planned):
        told += f", about {_time(sum(each.calls * paces[each.stage] for each in planned))} at the pace so far"
    bases = "; ".join(dict.fromkeys(each.basis for each in planned))
    return f"{told} ({bases}). Replies that are kept cost nothing."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
