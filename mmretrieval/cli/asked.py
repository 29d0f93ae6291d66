"""What the options of a search ask for: one query out of words, pictures, weights, examples and what to avoid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmretrieval.cli.options import parse_image, parse_weights
from mmretrieval.errors import UsageError
from mmretrieval.types import MINUS_WEIGHT, Compose, Part, Query

if TYPE_CHECKING:
    from mmretrieval.evaluation.queries import QueryRow

Pictures = Annotated[
    list[str] | None,
    typer.Option("--image", metavar="FILE|id:ID[@W]", help="A file or a picture of the index; may be repeated."),
]
Minus = Annotated[
    list[str] | None, typer.Option("--minus", metavar="TEXT", help="Lead away from these words; may be repeated.")
]
Like = Annotated[
    list[str] | None, typer.Option("--like", metavar="ID", help="A good example in the index; may be repeated.")
]
Unlike = Annotated[
    list[str] | None, typer.Option("--unlike", metavar="ID", help="A bad example in the index; may be repeated.")
]
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
    weights = parse_weights(weight) if weight is not None else {}  # first, so that a misspelt name is told as such
    if weight is not None and joined < 2:
        raise UsageError("--weight shares a search between words and a picture: give both, or leave it out")
    operator = _operator(compose)
    if compose != "sum" and joined < 2:
        raise UsageError(f"--compose {compose} joins several things: give words and --image, or leave it out")
    given = {"text": text.strip(), "image": images, "like": like, "unlike": unlike}
    for name in weights:
        if not given[name]:
            raise UsageError(f"--weight gives {name} a weight, and the search has no {name}: leave it out")
    first, further = (pictures[0], pictures[1:]) if pictures else ((None, None, 1.0), [])
    every = weights.get("image", 1.0)
    if pictures and (weights or first[2] != 1):  # without any, a preset may bring its own
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
        compose=operator,
        filter=filter,
    )


def joined_by(rows: Sequence[QueryRow], weight: str | None, compose: str) -> list[QueryRow]:
    """The queries, the composed ones with these weights and this operator; UsageError when there are none of them."""
    weights, operator = {} if weight is None else parse_weights(weight), _operator(compose)
    if not weights and operator == "sum":
        return list(rows)
    if not any(row.query.is_composed for row in rows):
        raise UsageError("--weight and --compose hold for composed queries, and there is none: leave them out")
    return [
        replace(row, query=replace(row.query, weights=weights, compose=operator)) if row.query.is_composed else row
        for row in rows
    ]


def _operator(name: str) -> Compose:
    operators: dict[str, Compose] = {"sum": "sum", "slerp": "slerp", "product": "product"}
    if name not in operators:
        raise UsageError(f"--compose '{name}' is unknown: choose sum, slerp or product")
    return operators[name]


def _weighted(text: str) -> tuple[Path | None, str | None, float]:
    """A picture with its own weight: heron.jpg, heron.jpg@0.5, id:lake/heron@2, id:lake/heron@-0.5.

    A name that itself ends in @ and a number is given a weight behind it: heron@2@1.
    """
    found = _WITH_WEIGHT.fullmatch(text)
    if found is None:
        return *parse_image(text), 1.0
    return *parse_image(found["picture"]), float(found["weight"])
