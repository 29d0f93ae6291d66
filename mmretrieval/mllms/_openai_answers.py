"""Reads a server's answer, which may lack anything: what does not have the right shape is no answer."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmretrieval.mllms._openai_http import NoAnswer

_THOUGHT = re.compile(r"^.*?</think(?:ing)?>", re.DOTALL)
_THINKS = re.compile(r"^\s*<think(?:ing)?>")
_AROUND = " \t\r\n*_`'\"()[].,:;!"


@dataclass(frozen=True, slots=True)
class Said:
    """What the model said, without its thoughts; `cut` when it ran into the limit. 0 tokens: the server told none."""

    text: str
    cut: bool
    tokens: int


def said(answer: Mapping[str, Any]) -> Said:
    """Raises NoAnswer, with the reason, when there are no words in the answer that the model meant as one."""
    choice = _choice(answer)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise NoAnswer("the server's answer has another shape: it holds no message")
    if refusal := message.get("refusal"):
        raise NoAnswer(f"the model refused: {str(refusal)[:100]}")
    why = choice.get("finish_reason")
    if why == "content_filter":
        raise NoAnswer("the server's filter held the answer back")
    text, cut = message.get("content"), why == "length"
    if text is not None and not isinstance(text, str):
        raise NoAnswer("the server's answer has another shape: its content is no text")
    text = _THOUGHT.sub("", text or "").strip()
    if not text or _THINKS.match(text):
        more = "; give it more tokens, or a model that does not think first" if cut else ""
        raise NoAnswer(f"the model said nothing but its thoughts, or nothing at all{more}")
    return Said(text, cut, tokens_of(answer))


def tokens_of(answer: Mapping[str, Any]) -> int:
    """Prompt and answer together, as the server counts them; 0 when it does not."""
    usage = answer.get("usage")
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) and total > 0 else 0


def next_tokens(answer: Mapping[str, Any]) -> dict[str, float]:
    """The tokens that the server gives for the answer's first place, with their natural log-probabilities.

    Empty when it gives none. Raises NoAnswer for numbers that cannot be log-probabilities.
    """
    held = _choice(answer).get("logprobs")
    content = held.get("content") if isinstance(held, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict):
        return {}
    others = first.get("top_logprobs")
    found: dict[str, float] = {}
    for entry in [first, *(others if isinstance(others, list) else [])]:
        token, value = (entry.get("token"), entry.get("logprob")) if isinstance(entry, dict) else (None, None)
        if not isinstance(token, str) or isinstance(value, bool) or not isinstance(value, int | float):
            raise NoAnswer("the server's log-probabilities have another shape")
        if not math.isfinite(value) or value > 1e-3:  # a little above 0 is rounding
            raise NoAnswer(f"the server gives {value} as a log-probability")
        found[token] = max(min(float(value), 0.0), found.get(token, -math.inf))
    return found


def named(text: str, choices: Sequence[str]) -> int:
    """Which choice the words name: all of them, or the first of them. Raises NoAnswer when that is not one."""
    plain = [choice.strip(_AROUND).casefold() or choice for choice in choices]
    for words in (text, *text.split()[:1]):
        hits = [at for at, choice in enumerate(plain) if choice == words.strip(_AROUND).casefold()]
        if len(hits) == 1:
            return hits[0]
    raise NoAnswer(f"the model was asked in words, and '{text[:60]}' names none of: {', '.join(choices)}")


def _choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NoAnswer("the server's answer has another shape: it holds no choices")
    return choices[0]
