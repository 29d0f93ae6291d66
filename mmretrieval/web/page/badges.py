"""What each stage did, as HTML: a badge for its status, which is never hidden, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mmretrieval.types import Status, Step

MEANING: dict[Status, str] = {
    "ok": "everything was answered and could be read",
    "repaired": "an answer had to be mended before it was an order",
    "partial": "only a part was answered, or could be read",
    "fallback": "nothing could be used, so the order before it was kept",
}
_SIGNS: dict[Status, str] = {"ok": "✓", "repaired": "✎", "partial": "◐", "fallback": "↩"}


def badge(status: Status) -> str:
    """The status as a sign and a word; what it means stands in its title, and is read out by a screen reader."""
    told = escape(MEANING[status])
    return (
        f'<span class="mmb-badge mmb-{status}" title="{told}"><span aria-hidden="true">{_SIGNS[status]}</span> '
        f'{status}<span class="mmb-unseen">: {told}</span></span>'
    )


def steps_html(steps: Sequence[Step]) -> str:
    """One line a stage, in their order: name, badge, time, calls, and what the stage noted."""
    rows = "".join(f'<li class="mmb-step">{_step(step)}</li>' for step in steps)
    return f'<ol class="mmb-steps" aria-label="What each stage did">{rows}</ol>' if steps else ""


def cost_of(step: Step) -> str:
    """Time, calls, kept replies, tokens: what there was of them."""
    parts = [_time(step.seconds)]
    if step.calls:
        parts.append(f"{step.calls:,} {'call' if step.calls == 1 else 'calls'}")
    if step.cached:
        parts.append(f"{step.cached:,} kept {'reply' if step.cached == 1 else 'replies'}")
    if step.tokens:
        parts.append(f"{step.tokens:,} tokens")
    return ", ".join(parts)


def _step(step: Step) -> str:
    facts = [cost_of(step)]
    if step.moved:
        facts.append(f"{step.moved:,} moved")
    if step.unanswered:
        facts.append(f"{step.unanswered:,} without an answer")
    if step.flips is not None:
        facts.append(f"{step.flips:.0%} of pairs turned when shown in another order")
    note = f'<span class="mmb-note">{escape(step.note)}</span>' if step.note else ""
    return f'<b>{escape(step.name)}</b> {badge(step.status)} <span class="mmb-facts">{"; ".join(facts)}</span>{note}'


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
