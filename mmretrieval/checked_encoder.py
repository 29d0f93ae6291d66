"""The encoder of an index: opened when it is first needed, and believed only after a check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from mmretrieval import canary
from mmretrieval.collection import Collection
from mmretrieval.encoder_names import refuse_another
from mmretrieval.encoders import open_encoder
from mmretrieval.errors import FingerprintMismatch, UsageError
from mmretrieval.protocols import Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image


class CheckedEncoder(Encoder):
    """Stands for the encoder of a collection until a query needs it, so that searching by id loads no model.

    The first use raises FingerprintMismatch when the encoder is another one than made the vectors, or no longer
    gives the same vectors for the canaries; of these, words are looked at before the first words, pictures before the
    first picture.
    """

    def __init__(self, collection: Collection, encoder: str | Encoder | None = None, device: str | None = None) -> None:
        """`encoder` is an opened one, a name, or None for the name the collection was made with."""
        self._collection = collection
        self._given = collection.encoder_spec if encoder is None else encoder
        self._device = device
        self._opened: Encoder | None = None
        self._checked: set[canary.Kind] = set()
        self._opening = Lock()

    def over(self, collection: Collection) -> CheckedEncoder:
        """The same for a newer snapshot; what was loaded and checked is not loaded and checked again."""
        newer = CheckedEncoder(collection, self._given, self._device)
        facts = (self._collection.fingerprint, self._collection.canaries())
        if facts == (collection.fingerprint, collection.canaries()):
            with self._opening:
                newer._opened, newer._checked = self._opened, set(self._checked)
        return newer

    @property
    def spec(self) -> str:  # type: ignore[override]  # plain attributes in the protocol, computed here
        return self._given if isinstance(self._given, str) else self._given.spec

    @property
    def dim(self) -> int:  # type: ignore[override]
        return self._collection.rows("image").dim

    @property
    def input_size(self) -> int:  # type: ignore[override]
        return self._open().input_size

    @property
    def knows(self) -> str:  # type: ignore[override]
        return self._open().knows

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self._collection.fingerprint

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return self._open("images").encode_images(images)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._open("texts").encode_texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self._open().too_long(texts)

    def _open(self, kind: canary.Kind | None = None) -> Encoder:
        """The encoder, with its vectors of that kind checked."""
        with self._opening:
            if self._opened is None:
                given = self._given
                encoder = given if isinstance(given, Encoder) else self._by_name(given)
                _compare(self._collection, encoder)
                self._opened = encoder
            if kind is not None and kind not in self._checked:
                canary.check(self._collection.canaries(), self._opened, (kind,))
                self._checked.add(kind)
            return self._opened

    def _by_name(self, name: str) -> Encoder:
        """With the precision of the index, which is part of what is compared.

        Refused before anything is loaded where the index knows no encoder, or one whose name cannot mean the same.
        """
        made_with = self._collection.encoder_spec
        if not made_with:
            raise UsageError(
                f"{self._collection.index}: was made of ready vectors, and no model is known that could read words or "
                "picture files for them: search by --image id:ID, or name the model that made them, with the same "
                "mmretrieval index --vectors command and --encoder NAME"
            )
        refuse_another(name, made_with, self._collection.index)
        precision = self._collection.fingerprint.get("precision", "fp32")
        return open_encoder(name, device=self._device, precision=precision)


def _compare(collection: Collection, encoder: Encoder) -> None:
    ours = json.loads(json.dumps(dict(encoder.fingerprint)))  # as it was stored: tuples are lists there
    theirs = dict(collection.fingerprint)
    other = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if other:
        told = ", ".join(f"{key} {ours.get(key)} instead of {theirs.get(key)}" for key in other)
        raise FingerprintMismatch(
            f"the encoder '{encoder.spec}' is not the one this index was made with ({told}): search with "
            f"'{collection.encoder_spec}' as it was then, or index the pictures again into a new folder"
        )
