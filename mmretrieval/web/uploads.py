"""Pictures that visitors sent: decoded safely, bounded, and kept in memory for a while under a random token."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.images import decode, thumbnail
from mmretrieval.web.limits import Limits

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN_SIDE = 512  # of what the page shows of an upload
_AT_ONCE = threading.Semaphore(2)  # decoding takes memory, whoever asks for it


class TooLarge(UnreadableImage):
    """More bytes than an upload may have."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture: `data` is what searches decode, `shown` a small JPEG made here, `width` and `height` its pixels."""

    token: str
    data: bytes
    shown: bytes
    width: int
    height: int
    notes: tuple[str, ...] = ()


class Uploads:
    """The latest uploads, the one used longest ago forgotten first; safe to use from many threads.

    A token is all that leads to an upload, and nothing of it touches the disk.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes_kept(self) -> int:
        return self._bytes

    def add(self, data: bytes) -> Upload:
        """Keep a picture file; raises TooLarge, and UnreadableImage with the reason, before much memory is used."""
        most = self._limits.upload_bytes
        if len(data) > most:
            raise TooLarge("the upload", f"too large: {len(data)} bytes, the limit is {most}")
        with _AT_ONCE:
            decoded = decode(data, shown="the upload", max_pixels=self._limits.upload_pixels)
            upload = Upload(
                secrets.token_urlsafe(18), data, _jpeg(decoded.image), *decoded.image.size, notes=decoded.notes
            )
        with self._lock:
            self._kept[upload.token] = upload
            self._bytes += _size(upload)
            while self._bytes > self._limits.uploads_kept and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
        return upload

    def get(self, token: str) -> Upload:
        """Raises NotFound for a token that there is not, or no longer."""
        with self._lock:
            if token not in self._kept:
                raise NotFound("the uploaded picture is not kept any more: upload it again")
            self._kept.move_to_end(token)
            return self._kept[token]

    def forget(self, token: str) -> None:
        """Drop an upload now; nothing happens where it is gone already."""
        with self._lock:
            gone = self._kept.pop(token, None)
            self._bytes -= _size(gone) if gone else 0


def _size(upload: Upload) -> int:
    return len(upload.data) + len(upload.shown)


def _jpeg(image: Image) -> bytes:
    out = BytesIO()
    thumbnail(image, SHOWN_SIDE).save(out, "JPEG", quality=88)
    return out.getvalue()
