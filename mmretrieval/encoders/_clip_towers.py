"""The two towers of a model, built by open_clip and run without gradients: pictures and tokens in, features out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import open_clip
import torch
from open_clip.transformer import TextTransformer

from mmretrieval.devices import imitates_bf16
from mmretrieval.encoders._clip_folder import CONFIG
from mmretrieval.encoders._clip_source import Source
from mmretrieval.errors import InvalidData, MMRetrievalError
from mmretrieval.model_noise import quiet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

Precision = Literal["fp32", "bf16"]

log = logging.getLogger(__name__)


class Towers:
    """A built model. `preprocessing` is open_clip's own description of what happens to a picture first."""

    def __init__(self, source: Source, device: torch.device, precision: Precision) -> None:
        """Raises InvalidData when the weights are damaged, unsafe to read, or of another architecture."""
        if precision == "bf16" and device.type == "cpu" and imitates_bf16():
            log.warning("this processor has no bfloat16 arithmetic, so bf16 will be several times slower than fp32")
        self.device = device
        self._precision = precision
        self.model, self._preprocess = _build(source, device)
        self.preprocessing: dict[str, Any] = open_clip.get_model_preprocess_cfg(self.model)
        self.vocabulary = _vocabulary(self.model)
        self.text_side = _Words(self.model)
        self.cut = _cut_for(self.model)

    @property
    def trims(self) -> bool:
        """Whether padding at the end of all texts of a batch is cut off before they are encoded."""
        return self.cut is not None

    def images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Features of RGB pictures, (n, dim), not yet of length 1."""
        batch = torch.stack([self._preprocess(image) for image in images])
        return self._run(lambda: self.model.encode_image(batch.to(self.device)))

    def texts(self, tokens: torch.Tensor) -> NDArray[np.float32]:
        """Features of token rows, (n, dim), not yet of length 1."""
        tokens = tokens.to(self.device)
        if self.cut is None:
            return self._run(lambda: self.text_side(tokens))
        length = self.cut.length(tokens)
        shorter = self.cut.tensors(length)
        return self._run(lambda: torch.func.functional_call(self.text_side, shorter, (tokens[:, :length],)))

    def _run(self, compute: Callable[[], torch.Tensor]) -> NDArray[np.float32]:
        try:
            with torch.inference_mode(), self._autocast():
                features = compute()
            rows: NDArray[np.float32] = features.float().cpu().numpy()
        except torch.cuda.OutOfMemoryError as error:
            raise MMRetrievalError(
                f"the memory of {self.device} is full: end other programs that use it, or use the device cpu"
            ) from error
        return rows

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


class _Words(torch.nn.Module):
    """The text side as a module of its own, so that its tensors can be exchanged for one call."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.model.encode_text(tokens)  # type: ignore[operator]
        return features


@dataclass(frozen=True, slots=True)
class _Cut:
    """How to run a text tower on fewer positions, where what stands behind a text cannot change its vector.

    That holds when no position looks ahead (a causal mask) and the vector is read at the end of the text. A tower
    that looks both ways, such as SigLIP's, also sees the padding, and was trained to.
    """

    positions: torch.Tensor  # (context, width)
    mask: torch.Tensor  # (context, context)
    prefix: str
    pooling: str
    end: int

    def length(self, tokens: torch.Tensor) -> int:
        """How many positions matter: up to the furthest at which a vector is read."""
        read = tokens.argmax(dim=-1) if self.pooling == "argmax" else (tokens == self.end).int().argmax(dim=-1)
        return int(read.max()) + 1

    def tensors(self, length: int) -> dict[str, torch.Tensor]:
        return {
            f"{self.prefix}positional_embedding": self.positions[:length],
            f"{self.prefix}attn_mask": self.mask[:length, :length],
        }


def _cut_for(model: Any) -> _Cut | None:
    if type(model) is open_clip.CLIP:
        tower, prefix, pooling, end = model, "model.", model.text_pool_type, model.text_eos_id
    elif type(getattr(model, "text", None)) is TextTransformer and model.text.cls_emb is None:
        tower, prefix, pooling, end = model.text, "model.text.", model.text.pool_type, model.text.eos_id
    else:
        return None
    mask = tower.attn_mask
    if pooling not in ("argmax", "eos") or mask is None:
        return None
    looks_back_only = torch.full_like(mask, float("-inf")).triu(1)
    return _Cut(tower.positional_embedding, mask, prefix, pooling, end) if torch.equal(mask, looks_back_only) else None


def _build(source: Source, device: torch.device) -> tuple[Any, Callable[[Image], torch.Tensor]]:
    pretrained = None if source.model.startswith("local-dir:") else str(source.weights)
    try:
        with quiet():
            model, _, preprocess = open_clip.create_model_and_transforms(
                source.model,
                pretrained,
                device=device,
                weights_only=True,
                require_pretrained=True,  # without it, missing weights would only be warned of and drawn at random
                **source.options,
            )
    except torch.cuda.OutOfMemoryError as error:
        raise MMRetrievalError(
            f"{source.shown} does not fit into the memory of {device}: use the device cpu"
        ) from error
    except Exception as error:
        raise _refusal(source, error) from error
    if device.type != "mps":  # convolutions are half as fast again in this layout; the numbers stay the same
        model.visual.to(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False), preprocess


def _refusal(source: Source, error: Exception) -> InvalidData:
    text = str(error)
    if type(error).__name__ == "UnpicklingError" or "weights_only" in text or "TorchScript" in text:
        return InvalidData(
            f"{source.weights}: it holds more than tensors, and loading it could run foreign code: "
            "use the model's safetensors file, or save its state_dict as one"
        )
    reason = (
        next((line.strip() for line in text.splitlines()[1:] if line.strip()), text.strip()) or type(error).__name__
    )
    return InvalidData(
        f"{source.weights}: the weights are damaged or do not fit {CONFIG} ({reason[:200]}): fetch the model again"
    )


def _vocabulary(model: Any) -> int:
    """How many different tokens the text tower knows."""
    text = getattr(model, "text", model)
    return int(getattr(text, "vocab_size", 0) or getattr(model, "vocab_size", 0))
