"""Choices as sequences of tokens, and the log-probability of each from those of its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mmretrieval.errors import UsageError

Tokens = tuple[int, ...]

_LEAST_LEFT = 1e-6  # of a choice's mass that longer choices leave, against rounding


def spellings(choice: str, prefill: str = "") -> tuple[str, ...]:
    """The ways in which a model may write a choice, as it stands first.

    Where its answer has begun already (`prefill`) only that; else with a blank before it and in other cases.
    """
    if prefill:
        return (choice,)
    cases = (choice, choice.capitalize(), choice.lower(), choice.upper())
    return tuple(dict.fromkeys(blank + written for blank in ("", " ") for written in cases))


@dataclass(frozen=True, slots=True)
class Plan:
    """The token sequences of each choice, the choice as it stands first; others are single tokens."""

    of: tuple[tuple[Tokens, ...], ...]

    @property
    def continuations(self) -> list[Tokens]:
        """What has to stand behind the prompt so that every token's log-probability can be read: often nothing."""
        starts = {tokens[:-1] for sequences in self.of for tokens in sequences}
        return sorted(a for a in starts if not any(b != a and b[: len(a)] == a for b in starts))

    def scores(self, of_sequence: Mapping[Tokens, float]) -> tuple[float, ...]:
        """One log-probability per choice: its spellings added up, without what belongs to longer choices.

        "1" is also how "12" begins where digits are tokens of their own. So that choices exclude each other, the
        shorter one counts only as far as no longer choice goes on from it.
        """
        firsts = [sequences[0] for sequences in self.of]
        scores = []
        for first, sequences in zip(firsts, self.of, strict=True):
            longer = [t for t in firsts if len(t) > len(first) and t[: len(first)] == first]
            nearest = [t for t in longer if not any(t != s and t[: len(s)] == s for s in longer)]
            own = of_sequence[first]
            if nearest:
                taken = math.exp(_log_sum([of_sequence[t] for t in nearest]) - own)
                own += math.log(max(1 - taken, _LEAST_LEFT))
            scores.append(_log_sum([own, *(of_sequence[tokens] for tokens in sequences[1:])]))
        return tuple(scores)


def plan(choices: Sequence[str], prefill: str, tokens: Callable[[str], Sequence[int]]) -> Plan:
    """The plan for choices; `tokens` tells the tokens of words as they stand behind the prompt.

    A spelling counts when it is one token, and no other choice's. Raises UsageError for choices that are the same to
    the model, or nothing.
    """
    if not choices:
        raise UsageError("there is nothing to choose from: give at least one choice")
    firsts = [tuple(tokens(choice)) for choice in choices]
    for at, first in enumerate(firsts):
        if not first:
            raise UsageError(f"the choice '{choices[at]}' is nothing to this model: give it letters or digits")
        if first in firsts[:at]:
            other = choices[firsts.index(first)]
            raise UsageError(f"the choices '{other}' and '{choices[at]}' are the same to this model: use others")
    others = [[tuple(tokens(word)) for word in spellings(choice, prefill)[1:]] for choice in choices]
    claimed = [{first, *own} for first, own in zip(firsts, others, strict=True)]
    starts = {first[0] for first in firsts if len(first) > 1}
    found = []
    for at, (first, own) in enumerate(zip(firsts, others, strict=True)):
        foreign: set[Tokens] = set().union(*claimed[:at], *claimed[at + 1 :])
        single = [t for t in dict.fromkeys(own) if len(t) == 1 and t != first and t not in foreign]
        found.append((first, *(t for t in single if t[0] not in starts)))
    return Plan(tuple(found))


def _log_sum(values: Sequence[float]) -> float:
    most = max(values)
    return most if most == -math.inf else most + math.log(sum(math.exp(value - most) for value in values))
