"""Batches of rows to answers: choices by one forward pass, free text by greedy decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mmretrieval.mllms._choices import Plan, Tokens
from mmretrieval.mllms._head import Head
from mmretrieval.mllms._loaded import Loaded
from mmretrieval.mllms._memory import Room, TimeIsUp, in_batches
from mmretrieval.mllms._rows import Row, Rows


def score(
    rows: Rows, head: Head, room: Room, prompts: Sequence[Row], plans: Sequence[Plan]
) -> list[tuple[tuple[float, ...], int] | Exception]:
    """For each prompt the log-probabilities of its choices, and the tokens that went through the model.

    One forward pass per prompt where all choices are single tokens; else one per beginning that they share.
    """
    jobs = [(at, tail) for at, plan in enumerate(plans) for tail in plan.continuations]
    longer = [prompts[at].then(tail) for at, tail in jobs]
    wanted = [_wanted(plans[at], tail) for at, tail in jobs]

    def run(batch: list[int]) -> list[dict[Tokens, float]]:
        pairs = [[pair for _, pair in wanted[job]] for job in batch]
        values = head.log_probs(rows.batch([longer[job] for job in batch]), pairs)
        return [
            {sequence: value for (sequence, _), value in zip(wanted[job], own, strict=True)}
            for job, own in zip(batch, values, strict=True)
        ]

    done = in_batches([len(row.ids) for row in longer], [row.kind for row in longer], room, run)
    return [_gathered(at, plans[at], jobs, longer, done) for at in range(len(prompts))]


def generate(
    loaded: Loaded, rows: Rows, room: Room, prompts: Sequence[Row], most: Sequence[int]
) -> list[tuple[list[int], bool] | Exception]:
    """For each prompt the tokens of its answer, and whether it was cut at `most` of them."""

    def run(batch: list[int]) -> list[tuple[list[int], bool]]:
        inputs = rows.batch([prompts[at] for at in batch])
        inputs.pop("position_ids", None)  # generate counts them itself, token after token
        with torch.inference_mode():
            out = loaded.model.generate(**inputs, max_new_tokens=most[batch[0]], do_sample=False, num_beams=1)
        start = inputs["input_ids"].shape[1]
        return [_ended(row[start:].tolist(), loaded.ends) for row in out]

    sizes = [len(row.ids) + new for row, new in zip(prompts, most, strict=True)]
    return in_batches(sizes, [(row.kind, new) for row, new in zip(prompts, most, strict=True)], room, run)


def _wanted(plan: Plan, tail: Tokens) -> list[tuple[Tokens, tuple[int, int]]]:
    """(sequence so far, (positions back from the end, token)) for all that a row ending in `tail` tells."""
    found: dict[Tokens, tuple[int, int]] = {}
    for sequences in plan.of:
        for tokens in sequences:
            for n, token in enumerate(tokens):
                if tail[:n] == tokens[:n]:
                    found[tokens[: n + 1]] = (len(tail) - n, token)
    return list(found.items())


def _gathered(
    at: int, plan: Plan, jobs: Sequence[tuple[int, Tokens]], longer: Sequence[Row], done: Sequence[Any]
) -> tuple[tuple[float, ...], int] | Exception:
    own = [job for job, (owner, _) in enumerate(jobs) if owner == at]
    steps: dict[Tokens, float] = {}
    for job in own:
        if isinstance(done[job], TimeIsUp):
            return TimeIsUp(begun=any(not isinstance(done[other], Exception) for other in own))
        if isinstance(done[job], Exception):
            failed: Exception = done[job]
            return failed
        steps |= done[job]
    totals = {
        tokens: sum(steps[tokens[: n + 1]] for n in range(len(tokens))) for sequences in plan.of for tokens in sequences
    }
    return plan.scores(totals), sum(len(longer[job].ids) for job in own)


def _ended(tokens: list[int], ends: frozenset[int]) -> tuple[list[int], bool]:
    for at, token in enumerate(tokens):
        if token in ends:
            return tokens[:at], False
    return tokens, True
