"""An encoder that remembers: a hybrid search asks dense search twice for the same query."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmretrieval.protocols import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Vector = NDArray[np.float32]

T = TypeVar("T")
_KEPT = 512  # vectors of each kind; more than a call of a search ever holds


class Remembering(Encoder):
    """Another encoder, which is not asked again for what it was asked for lately. Safe to use from many threads."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._vectors: dict[Hashable, Vector] = {}
        self._lock = Lock()

    @property
    def spec(self) -> str:  # type: ignore[override]  # plain attributes in the protocol, passed on here
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

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return self._encoded(images, [_content(image) for image in images], self._encoder.encode_images)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._encoded(texts, texts, self._encoder.encode_texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self._encoder.too_long(texts)

    def _encoded(
        self, things: Sequence[T], keys: Sequence[Hashable], encode: Callable[[Sequence[T]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
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


def _content(image: Image) -> Hashable:
    return image.size, image.mode, hashlib.blake2b(image.tobytes()).digest()
