"""From an open_clip model to the files of an export: two ONNX towers, a tokenizer, and how well all of it agrees."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch

from mmretrieval.encoders import _onnx_samples, _onnx_store
from mmretrieval.encoders._onnx_pixels import Preparation
from mmretrieval.encoders._onnx_quantise import quantise
from mmretrieval.encoders._onnx_tokenizer import write_tokenizer
from mmretrieval.errors import MMRetrievalError, UsageError
from mmretrieval.model_noise import quiet

if TYPE_CHECKING:
    from mmretrieval.encoders._onnx_store import Export
    from mmretrieval.encoders.open_clip import OpenClip

MOST_BYTES = 2_000_000_000  # of one tower; more does not fit into one ONNX file
CALIBRATION = "calibration"
_CALIBRATION_DRAWN = 64
_CALIBRATION_CLOUDS = 32
_LIBRARIES = ("onnxscript", "onnx_ir", "torch.onnx", "torch.export")


def export(encoder: OpenClip, folder: Path, fingerprint: Mapping[str, Any], *, eight_bits: bool) -> Export:
    """Write image.onnx, text.onnx and tokenizer.json into an empty folder; returns it, not yet kept in the store.

    Costs some ten seconds of one core for each tower and as much memory as the model twice. Raises UsageError for
    models that cannot be exported.
    """
    towers = encoder.towers
    rules = write_tokenizer(encoder.words, folder / "tokenizer.json")
    told = towers.preprocessing
    preparation = Preparation.of(told)
    pixels = torch.zeros((2, preparation.height, preparation.width, 3), dtype=torch.uint8)
    tokens = encoder.words.tokens(["a dog", "two bowls of soup"])
    tokens = tokens[:, : towers.cut.length(tokens)] if towers.cut is not None else tokens
    _write(encoder, _Pictures(towers.model, told["mean"], told["std"]), pixels, folder / "image.onnx", ("n",))
    length = ("n", "length") if towers.cut is not None else ("n",)
    _write(encoder, _Texts(towers.text_side, towers.cut), tokens, folder / "text.onnx", length)
    ways = _quantised(folder, preparation) if eight_bits else {}
    facts = {
        "fingerprint": dict(fingerprint),
        "dim": encoder.dim,
        "input_size": encoder.input_size,
        "preprocessing": dict(encoder.fingerprint["preprocessing"]),
        "words": rules,
        "cut": None if towers.cut is None else {"pooling": towers.cut.pooling, "end": towers.cut.end},
        "quantised": ways,
        "made_with": {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__},
    }
    return _onnx_store.Export(folder, facts | {"files": _onnx_store.digests(folder)})


def _quantised(folder: Path, preparation: Preparation) -> dict[str, str]:
    drawn = _onnx_samples.drawn(_CALIBRATION_DRAWN, CALIBRATION)
    pictures = [picture for picture, _ in drawn] + _onnx_samples.clouds(_CALIBRATION_CLOUDS, 1)
    pixels = np.stack([preparation.pixels(picture) for picture in pictures])
    with _quiet():
        return {"images": quantise(folder / "image.onnx", pixels), "texts": quantise(folder / "text.onnx", None)}


class _Pictures(torch.nn.Module):
    """Bytes in, features out, so that nothing but scaling is left to do outside."""

    def __init__(self, model: torch.nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("channel_means", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("channel_stds", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        shares = pixels.permute(0, 3, 1, 2).float() / 255
        features: torch.Tensor = self.model.encode_image((shares - self.channel_means) / self.channel_stds)  # type: ignore[operator]
        return features


class _Texts(torch.nn.Module):
    """Token rows of any length that reaches as far as a vector is read, where the model allows that."""

    def __init__(self, words: torch.nn.Module, cut: Any) -> None:
        super().__init__()
        self.words, self.cut = words, cut

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if self.cut is None:
            features: torch.Tensor = self.words(tokens)
        else:
            features = torch.func.functional_call(self.words, self.cut.tensors(tokens.shape[1]), (tokens,))
        return features


def _write(
    encoder: OpenClip, module: torch.nn.Module, example: torch.Tensor, path: Path, axes: tuple[str, ...]
) -> None:
    if sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()) > MOST_BYTES:
        raise UsageError(
            f"the encoder '{encoder.spec}' is too large for ONNX, where a tower may have {MOST_BYTES // 10**9} GB: use "
            f"'{encoder.spec}' itself, which runs in torch"
        )
    plain = path.with_suffix(".plain")
    name = "pixels" if example.dtype == torch.uint8 else "tokens"
    shapes = dict.fromkeys(range(len(axes)), torch.export.Dim.DYNAMIC)
    try:
        with _quiet(), torch.inference_mode():
            torch.onnx.export(
                module.eval(),
                (example,),
                str(plain),
                input_names=[name],
                output_names=["features"],
                dynamic_shapes=(shapes,),
                dynamo=True,
                optimize=False,  # the runtime does it below, several times as fast
                external_data=False,
                verbose=False,
            )
            _fold(plain, path)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MMRetrievalError(
            f"the encoder '{encoder.spec}' cannot be exported to ONNX ({reason[:200]}): use '{encoder.spec}' itself, "
            "which runs in torch"
        ) from error
    finally:
        plain.unlink(missing_ok=True)


def _fold(plain: Path, path: Path) -> None:
    """Compute once what is the same in every run; what comes out is still standard ONNX for any machine."""
    for source in (plain, path):  # the second time normalisations melt into the convolutions that the first laid bare
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(source.read_bytes(), options, providers=["CPUExecutionProvider"])


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
