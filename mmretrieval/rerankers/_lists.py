"""What each candidate is said to hold: stored lists, captions and metadata, else a model is asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmretrieval import prompts
from mmretrieval.answers import answer_of
from mmretrieval.asks import Ask, Reply, Text
from mmretrieval.rerankers._nouns import Noun, phrases
from mmretrieval.rerankers._orders import Asking
from mmretrieval.rerankers._pictures import pictures
from mmretrieval.stages import Candidate

LIST, CAPTION = "list", "caption"
# An error, a refusal, several sentences, or code: no list of things, though nouns stand in it.
_NO_LIST = re.compile(r"\b(?:sorry|cannot|unable|error)\b|can't|[{}<>\[\]]|[.!?]\s+\S", re.IGNORECASE)
_LONGEST = 5  # words; what is longer is a sentence and no name of a thing


@dataclass(frozen=True, slots=True)
class Lists:
    """Names by candidate, None where nothing is known of it; how a model's lists were read, and what went wrong."""

    of: tuple[tuple[Noun, ...] | None, ...]
    parsed: Mapping[str, int]
    note: str = ""


def lists(candidates: Sequence[Candidate], sources: Sequence[str], *, ask: bool) -> Asking[Lists]:
    """The names that the sources give each candidate: "list", "caption", or fields of the metadata.

    With `ask`, the model lists what it sees in each picture of which no list is stored, all in one round.
    """
    stored = [_stored(candidate, sources) for candidate in candidates]
    missing = [place for place, each in enumerate(stored) if ask and not _has_list(candidates[place])]
    parsed: Counter[str] = Counter()
    note = ""
    if missing:
        shown = pictures([candidates[place] for place in missing])
        note = shown.note
        asks: list[Ask] = [prompts.ingredients(shown.image(at)) for at in shown.seen]
        replies = yield asks
        for at, reply in zip(shown.seen, replies, strict=True):
            stored[missing[at]] += _read(reply, parsed)
    return Lists(tuple(tuple(dict.fromkeys(each)) or None for each in stored), parsed, note)


def _has_list(candidate: Candidate) -> bool:
    return bool(candidate.collection.features(candidate.record.id).get("ingredients"))


def _stored(candidate: Candidate, sources: Sequence[str]) -> list[Noun]:
    said = candidate.collection.features(candidate.record.id)
    found: list[Noun] = []
    for source in sources:
        if source == LIST:
            found += phrases(said.get("ingredients", ""))
        elif source == CAPTION:
            found += phrases("\n".join([said.get("caption", ""), said.get("aspects", "")]))
        else:
            found += [noun for text in _texts(candidate.record.meta.get(source)) for noun in phrases(text)]
    return found


def _texts(value: Any) -> Iterator[str]:
    """The words of a field, which may hold a list of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _read(reply: Reply, parsed: Counter[str]) -> list[Noun]:
    """The names in a model's list; of one that was cut all but the last, and none of a sentence."""
    if not isinstance(reply, Text):
        return []
    said = answer_of(reply.text)
    text = said.rpartition(",")[0] if reply.cut else said
    found = [] if _NO_LIST.search(text) else phrases(text)
    names = [noun for noun in found if len(noun) <= _LONGEST]
    is_list = bool(names) and len(names) == len(found)
    parsed["failed" if not names else "partial" if reply.cut else "ok" if is_list else "repaired"] += 1
    return names
