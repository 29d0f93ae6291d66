"""The two towers of an exported model, run by ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import onnxruntime

from mmretrieval.encoders._onnx_store import Export
from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Part = TypeVar("Part")

# Small, so that all threads have work and a batch fits their caches; larger ones were no faster.
PICTURES_AT_ONCE = 8
TEXTS_AT_ONCE = 64


class Sessions:
    """Opens a tower when it is first needed, since words need no pictures' tower.

    Every run has one thread and several run side by side: that keeps all cores busy without threads that wait for
    each other. Where activations are quantised by their range in a run ("dynamic"), a run holds one item, since its
    range must not depend on what else is in the batch.
    """

    def __init__(self, export: Export) -> None:
        self._export = export
        self._cut: Mapping[str, Any] | None = export.facts["cut"]

    def images(self, images: Sequence[Image], prepare: Callable[[Image], NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Features of pictures, (n, dim), not yet of length 1; they are prepared where they are run."""
        size = 1 if self._export.facts["quantised"].get("images") == "dynamic" else PICTURES_AT_ONCE

        def compute(part: Sequence[Image]) -> NDArray[np.float32]:
            pixels = np.stack([prepare(image) for image in part])
            features: NDArray[np.float32] = self._image_tower.run(None, {"pixels": pixels})[0]
            return features

        return self._features(compute, [images[at : at + size] for at in range(0, len(images), size)])

    def texts(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of token rows, (n, dim), not yet of length 1."""
        size = 1 if self._export.facts["quantised"].get("texts") == "dynamic" else TEXTS_AT_ONCE

        def compute(part: NDArray[np.int64]) -> NDArray[np.float32]:
            features: NDArray[np.float32] = self._text_tower.run(None, {"tokens": self._shorter(part)})[0]
            return features

        return self._features(compute, [tokens[at : at + size] for at in range(0, len(tokens), size)])

    def _shorter(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Without the padding behind the last position at which a vector is read, where the model cannot see it."""
        if self._cut is None:
            return tokens
        highest = self._cut["pooling"] == "argmax"
        read = tokens.argmax(axis=1) if highest else (tokens == self._cut["end"]).argmax(axis=1)
        return tokens[:, : int(read.max()) + 1]

    def _features(self, compute: Callable[[Part], NDArray[np.float32]], parts: Sequence[Part]) -> NDArray[np.float32]:
        if not parts:
            return np.empty((0, int(self._export.facts["dim"])), np.float32)
        first = compute(parts[0])  # also opens the tower, once
        with ThreadPoolExecutor(min(threads(), len(parts))) as pool:
            return np.concatenate([first, *pool.map(compute, parts[1:])])

    @cached_property
    def _image_tower(self) -> onnxruntime.InferenceSession:
        return self._opened("image.onnx")

    @cached_property
    def _text_tower(self) -> onnxruntime.InferenceSession:
        return self._opened("text.onnx")

    def _opened(self, name: str) -> onnxruntime.InferenceSession:
        path = self._export.file(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InvalidData(
                f"{path}: this version of onnxruntime cannot open the exported model ({error}): update onnxruntime, or "
                f"delete the folder {path.parent} and run the same command again"
            ) from error


def threads() -> int:
    """How many runs go on side by side: the cores this process may use, or fewer where OMP_NUM_THREADS says so."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(asked), cores) if asked.isdigit() and int(asked) > 0 else cores
