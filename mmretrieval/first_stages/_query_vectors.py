"""Queries to unit vectors: words, a picture, or the weighted sum of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmretrieval.errors import InvalidData, NotFound, UnreadableImage, UsageError
from mmretrieval.protocols import Encoder
from mmretrieval.types import ImageRecord, Query
from mmretrieval.vectors import centred, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mmretrieval.segments import Rows

    Vector = NDArray[np.float32]

_NEAR_MEAN = 1e-3  # nearer to its mean than this, a vector's direction from it is noise: then the mean is left out


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

    def records(self, ids: Sequence[str]) -> list[ImageRecord]: ...


@dataclass(frozen=True, slots=True)
class Sought:
    """A query as a unit vector (dim,), which is the sum of what each kind of part, "image" or "text", adds to it."""

    query: Query
    vector: Vector
    summands: Mapping[str, NDArray[np.float64]]

    @property
    def is_own_picture(self) -> bool:
        """Whether it seeks what is most like one picture of the collection, and nothing else."""
        return self.query.image_id is not None and set(self.summands) == {"image"} and _weight(self.query, "image") > 0


def vectors_of(queries: Sequence[Query], encoder: Encoder, collection: Collection) -> list[Sought]:
    """The queries as vectors, in order; all texts are encoded together, and so are all pictures from outside.

    A picture given by its id is the stored row. Raises NotFound for a picture that is not there, UnreadableImage for
    one that cannot be decoded, UsageError for a query whose parts all weigh nothing.
    """
    kinds = [_kinds(query) for query in queries]
    texts = sorted({query.text for query, own in zip(queries, kinds, strict=True) if "text" in own})
    words = dict(zip(texts, encoder.encode_texts(texts), strict=True)) if texts else {}
    pictures = _pictures(
        [query for query, own in zip(queries, kinds, strict=True) if "image" in own], encoder, collection
    )
    sought = []
    for query, own in zip(queries, kinds, strict=True):
        given = {kind: next(pictures) if kind == "image" else words[query.text] for kind in own}
        sought.append(_blended(query, given, {"image": collection.image_mean, "text": collection.text_mean}))
    return sought


def reads_text(query: Query) -> bool:
    """Whether the words of the query have a part in its vector."""
    return "text" in _kinds(query)


def _weight(query: Query, kind: str) -> float:
    return query.weights.get(kind, 1.0)


def _kinds(query: Query) -> list[str]:
    given = {"image": query.has_image, "text": bool(query.text.strip())}
    kinds = [kind for kind, is_given in given.items() if is_given and _weight(query, kind) != 0]
    if not kinds:
        raise UsageError(f"query '{query.id}' gives no weight to any of its parts: let one be other than 0")
    return kinds


def _pictures(queries: Sequence[Query], encoder: Encoder, collection: Collection) -> Iterator[Vector]:
    """The picture vectors of these queries, in order."""
    opened = [_open(query, encoder.input_size) for query in queries if query.image_id is None]
    encoded = iter(encoder.encode_images(opened) if opened else ())
    for query in queries:
        yield next(encoded) if query.image_id is None else _stored(query, query.image_id, collection)


def _stored(query: Query, record_id: str, collection: Collection) -> Vector:
    try:
        position = collection.position(record_id)
    except NotFound as error:
        raise NotFound(f"query '{query.id}': {error}") from error
    row: Vector = unit_rows(collection.rows("image").take(np.array([position], dtype=np.int64)))[0]
    return row


def _open(query: Query, min_side: int) -> Image:
    """The picture of a query, decoded as it would be for indexing, so that it finds itself."""
    from mmretrieval.images import open_image
    from mmretrieval.pixels import orientation_of, to_rgb, upright

    image = query.image
    assert image is not None, "the caller chose queries with a picture"
    if isinstance(image, Path):
        return open_image(image, min_side=min_side)
    try:
        image.load()
        return upright(to_rgb(image)[0], orientation_of(image))
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files that it opened lazily
        raise UnreadableImage(f"the picture of query '{query.id}'", f"cannot be decoded: {error}") from error


def _blended(query: Query, given: Mapping[str, Vector], means: Mapping[str, Vector]) -> Sought:
    if len(given) == 1:
        ((kind, vector),) = given.items()
        vector = vector if _weight(query, kind) > 0 else -vector
        return Sought(query, vector, {kind: vector.astype(np.float64)})
    parts = []
    for kind, vector in given.items():
        is_apart = np.linalg.norm(vector - means[kind]) >= _NEAR_MEAN
        parts.append((vector, means[kind] if is_apart else np.zeros_like(vector), _weight(query, kind)))
    summands = centred(parts)
    try:
        vector = unit_rows(summands.sum(axis=0)[None])[0]
    except InvalidData as error:
        raise UsageError(f"query '{query.id}': its picture and words cancel each other out: change a weight") from error
    length = np.linalg.norm(summands.sum(axis=0))
    return Sought(query, vector, {kind: summand / length for kind, summand in zip(given, summands, strict=True)})
