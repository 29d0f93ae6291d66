"""How published rerankers read an answer, stated anew from what their code does: an order of places from 0, or None.

Nothing here is repaired beyond what they repair; a result may miss things or hold them twice, which is what is counted.
"""

import json
import re


def rank_llm(text, n):
    """castorini/rank_llm and, from RankGPT, AnswerDotAI/rerankers: every run of digits in the text is an id.

    The first of each that is in range counts, the rest follows. rank_llm first drops what stands before </think>.
    """
    behind = text.rpartition("</think>")[2]
    return _completed([int(number) - 1 for number in _digits(behind)], n)


def rerankers(text, n):
    """AnswerDotAI/rerankers, whose RankGPT ranker does the same and knows no reasoning."""
    return _completed([int(number) - 1 for number in _digits(text)], n)


def cotrr(text, n, key="ranking"):
    """CoTRR: JSON from the first { to the last }, integers under one key; repeated ones stay, the rest follows.

    None, which ends in a crash or a lost query there, when anything is wrong; Python counts True as an integer.
    """
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        listed = json.loads(found[0])[key] if found else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(listed, list) or not listed or not all(isinstance(number, int) for number in listed):
        return None
    picked = [number - 1 for number in listed if 1 <= number <= n]
    return [*picked, *(place for place in range(n) if place not in picked)]


def mm_r5(text, n):
    """MM-R5: a bracketed list inside answer tags on one line; repeated ids stay; otherwise the old order, unmarked."""
    found = re.search(r"<answer>(.*)</answer>", text)
    picked = [int(number) - 1 for number in _digits(found[1])] if found else []
    picked = [place for place in picked if 0 <= place < n]
    return [*picked, *(place for place in range(n) if place not in picked)]


def _digits(text):
    """What int() can read, run by run; Python refuses some 4,300 digits and more."""
    return [run[:4000] for run in re.findall("[0-9]+", text)]


def _completed(places, n):
    first = [place for place in dict.fromkeys(places) if 0 <= place < n]
    return [*first, *(place for place in range(n) if place not in first)]
