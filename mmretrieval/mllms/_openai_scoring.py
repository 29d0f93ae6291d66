"""Choices scored by a server: exactly, from the likeliest tokens, or only named."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmretrieval.asks import ChoiceScores, ScoreChoices
from mmretrieval.mllms._choices import Plan, Tokens, plan, spellings
from mmretrieval.mllms._openai_abilities import Talk, exact_fields, log_prob_fields
from mmretrieval.mllms._openai_answers import named, next_tokens, said, tokens_of
from mmretrieval.mllms._openai_http import NoAnswer
from mmretrieval.mllms._openai_messages import messages

if TYPE_CHECKING:
    from mmretrieval.asks import Part

WORDS = 16  # tokens for an answer in words
_MOST_NAMED = 128  # tokens that vLLM takes in one request
_THINKS = "the model begins to think where it should choose: take one whose thoughts can be switched off"


async def score(
    talk: Talk, ask: ScoreChoices, most_pixels: int, *, compact: bool, looks: Mapping[str, Any]
) -> ChoiceScores:
    """The choices' log-probabilities in the best way the server has; `looks` is what `Sheets.fields` says.

    Raises NoAnswer when there are none, UsageError for choices that are the same to the model.
    """
    able = await talk.abilities()
    if able.exact:
        return await _exact(talk, ask, most_pixels, looks)
    parts = ask.parts if compact and not ask.prefill else (*ask.parts, _one_of(ask))
    if not able.log_probs:
        return await _in_words(talk, ask, parts, most_pixels)
    turns = await asyncio.to_thread(messages, ask.parts if not ask.prefill else parts, most_pixels)
    answer = await talk.chat(turns, 1, **log_prob_fields(able.log_probs), **looks)
    log_probs, bounded = among(next_tokens(answer), ask.choices)
    return ChoiceScores(log_probs, tokens_of(answer), bounded=bounded)


def among(found: Mapping[str, float], choices: Sequence[str]) -> tuple[tuple[float, ...], int]:
    """Log-probabilities of choices from those of the likeliest tokens, and how many are only bounds.

    The spellings of a choice are added up. A choice that is not there can be no likelier than the least likely token
    that is, or than a token that it begins with. Raises NoAnswer when none is there.
    """
    if not found:
        raise NoAnswer("the server gave no log-probabilities this time")
    numbers: dict[str, int] = {}
    planned = plan(choices, "", lambda word: (numbers.setdefault(word, len(numbers)),))
    given: dict[Tokens, float] = {(number,): found.get(word, -math.inf) for word, number in numbers.items()}
    scores = planned.scores(given)
    if max(found, key=lambda token: found[token]).strip().startswith("<think"):
        raise NoAnswer(_THINKS)
    if not any(map(math.isfinite, scores)):
        told = ", ".join(repr(token) for token in list(found)[:3])
        raise NoAnswer(f"none of the choices is among the {len(found)} likeliest tokens, which begin with {told}")
    least = min(found.values())
    bounds = [max([least, *_beginnings(found, choice)]) for choice in choices]
    absent = [not math.isfinite(score) for score in scores]
    values = tuple(bound if gone else score for score, bound, gone in zip(scores, bounds, absent, strict=True))
    return values, sum(absent)


def _beginnings(found: Mapping[str, float], choice: str) -> list[float]:
    """The log-probabilities of tokens with which a spelling of the choice begins, and then goes on."""
    written = spellings(choice)
    parts = {word[:end] for word in written for end in range(1, len(word)) if word[:end].strip()}
    return [value for token, value in found.items() if token in parts]


async def _exact(talk: Talk, ask: ScoreChoices, most_pixels: int, looks: Mapping[str, Any]) -> ChoiceScores:
    """One request where all choices are single tokens, else one per beginning that they share."""
    if len(ask.choices) > _MOST_NAMED:
        raise NoAnswer(f"{len(ask.choices)} choices are too many for one request: give at most {_MOST_NAMED}")
    words = {word for choice in ask.choices for word in spellings(choice, ask.prefill)}
    behind = await asyncio.gather(*(_behind(talk, ask.prefill, word) for word in words))
    known = dict(zip(words, behind, strict=True))
    planned = plan(ask.choices, ask.prefill, lambda word: known[word])
    starts = {tokens[:n] for sequences in planned.of for tokens in sequences for n in range(len(tokens))}
    steps: dict[Tokens, float] = {}
    spent = 0
    for start in sorted(starts):
        begun = ask.prefill + await _written(talk, start, ask)
        turns = await asyncio.to_thread(messages, ask.parts, most_pixels, begun)
        more = {"continue_final_message": True, "add_generation_prompt": False} if begun else {}
        wanted = _following(planned, start)
        answer = await talk.chat(turns, 1, **exact_fields(wanted), **more, **looks)
        spent += tokens_of(answer)
        steps |= {
            (*start, token): value for token, value in zip(wanted, await _given(talk, answer, wanted), strict=True)
        }
    every = [tokens for sequences in planned.of for tokens in sequences]
    totals = {t: sum(steps.get(t[: n + 1], -math.inf) for n in range(len(t))) for t in every}
    return ChoiceScores(planned.scores(totals), spent)


async def _given(talk: Talk, answer: Mapping[str, Any], wanted: Sequence[int]) -> list[float]:
    """The log-probabilities of the tokens that were named; the one the model would say comes along."""
    values = next_tokens(answer)
    thought = await talk.tokens("<think>")
    if len(thought) == 1 and thought[0] not in wanted and _numbered(thought[0]) in values:
        raise NoAnswer(_THINKS)
    if missing := [token for token in wanted if _numbered(token) not in values]:
        raise NoAnswer(f"the server left out {len(missing)} of {len(wanted)} log-probabilities")
    return [values[_numbered(token)] for token in wanted]


def _numbered(token: int) -> str:
    return f"token_id:{token}"


def _following(planned: Plan, start: Tokens) -> list[int]:
    """The tokens that go on from a beginning, those of the choices as they stand first, as many as can be named."""
    found = [t[len(start)] for of in planned.of for t in of[:1] if t[: len(start)] == start and len(t) > len(start)]
    found += [t[0] for of in planned.of for t in of[1:] if not start]
    return list(dict.fromkeys(found))[:_MOST_NAMED]


async def _behind(talk: Talk, prefill: str, word: str) -> Tokens:
    """The tokens of a word as it stands behind the prefill, where many tokenizers write it otherwise than alone."""
    if prefill:
        before, both = await talk.tokens(prefill), await talk.tokens(prefill + word)
        if both[: len(before)] == before:
            return both[len(before) :]
    return await talk.tokens(word)


async def _written(talk: Talk, start: Tokens, ask: ScoreChoices) -> str:
    """The words of a choice's first tokens."""
    for choice in ask.choices if start else ():
        for end in range(1, len(choice)):
            if await _behind(talk, ask.prefill, choice[:end]) == start:
                return choice[:end]
    if start:
        raise NoAnswer(f"the server cuts the choices into pieces that are no words: {', '.join(ask.choices)}")
    return ""


async def _in_words(talk: Talk, ask: ScoreChoices, parts: Sequence[Part], most_pixels: int) -> ChoiceScores:
    """The choice that the model names; nothing is known of how much likelier it is, see `ChoiceScores`."""
    answer = await talk.chat(await asyncio.to_thread(messages, parts, most_pixels), WORDS)
    chosen = named(said(answer).text, ask.choices)
    log_probs = tuple(0.0 if at == chosen else math.log(0.5) for at in range(len(ask.choices)))
    return ChoiceScores(log_probs, tokens_of(answer), bounded=len(ask.choices), in_words=True)


def _one_of(ask: ScoreChoices) -> str:
    return f"\nAnswer with one of these and nothing else: {', '.join(ask.choices)}"
