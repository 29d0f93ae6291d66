"""Asks and replies as JSON, and the key of an ask: what was said to a model and what it answered, without pictures.

A picture counts by its decoded pixels, so it is the same picture whether it came from a file or from memory, and
however it was compressed without loss. The words of a prompt are part of the key: a prompt that was reworded is
another ask, so that no version number has to be carried along.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmretrieval.asks import Ask, Attend, Attention, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text
from mmretrieval.errors import InvalidData
from mmretrieval.pixels import to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

KINDS = {kind.__name__: kind for kind in (Generate, ScoreChoices, Attend)}


class Pictures:
    """Hashes of pictures by their pixels; each object is hashed once. Keep it no longer than one batch of asks.

    Objects are told apart by their identity, which holds as long as the asks hold them, and a picture that somebody
    draws upon later is a new one in the next batch.
    """

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def hashed(self, picture: Image) -> str:
        if id(picture) not in self._known:
            self._known[id(picture)] = picture_hash(picture)
        return self._known[id(picture)]


def picture_hash(picture: Image) -> str:
    """Of size and upright RGB values, 128 bits in hexadecimal; about a millisecond per million pixels."""
    rgb = picture if picture.mode == "RGB" else to_rgb(picture)[0]
    pixels = rgb.tobytes()  # loads what is not decoded yet
    content = hashlib.blake2b(f"{rgb.width}x{rgb.height} ".encode(), digest_size=16)
    content.update(pixels)
    return content.hexdigest()


def ask_facts(ask: Ask, pictures: Pictures) -> dict[str, Any]:
    """Everything that decides the reply, ready for JSON. `compact` does not: an ask is fitted before it is asked."""
    facts: dict[str, Any] = {
        "kind": type(ask).__name__,
        "parts": [part if isinstance(part, str) else _picture(part, pictures) for part in ask.parts],
    }
    if isinstance(ask, Generate):
        facts |= {"max_tokens": ask.max_tokens, "schema": ask.schema}
    elif isinstance(ask, ScoreChoices):
        facts |= {"choices": list(ask.choices), "prefill": ask.prefill}
    return facts


def key_of(facts: Mapping[str, Any]) -> str:
    """The key of an ask, or of a model's fingerprint: equal facts, equal keys."""
    return hashlib.blake2b(to_line(facts).encode("utf-8"), digest_size=16).hexdigest()


def to_line(value: Mapping[str, Any]) -> str:
    """One spelling per value, in one line."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, default=dict)


def reply_facts(reply: Reply) -> dict[str, Any]:
    """A reply as JSON, without whether it came from a cache."""
    facts: dict[str, Any] = {"tokens": reply.tokens}
    if isinstance(reply, Text):
        return {"text": reply.text, "cut": reply.cut, **facts}
    if isinstance(reply, ChoiceScores):
        return {"log_probs": _numbers(reply.log_probs), "bounded": reply.bounded, **facts}
    if isinstance(reply, Attention):
        return {"masses": _numbers(reply.masses), **facts}
    return {"failed": reply.reason, **facts}


def reply_of(facts: Mapping[str, Any], *, cached: bool = False) -> Reply:
    """The reply again; raises InvalidData for what is none."""
    try:
        tokens = int(facts["tokens"])
        if "text" in facts:
            return Text(str(facts["text"]), tokens, cached, cut=bool(facts["cut"]))
        if "log_probs" in facts:
            return ChoiceScores(tuple(map(float, facts["log_probs"])), tokens, cached, int(facts["bounded"]))
        if "masses" in facts:
            return Attention(tuple(map(float, facts["masses"])), tokens, cached)
        return Failed(str(facts["failed"]), tokens, cached)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidData(f"no reply of a language model: {facts!r} ({type(error).__name__}: {error})") from error


def first_words(ask: Ask, at_most: int = 60) -> str:
    """How the words of an ask begin, for a sentence to a user; "only pictures" where it has none."""
    text = " ".join(" ".join(part.split()) for part in ask.parts if isinstance(part, str))
    if not text:
        return "only pictures"
    return f"'{text}'" if len(text) <= at_most else f"'{text[:at_most].rstrip()}…'"


def _picture(picture: Image, pictures: Pictures) -> dict[str, Any]:
    return {"picture": pictures.hashed(picture), "size": list(picture.size)}


def _numbers(values: Sequence[float]) -> list[float | str]:
    """JSON has no infinity: it is written as a word, which `float` reads again."""
    return [value if math.isfinite(value) else str(value) for value in map(float, values)]
