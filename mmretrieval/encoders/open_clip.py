"""Any image-text model of the open_clip library: CLIP, SigLIP, CoCa and their kin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Encoder
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BATCH = 64  # always the same, so that what a caller encodes at once has no influence on how it is computed


class OpenClip(Encoder):
    """A model by open_clip's name (`ViT-B-32/openai`), of the hub (`hf-hub:`) or in a folder (`local-dir:`).

    Pictures are prepared by open_clip's own transform. Texts longer than the model's context lose their end
    (`long_text="truncate"`, and `too_long` tells which), or are encoded in pieces whose unit vectors are averaged
    ("average"). Safe to use from many threads; one computes at a time.
    """

    def __init__(
        self,
        spec: str,
        *,
        device: str | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        long_text: Literal["truncate", "average"] = "truncate",
        called: str = "",
        knows: str = "",
    ) -> None:
        """Loads the model, downloading it first where needed; `device` None takes the best there is.

        `called` is the name it goes by; else that is `spec`, with the whole path of a folder. Raises UsageError for
        names nobody knows, MissingPrerequisite when it must be downloaded and cannot be, NotFound for a missing
        folder, InvalidData for a broken one.
        """
        from mmretrieval.devices import pick_device
        from mmretrieval.encoders._clip_source import resolve
        from mmretrieval.encoders._clip_towers import Towers
        from mmretrieval.encoders._clip_words import Words

        if precision not in ("fp32", "bf16"):
            raise UsageError(f"the precision '{precision}' is not supported: use fp32 or bf16")
        if long_text not in ("truncate", "average"):
            raise UsageError(f"long texts cannot be treated by '{long_text}': use truncate or average")
        chosen = pick_device(device)
        self.precision, self.long_text, self.knows = precision, long_text, knows
        self.source = resolve(spec)
        self.spec = called or self.source.name
        self.words = Words(self.source)
        self.towers = Towers(self.source, chosen, precision)
        self.words.check(self.towers.vocabulary)
        self._computing = Lock()
        self.dim = int(self.source.config["embed_dim"])
        self.input_size = int(np.max(self.towers.preprocessing["size"]))

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """As in `Encoder`. Raises InvalidData when a vector is not finite, so when the weights are broken."""
        parts = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
        with self._computing:
            return self._rows([self.towers.images(part) for part in parts])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As in `Encoder`. Raises InvalidData for a text that is not valid Unicode."""
        with self._computing:
            if self.long_text == "truncate":
                return self._encode(texts)
            pieces = [self.words.pieces(text) for text in texts]
            rows = self._encode([piece for own in pieces for piece in own])
        ends = np.cumsum([len(own) for own in pieces], dtype=np.int64)
        means = [rows[end - len(own) : end].mean(axis=0) for own, end in zip(pieces, ends, strict=True)]
        return unit_rows(np.reshape(means, (len(texts), self.dim)))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        """As in `Encoder`; never true when long texts are averaged, since nothing of them is lost."""
        with self._computing:
            return [self.long_text == "truncate" and not self.words.fits(text) for text in texts]

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """Hashes of weights, architecture and tokenizer, the preprocessing, and the numbers that shape a vector.

        No path and no name is part of it: a folder that is moved, or fetched another way, is still the same encoder.
        """
        from mmretrieval.encoders import _clip_digest

        options = self.source.options
        preprocessing = self.towers.preprocessing.items()
        with self._computing:
            return {
                "encoder": self.name,
                "architecture": _clip_digest.of_architecture(
                    self.source.config, quick_gelu=bool(options.get("force_quick_gelu"))
                ),
                "weights": _clip_digest.of_weights(self.towers.model),
                "tokenizer": self.words.digest(),
                "preprocessing": {k: list(v) if isinstance(v, tuple) else v for k, v in preprocessing},
                "long_text": self.long_text,
                "dim": self.dim,
                "precision": self.precision,
            }

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        parts = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
        return self._rows([self.towers.texts(self.words.tokens(part)) for part in parts])

    def _rows(self, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        rows = np.concatenate(features) if features else np.empty((0, self.dim), np.float32)
        if rows.shape[1] != self.dim:
            raise InvalidData(f"the encoder '{self.spec}' gives {rows.shape[1]} numbers and promises {self.dim}")
        return unit_rows(rows)
