"""Reads what a model said of a picture: a caption, or a list of things. What it said is not trusted."""

from __future__ import annotations

import re

from mmretrieval.untrusted import clean

MOST_OF_CAPTION = 600  # characters
MOST_ITEMS, MOST_OF_ITEM = 16, 40

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.IGNORECASE | re.DOTALL)
_UNFINISHED_THOUGHT = re.compile(r"<think(?:ing)?>.*", re.IGNORECASE | re.DOTALL)
_FENCE = re.compile(r"```\w*")
_MARKDOWN = re.compile(r"\*\*|__|^#+\s*|^>\s*", re.MULTILINE)
_LABEL = re.compile(r"^(?:(?:the |image |picture )?(?:caption|description|answer|list)|output)\s*:\s*", re.IGNORECASE)
_OPENING = re.compile(r"^(?:sure|certainly|of course|okay|ok)\b[^:.!\n]*[:.!]\s*", re.IGNORECASE)
_HERE_IS = re.compile(r"^here (?:is|are)\b[^:\n]*:\s*", re.IGNORECASE)
_REFUSAL = re.compile(
    r"^(?:(?:i am|i['’]m|we are|we['’]re) (?:so |very )?(?:sorry|unable|not able)|sorry\b|unfortunately,? i\b|"
    r"as an ai\b|my apologies|i (?:can(?:not|['’]t)|won['’]t)\b|"
    r"i (?:do not|don['’]t) (?:see|have) (?:an?|any|the) (?:image|picture))",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):])\s+")
_SEPARATOR = re.compile(r"[,;\n•]|\s/\s")
_QUOTES = "\"'“”‘’«»`"


def is_refusal(text: str) -> bool:
    """Whether a model declines to answer, or says that it sees no picture."""
    return bool(_REFUSAL.match(_bare(text)))


def caption_of(text: str) -> str:
    """One clean line without quotes, marks or what leads up to it; empty when nothing was said."""
    return clean(_bare(text).strip(), MOST_OF_CAPTION).strip(_QUOTES + " ")


def items_of(text: str) -> tuple[str, ...]:
    """The things of a list: lower case, each once whether singular or plural, in order, at most 16."""
    found: dict[str, str] = {}
    for piece in _SEPARATOR.split(_bare(text)):
        item = clean(_BULLET.sub("", piece), MOST_OF_ITEM).strip(_QUOTES + " .:-*").removeprefix("and ").lower()
        if item and item not in ("none", "nothing", "and"):
            found.setdefault(singular(item), item)
    return tuple(found.values())[:MOST_ITEMS]


def singular(item: str) -> str:
    """The item with the last word's usual English plural taken off; for comparing, not for showing."""
    if len(item) > 4 and item.endswith("ies"):
        return item[:-3] + "y"
    if len(item) > 4 and item.endswith(("oes", "ches", "shes", "sses", "xes")):
        return item[:-2]
    if len(item) > 3 and item.endswith("s") and not item.endswith(("ss", "us", "is")):
        return item[:-1]
    return item


def _bare(text: str) -> str:
    """The answer alone: without thoughts, fences, headings and openings such as "Sure! Here is the list:"."""
    said = _UNFINISHED_THOUGHT.sub("", _THOUGHT.sub("", text))
    said = _MARKDOWN.sub("", _FENCE.sub("", said)).strip().strip(_QUOTES)
    for opening in (_OPENING, _HERE_IS, _LABEL):
        said = opening.sub("", said.lstrip())
    return said
