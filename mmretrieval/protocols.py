"""What the stages stand on: an encoder of pictures and words, and an index over its vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mmretrieval.segments import Rows


class Extension:
    """Something found by its file name: `encoders/open_clip.py` holds the encoder named "open_clip"."""

    name: ClassVar[str] = ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.name = cls.__module__.rpartition(".")[2]


class TextEncoder(Extension, ABC):
    """Words to unit vectors; inner product is cosine, larger is closer."""

    spec: str  # the name a user gave, as in "ViT-B-32/datacomp_xl_s13b_b90k"
    dim: int

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts to (n, dim) unit rows."""

    @abstractmethod
    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """For each text, whether part of it does not fit the model's context and is cut off."""

    @property
    @abstractmethod
    def fingerprint(self) -> Mapping[str, Any]:
        """JSON-ready facts that pin the vectors: encoder, hash of the weights, preprocessing, dimension.

        Two encoders with equal fingerprints make interchangeable vectors.
        """


class Encoder(TextEncoder):
    """Pictures and words to unit vectors of one space; inner product is cosine, larger is closer."""

    input_size: int  # the shorter side, in pixels, that pictures are scaled to before encoding
    knows: str = ""  # what the weights have seen, in one sentence; empty when it need not be said

    @abstractmethod
    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """RGB pictures to (n, dim) unit rows. A row does not depend on what else is in the batch."""


class Index(Extension, ABC):
    """Nearest rows of one channel by inner product; built from `Rows`, and disposable at any time."""

    def __init__(self, rows: Rows, cache: Path | None = None) -> None:
        """`cache` is a folder in which the index may keep what it builds; it may vanish between runs."""
        self.rows = rows
        self.cache = cache

    @abstractmethod
    def search(
        self,
        queries: NDArray[np.float32],
        top_k: int,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each of the (q, dim) queries, at most `top_k` positions and their scores.

        Sorted by score, larger first, equal scores by position (so by id). Fewer than `top_k` come back only when
        fewer are allowed. `within` and `exclude` are positions that hold for all queries of the call.
        """
