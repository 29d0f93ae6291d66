"""Models of open_clip, run by ONNX Runtime instead of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from mmretrieval.encoders import DEMO_KNOWS
from mmretrieval.errors import MissingExtra, UsageError
from mmretrieval.protocols import Encoder
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_EIGHT = ":int8"


class Onnx(Encoder):
    """An open_clip model exported once to ONNX Runtime (`onnx:demo`), or to eight bits (`onnx:demo:int8`).

    The first use exports it with torch, which takes a minute, and measures how well both agree; later ones load
    neither torch nor open_clip. Without ":int8" its vectors are those of the model itself, so either may search what
    the other has indexed. Safe to use from many threads.
    """

    def __init__(self, spec: str, *, device: str | None = None, precision: Literal["fp32", "bf16"] = "fp32") -> None:
        """`spec` is any name of an open_clip model, with ":int8" behind it for eight bits.

        Raises what opening that model raises, UsageError for a device or precision it does not have,
        FingerprintMismatch when the exported model does not agree with the original, InvalidData when the files of
        an earlier export are damaged, and StorageError when they cannot be written.
        """
        if device not in (None, "cpu"):
            raise UsageError(f"onnx encoders compute on the processor, not on '{device}': leave the device out")
        if precision != "fp32":
            raise UsageError(f"onnx encoders have no precision '{precision}': use fp32, or put :int8 behind the name")
        try:
            from mmretrieval.encoders import _onnx_models
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("mmretrieval"):
                raise
            raise MissingExtra(f"the encoder 'onnx:{spec}'", "onnxruntime", "onnx") from error
        base = spec.removesuffix(_EIGHT)
        model = _onnx_models.obtain(base, eight_bits=spec.endswith(_EIGHT))
        self._model = model
        self.spec = f"onnx:{model.spec}{_EIGHT if spec.endswith(_EIGHT) else ''}"
        self.knows = DEMO_KNOWS if base == "demo" else ""
        self.dim, self.input_size = model.dim, model.input_size
        self._computing = Lock()

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """As in `Encoder`."""
        with self._computing:
            return unit_rows(self._model.images(images))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As in `Encoder`. Raises InvalidData for a text that is not valid Unicode."""
        with self._computing:
            return unit_rows(self._model.texts(texts))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [not self._model.words.fits(text) for text in texts]

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """That of the model it was made from; with eight bits it says so."""
        return self._model.fingerprint

    @property
    def agreement(self) -> Mapping[str, Any]:
        """Cosines to the original's vectors, measured at export: {"images": {"min", "mean", "count"}, "texts": …}."""
        return self._model.agreement

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self._model.folder
