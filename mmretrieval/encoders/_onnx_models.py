"""An exported model ready to use: found in the cache, or exported, measured against the original and kept there."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval.encoders import _onnx_store, open_encoder
from mmretrieval.encoders._onnx_pixels import Preparation
from mmretrieval.encoders._onnx_sessions import Sessions
from mmretrieval.encoders._onnx_store import Export
from mmretrieval.encoders._onnx_words import ExportedWords
from mmretrieval.errors import FingerprintMismatch, UsageError
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mmretrieval.encoders.open_clip import OpenClip

log = logging.getLogger(__name__)

LEAST_COSINE = 0.999  # of every vector of the exported model to the original's: they are used one for the other
LEAST_COSINE_EIGHT_BITS = 0.97
LEAST_MEAN_EIGHT_BITS = 0.99
RECIPE = 2  # of the eight-bit form; a change of it is a change of the vectors
_SAMPLES = 32


class ExportedModel:
    """Preparation, tokenizer and towers of one export."""

    def __init__(self, export: Export, spec: str) -> None:
        facts = export.facts
        self.spec, self.folder = spec, export.folder
        self.dim, self.input_size = int(facts["dim"]), int(facts["input_size"])
        self.fingerprint: Mapping[str, Any] = facts["fingerprint"]
        self.agreement: Mapping[str, Any] = facts.get("agreement", {})
        self.words = ExportedWords(export.file("tokenizer.json"), facts["words"])
        self._preparation = Preparation.of(facts["preprocessing"])
        self._sessions = Sessions(export)

    def images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Features, (n, dim), not yet of length 1."""
        return self._sessions.images(images, self._preparation.pixels)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features, (n, dim), not yet of length 1."""
        return self._sessions.texts(self.words.tokens(texts))


def obtain(spec: str, *, eight_bits: bool) -> ExportedModel:
    """The exported form of the open_clip model of that name; nothing of torch is loaded where it stands already."""
    name = _absolute(spec) + (" int8" if eight_bits else "")
    found = _onnx_store.find(name)
    if found is not None:
        return ExportedModel(*found)
    original = _original(spec)
    fingerprint = {**original.fingerprint, **({"eight_bits": RECIPE} if eight_bits else {})}
    try:
        export = _onnx_store.load(_onnx_store.folder_for(fingerprint))
    except FileNotFoundError:
        export = _export(original, fingerprint, eight_bits=eight_bits)
    _onnx_store.link(name, original.spec, export, original.source.files)
    return ExportedModel(export, original.spec)


def _absolute(spec: str) -> str:
    """Tells folders of the same relative name apart."""
    path = Path(spec.removeprefix("local-dir:")).expanduser()
    return f"{spec} {path.resolve()}" if path.is_dir() else spec


def _original(spec: str) -> OpenClip:
    encoder = open_encoder(spec, device="cpu")
    if encoder.name != "open_clip":
        raise UsageError(f"'onnx:{spec}': only models of open_clip can be exported, and '{spec}' is none")
    original: OpenClip = encoder  # type: ignore[assignment]  # by its name, since methods do not import each other
    return original


def _export(original: OpenClip, fingerprint: Mapping[str, Any], *, eight_bits: bool) -> Export:
    from mmretrieval.encoders._onnx_export import export

    log.warning(
        "exporting the encoder '%s' to ONNX%s once; this takes a minute or more",
        original.spec,
        " with eight bits" if eight_bits else "",
    )
    with _onnx_store.making() as folder:
        made = export(original, folder, fingerprint, eight_bits=eight_bits)
        agreement = _agreement(ExportedModel(made, original.spec), original, eight_bits=eight_bits)
        return _onnx_store.keep(folder, {**made.facts, "agreement": agreement})


def _agreement(ours: ExportedModel, original: OpenClip, *, eight_bits: bool) -> dict[str, dict[str, float]]:
    """Raises FingerprintMismatch when texts get other tokens, or vectors are too far away."""
    from mmretrieval.encoders import _onnx_samples

    drawn = _onnx_samples.drawn(_SAMPLES, "agreement")
    pictures = [picture for picture, _ in drawn] + _onnx_samples.clouds(_SAMPLES, 2)
    texts = [caption for _, caption in drawn] + _onnx_samples.texts()
    other = (ours.words.tokens(texts) != original.words.tokens(texts).numpy()).any(axis=1)
    if other.any():
        raise FingerprintMismatch(
            f"the encoder '{original.spec}' cannot be used through ONNX, since its exported tokenizer splits "
            f"'{texts[int(other.argmax())]}' otherwise: use '{original.spec}' itself, which runs in torch"
        )
    both = {
        "images": (ours.images(pictures), original.encode_images(pictures)),
        "texts": (ours.texts(texts), original.encode_texts(texts)),
    }
    cosines = {kind: (unit_rows(mine) * theirs).sum(axis=1) for kind, (mine, theirs) in both.items()}
    found = {
        kind: {"min": round(float(each.min()), 6), "mean": round(float(each.mean()), 6), "count": len(each)}
        for kind, each in cosines.items()
    }
    check_agreement(found, original.spec, eight_bits=eight_bits)
    return found


def check_agreement(found: Mapping[str, Mapping[str, float]], spec: str, *, eight_bits: bool) -> None:
    """Raises FingerprintMismatch for cosines below the stated bounds, and for what is no number."""
    least = LEAST_COSINE_EIGHT_BITS if eight_bits else LEAST_COSINE
    mean = LEAST_MEAN_EIGHT_BITS if eight_bits else LEAST_COSINE
    for kind, each in found.items():
        if not (each["min"] >= least and each["mean"] >= mean):
            cure = f"use 'onnx:{spec}' or '{spec}' instead" if eight_bits else f"use '{spec}' itself, in torch"
            raise FingerprintMismatch(
                f"the exported encoder '{spec}' does not agree with the original: its {kind} have cosines of "
                f"{each['mean']:.4f} on average and {each['min']:.4f} at least, where {mean} and {least} are needed: "
                f"{cure}"
            )
