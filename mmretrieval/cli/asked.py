"""What the options of a search ask for: one query out of words, pictures, weights, examples and what to avoid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmretrieval.cli.options import parse_image, parse_weights
from mmretrieval.errors import UsageError
from mmretrieval.types import MINUS_WEIGHT, Compose, Part, Query

_WITH_WEIGHT = re.compile(r"(?P<picture>.+)@(?P<weight>[+-]?\d+(\.\d*)?|[+-]?\.\d+)")


def query_of(
    text: str | None,
    *,
    images: Sequence[str],
    weight: str | None,
    minus: Sequence[str],
    like: Sequence[str],
    unlike: Sequence[str],
    compose: str,
    filter: str = "",  # noqa: A002 (the word that users know)
) -> Query:
    """The query; UsageError for nothing to search for, and for options that mean nothing together."""
    text = text or ""
    pictures = [_weighted(image) for image in images]
    if not (text.strip() or pictures or like):
        raise UsageError("there is nothing to search for: give words, --image, --like, or several of these")
    joined = bool(text.strip()) + len(pictures) + len(minus) + bool(like) + bool(unlike)
    if weight is not None and joined < 2:
        raise UsageError("--weight shares a search between words and a picture: give both, or leave it out")
    if compose not in ("sum", "slerp", "product"):
        raise UsageError(f"--compose '{compose}' is unknown: choose sum, slerp or product")
    if compose != "sum" and joined < 2:
        raise UsageError(f"--compose {compose} joins several things: give words and --image, or leave it out")
    weights = parse_weights(weight) if weight is not None else {}
    given = {"text": text.strip(), "image": images, "like": like, "unlike": unlike}
    for name in weights:
        if not given[name]:
            raise UsageError(f"--weight gives {name} a weight, and the search has no {name}: leave it out")
    first, further = (pictures[0], pictures[1:]) if pictures else ((None, None, 1.0), [])
    every = weights.get("image", 1.0)
    if pictures:
        weights["image"] = every * first[2]
    return Query(
        "q",
        text,
        first[0],
        first[1],
        weights,
        parts=(
            *(Part(image=path, image_id=picture_id, weight=every * own) for path, picture_id, own in further),
            *(Part(text=words, weight=-MINUS_WEIGHT) for words in minus),
        ),
        like=tuple(like),
        unlike=tuple(unlike),
        compose=_operator(compose),
        filter=filter,
    )


def _operator(name: str) -> Compose:
    operators: dict[str, Compose] = {"sum": "sum", "slerp": "slerp", "product": "product"}
    return operators[name]


def _weighted(text: str) -> tuple[Path | None, str | None, float]:
    """A picture with its own weight: heron.jpg, heron.jpg@0.5, id:lake/heron@2, id:lake/heron@-0.5.

    A name that itself ends in @ and a number is given a weight behind it: heron@2@1.
    """
    found = _WITH_WEIGHT.fullmatch(text)
    if found is None:
        return *parse_image(text), 1.0
    return *parse_image(found["picture"]), float(found["weight"])
