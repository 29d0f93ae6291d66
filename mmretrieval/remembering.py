"""Encoders that remember: a hybrid search asks its searches twice for the same query."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmretrieval.protocols import Encoder, TextEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Vectors = NDArray[np.float32]

T = TypeVar("T")
_KEPT = 1024  # vectors; more than a call of a search asks for


class _Memory:
    """Vectors by what they are of, the oldest forgotten first. Safe to use from many threads."""

    def __init__(self) -> None:
        self._vectors: dict[Hashable, Vectors] = {}
        self._lock = Lock()

    def encoded(
        self, things: Sequence[T], keys: Sequence[Hashable], encode: Callable[[Sequence[T]], Vectors]
    ) -> Vectors:
        with self._lock:
            known = {key: self._vectors[key] for key in keys if key in self._vectors}
        fresh = {key: thing for key, thing in zip(keys, things, strict=True) if key not in known}
        if fresh:
            known |= dict(zip(fresh, encode(list(fresh.values())), strict=True))
            with self._lock:
                self._vectors |= {key: known[key] for key in fresh}
                while len(self._vectors) > _KEPT:
                    del self._vectors[next(iter(self._vectors))]
        return np.stack([known[key] for key in keys]) if keys else encode(things)


class RememberingTexts(TextEncoder):
    """Another encoder of texts, opened when it is first needed and not asked again for what it was asked lately."""

    def __init__(self, open_encoder: Callable[[], TextEncoder]) -> None:
        self._open = open_encoder
        self._opened: TextEncoder | None = None
        self._opening = Lock()
        self._memory = _Memory()

    @property
    def spec(self) -> str:  # type: ignore[override]  # plain attributes in the protocol, passed on here
        return self._encoder.spec

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self._encoder.dim

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self._encoder.fingerprint

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return self._memory.encoded(texts, texts, self._encoder.encode_texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self._encoder.too_long(texts)

    @property
    def _encoder(self) -> TextEncoder:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened


class Remembering(Encoder):
    """Another encoder, which is not asked again for what it was asked lately; pictures are told by their content."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._memory = _Memory()

    @property
    def spec(self) -> str:  # type: ignore[override]
        return self._encoder.spec

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self._encoder.dim

    @property
    def input_size(self) -> int:  # type: ignore[override]
        return self._encoder.input_size

    @property
    def knows(self) -> str:  # type: ignore[override]
        return self._encoder.knows

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self._encoder.fingerprint

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        return self._memory.encoded(images, [_content(image) for image in images], self._encoder.encode_images)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return self._memory.encoded(texts, texts, self._encoder.encode_texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self._encoder.too_long(texts)


def _content(image: Image) -> Hashable:
    return image.size, image.mode, hashlib.blake2b(image.tobytes()).digest()
