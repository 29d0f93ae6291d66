"""The picture of a query, opened as it would be for indexing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmretrieval.errors import UnreadableImage
from mmretrieval.types import Encoded, Query

if TYPE_CHECKING:
    from PIL.Image import Image


class OpensImages(Protocol):
    """A collection, as far as it is needed here."""

    def open_image(self, record_id: str) -> Image: ...


def reference_of(query: Query, collection: OpensImages) -> Image | None:
    """The picture of a query, upright RGB; None for one without, or with nothing but its vector.

    Raises NotFound for a picture that is not there, UnreadableImage for one that cannot be decoded.
    """
    if query.image_id is not None:
        return collection.open_image(query.image_id)
    if query.image is None or isinstance(query.image, Encoded):
        return None
    return opened(query, query.image)


def opened(query: Query, image: Path | bytes | Image, min_side: int | None = None) -> Image:
    """A picture from outside, upright RGB; of a file with `min_side` see `images.open_image`. Raises the same."""
    from mmretrieval.images import decode, open_image
    from mmretrieval.pixels import orientation_of, to_rgb, upright

    if isinstance(image, Path):
        return open_image(image, min_side=min_side)
    if isinstance(image, bytes):
        return decode(image, shown=f"the picture of query '{query.id}'", min_side=min_side).image
    try:
        image.load()
        return upright(to_rgb(image)[0], orientation_of(image))
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for damaged files that it opened lazily
        raise UnreadableImage(f"the picture of query '{query.id}'", f"cannot be decoded: {error}") from error
