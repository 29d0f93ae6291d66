"""What queries are made of, as vectors: words, pictures, examples and counter-examples, each with its weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.first_stages._words import sentences
from mmretrieval.protocols import Encoder
from mmretrieval.reference import opened
from mmretrieval.types import Encoded, ImageRecord, Part, Query
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mmretrieval.segments import Rows

    Vector = NDArray[np.float32]

Kind = Literal["text", "image"]

# How far examples lead a query, itself a unit vector, towards them or away; chosen by assets/reports/composed.md.
TARGET = "target"  # the key of the item that describes what is sought; its weight is its share of the whole
EXAMPLE_WEIGHTS = {"like": 0.5, "unlike": 0.25}


class Collection(Protocol):
    """What dense search reads of a collection; position p of the rows belongs to `ids[p]`."""

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def image_mean(self) -> Vector: ...

    @property
    def text_mean(self) -> Vector: ...

    def rows(self, channel: str = "image") -> Rows: ...

    def position(self, record_id: str) -> int: ...

    def matching(self, expression: str) -> NDArray[np.int64]: ...

    def records_at(self, positions: NDArray[np.int64]) -> list[ImageRecord]: ...


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a query is made of: unit rows of one kind, (n, dim), that share a weight other than 0.

    Only examples have several rows. `key` names it among a hit's shares, `said` in a sentence.
    """

    key: str
    kind: Kind
    rows: NDArray[np.float32]
    weight: float
    said: str
    ids: tuple[str, ...] = ()  # of examples, in the order of the rows


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An item whose rows are still to be had: words, a picture, or pictures of the collection.

    The mean of several texts stands for all of them.
    """

    item: Item
    texts: tuple[str, ...] = ()
    image: Path | bytes | Image | Encoded | None = None


def items_of(queries: Sequence[Query], encoder: Encoder, collection: Collection) -> list[list[Item]]:
    """What each query is made of; all texts are encoded together, and so are all pictures from outside.

    A part of weight 0 counts as not given; pictures of the collection are their stored rows. Raises NotFound for a
    picture that is not there, UnreadableImage for one that cannot be decoded, UsageError for a query of which nothing
    is left.
    """
    wanted = [_in_readable_pieces(_wanted(query), encoder) for query in queries]
    texts = sorted({text for own in wanted for one in own for text in one.texts})
    words = dict(zip(texts, encoder.encode_texts(texts), strict=True)) if texts else {}
    outside = [
        opened(query, one.image, encoder.input_size)
        for query, own in zip(queries, wanted, strict=True)
        for one in own
        if one.image is not None and not isinstance(one.image, Encoded)
    ]
    pictures = iter(encoder.encode_images(outside) if outside else ())
    return [
        [_with_rows(query, one, words, pictures, collection) for one in own]
        for query, own in zip(queries, wanted, strict=True)
    ]


def texts_of(query: Query) -> list[str]:
    """All words that have a part in the query's vector; of its target the sentences, since a long one is split."""
    return [
        text
        for one in _wanted(query)
        for given in one.texts
        for text in (sentences(given) if one.item.key == TARGET else [given])
    ]


def _wanted(query: Query) -> list[_Wanted]:
    """The parts of a query that weigh something, in a fixed order, each with a name of its own.

    Where the target is all of the query, only what leads on from there is left of the rest.
    """
    given = [
        *_main_parts(query),
        *(_part(part) for part in query.parts if part.weight < 0 or (part.weight > 0 and query.target_share < 1)),
        *_target(query),
        *_examples(query, "like", query.like),
        *_examples(query, "unlike", query.unlike),
    ]
    if not given:
        raise UsageError(f"query '{query.id}' gives no weight to any of its parts: let one be other than 0")
    seen: Counter[str] = Counter()
    numbered = []
    for one in given:
        seen[one.item.key] += 1
        key = one.item.key if seen[one.item.key] == 1 else f"{one.item.key} {seen[one.item.key]}"
        numbered.append(replace(one, item=replace(one.item, key=key)))
    return numbered


_NO_ROWS = np.empty((0, 0), dtype=np.float32)


def _main_parts(query: Query) -> Iterator[_Wanted]:
    if query.target_share == 1:
        return
    weights = {kind: query.weights.get(kind, 1.0) for kind in ("image", "text")}
    if query.has_image and weights["image"] != 0:
        ids = () if query.image_id is None else (query.image_id,)
        said = "the vector" if isinstance(query.image, Encoded) else "the picture"
        yield _Wanted(Item("image", "image", _NO_ROWS, weights["image"], said, ids), image=query.image)
    if query.text.strip() and weights["text"] != 0:
        yield _Wanted(Item("text", "text", _NO_ROWS, weights["text"], "the words"), (query.text,))


def _target(query: Query) -> Iterator[_Wanted]:
    if query.target_share > 0:
        yield _Wanted(Item(TARGET, "text", _NO_ROWS, query.target_share, "the described target"), (query.target,))


def _in_readable_pieces(wanted: Sequence[_Wanted], encoder: Encoder) -> list[_Wanted]:
    """A target that is longer than the model can read becomes its sentences."""
    return [
        replace(one, texts=tuple(sentences(one.texts[0])))
        if one.item.key == TARGET and encoder.too_long(one.texts)[0]
        else one
        for one in wanted
    ]


def _part(part: Part) -> _Wanted:
    is_text = bool(part.text.strip())
    kind: Kind = "text" if is_text else "image"
    said = f"“{part.text.strip()}”" if is_text else "a further picture"
    ids = () if part.image_id is None else (part.image_id,)
    item = Item("minus" if part.weight < 0 else kind, kind, _NO_ROWS, part.weight, said, ids)
    return _Wanted(item, (part.text,) if is_text else (), part.image)


def _examples(query: Query, name: Literal["like", "unlike"], ids: Sequence[str]) -> Iterator[_Wanted]:
    weight = query.weights.get(name, EXAMPLE_WEIGHTS[name])
    if ids and weight != 0:
        said = "the examples" if name == "like" else "the counter-examples"
        signed = weight if name == "like" else -weight
        yield _Wanted(Item(name, "image", _NO_ROWS, signed, said, tuple(dict.fromkeys(ids))))


def _with_rows(
    query: Query, one: _Wanted, words: Mapping[str, Vector], pictures: Iterator[Vector], collection: Collection
) -> Item:
    if one.texts:
        rows = np.stack([words[text] for text in one.texts])
        rows = rows if len(rows) == 1 else unit_rows(rows.astype(np.float64).mean(axis=0)[None])
    elif isinstance(one.image, Encoded):
        rows = _given(query, one.image, collection)
    else:
        rows = next(pictures)[None] if one.image is not None else _stored(query, one.item.ids, collection)
    return replace(one.item, rows=rows)


def _given(query: Query, vector: Encoded, collection: Collection) -> NDArray[np.float32]:
    dim = collection.rows("image").dim
    if len(vector.values) != dim:
        raise InvalidData(f"query '{query.id}': its vector has {len(vector.values)} numbers, and the index {dim}")
    try:
        return unit_rows([vector.values])
    except InvalidData as error:
        raise InvalidData(f"query '{query.id}': its vector is zero or not finite, so it has no direction") from error


def _stored(query: Query, ids: Sequence[str], collection: Collection) -> NDArray[np.float32]:
    try:
        positions = [collection.position(record_id) for record_id in ids]
    except NotFound as error:
        raise NotFound(f"query '{query.id}': {error}") from error
    return unit_rows(collection.rows("image").take(np.array(positions, dtype=np.int64)))
