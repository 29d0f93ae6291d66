"""Pictures and thumbnails of a collection by id: encoded here, told apart by content, and never by a path."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from mmretrieval.errors import UsageError
from mmretrieval.images import thumbnail

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.collection import Collection

SIDES = (128, 256, 384, 512, 1024, 2048)  # the longer side, in pixels; the largest stands for the whole picture
CARD, WHOLE = 384, 2048
_KEPT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as a browser takes it; `tag` changes with its content."""

    data: bytes
    media_type: str
    tag: str
    width: int
    height: int


class Pictures:
    """Makes pictures of a bounded size out of files, and keeps the small ones; safe to use from many threads."""

    def __init__(self, at_once: int = 2, kept_bytes: int = _KEPT_BYTES) -> None:
        self._kept: OrderedDict[tuple[str, str, int], Encoded] = OrderedDict()
        self._bytes, self._most = 0, kept_bytes
        self._lock = threading.Lock()
        self._decoding = threading.Semaphore(at_once)

    @property
    def bytes_kept(self) -> int:
        return self._bytes

    def get(self, collection: Collection, record_id: str, side: int = CARD) -> Encoded:
        """The picture of a record, its longer side at most `side`, which is one of SIDES.

        Raises NotFound for an id that there is not or without a file, UnreadableImage for a damaged file.
        """
        if side not in SIDES:
            raise UsageError(f"there is no picture of side {side}: choose one of: {', '.join(map(str, SIDES))}")
        key = (collection.version, record_id, side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._decoding:
            made = encoded(collection.open_image(record_id, min_side=side), side)
        with self._lock:
            if key not in self._kept and side <= 512:
                self._kept[key] = made
                self._bytes += len(made.data)
                while self._bytes > self._most:
                    self._bytes -= len(self._kept.popitem(last=False)[1].data)
        return made


def encoded(image: Image, side: int) -> Encoded:
    """WebP, which is small for photographs and drawings alike; without any metadata of the file."""
    small = thumbnail(image, side)
    out = BytesIO()
    small.save(out, "WEBP", quality=86, method=2)
    data = out.getvalue()
    return Encoded(data, "image/webp", hashlib.blake2b(data, digest_size=12).hexdigest(), *small.size)
