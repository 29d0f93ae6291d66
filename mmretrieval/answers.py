"""Where in the text of a model the answer stands: behind its reasoning, inside tags, or as JSON among words.

Everything here takes time in proportion to the length of the text, whatever the text is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

_THOUGHT = r"think|thinking|thought|reasoning|reflection"
_OPENED = re.compile(rf"<({_THOUGHT})>", re.IGNORECASE)
_CLOSED = re.compile(rf"</({_THOUGHT})>", re.IGNORECASE)
_ANSWER = re.compile(r"<(/?)answer>", re.IGNORECASE)
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2018": "'", "\u2019": "'", "\u201a": "'"})
_LOOSE_COMMA = re.compile(r",(?=\s*[\]}])")
_PAIRS = {"]": "[", "}": "{"}
_BUDGET = 4  # how many times the text's length may be read as JSON, so that nested braces cannot cost more


def answer_of(text: str) -> str:
    """The text behind the reasoning and inside the last answer tags; straight quotes and plain digits.

    Reasoning that was never closed holds no answer: empty then.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    rest = plain[max((closed.end() for closed in _CLOSED.finditer(plain)), default=0) :]
    opened = _OPENED.search(rest)
    return _tagged(rest[: opened.start()] if opened else rest).strip()


def _tagged(text: str) -> str:
    tags = list(_ANSWER.finditer(text))
    for at in range(len(tags) - 1, -1, -1):
        if not tags[at][1]:
            return text[tags[at].end() : tags[at + 1].start() if at + 1 < len(tags) else len(text)]
    return text


def json_values(text: str) -> Iterator[tuple[Any, bool]]:
    """The objects and arrays in the text, the last outermost one first, and whether each was JSON to the letter.

    Single quotes and a comma too many are read as well. What stands inside a value that could not be
    read is tried after it.
    """
    budget = _BUDGET * len(text) + 100
    spans = _spans(text)
    inside = len(text) + 1
    for start, end in spans:
        if start >= inside or budget < end - start:
            continue
        budget -= end - start
        found = _value(text[start:end])
        if found is not None:
            inside = start
            yield found


def _spans(text: str) -> list[tuple[int, int]]:
    """Balanced pieces from a bracket to its own, the one that ends last first; quoted brackets do not count."""
    opened: list[tuple[str, int]] = []
    spans: list[tuple[int, int]] = []
    quoted = escaped = False
    for at, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = sign == "\\", sign != '"' and sign != "\n"
        elif sign == '"' and opened:
            quoted = True
        elif sign in "[{":
            opened.append((sign, at))
        elif sign in "]}" and opened and opened[-1][0] == _PAIRS[sign]:
            spans.append((opened.pop()[1], at + 1))
    return spans[::-1]


def _value(text: str) -> tuple[Any, bool] | None:
    """What a piece of text is as JSON, and whether to the letter; None when it is none."""
    for is_strict, wording in ((True, text), (False, loose := _LOOSE_COMMA.sub("", text)), (False, _requoted(loose))):
        try:
            return json.loads(wording), is_strict
        except (ValueError, RecursionError):
            continue  # the next, looser reading may do
    return None


def _requoted(text: str) -> str:
    """With double quotes where there are single ones alone."""
    return text if '"' in text else text.replace("'", '"')
