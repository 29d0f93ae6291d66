"""A vision-language model of the transformers library in memory, with its processor."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from mmretrieval.devices import imitates_bf16
from mmretrieval.errors import InvalidData, MissingPrerequisite, UsageError
from mmretrieval.mllms._model_folder import Folder
from mmretrieval.model_noise import quiet

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SMALL = 1_000_000_000  # parameters; below, a model computes in float32 on a CPU, and gets the short questions


@dataclass(frozen=True, slots=True)
class Loaded:
    """What answers; `takes` and `sees` are the arguments of its forward pass and of its vision tower."""

    model: Any
    processor: Any
    device: torch.device
    dtype: torch.dtype
    context: int  # tokens of prompt and answer together
    takes: frozenset[str]
    sees: frozenset[str]  # empty when features of pictures cannot be handed back to it
    shown: str

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @property
    def pad(self) -> int:
        found = self.tokenizer.pad_token_id
        return int(found if found is not None else self.tokenizer.eos_token_id or 0)

    @property
    def ends(self) -> frozenset[int]:
        """The tokens with which an answer ends."""
        told = self.model.generation_config.eos_token_id
        return frozenset(told if isinstance(told, list) else [] if told is None else [told])


def load(folder: Folder, device: torch.device, dtype: str) -> Loaded:
    """Raises InvalidData for a folder that the library cannot read, or that holds another kind of model."""
    chosen = pick_dtype(dtype, device, folder.parameters)
    with quiet():
        processor = _processor(folder)
        model = _model(folder, chosen).to(device).eval()
    model.requires_grad_(requires_grad=False)
    _be_greedy(model, processor.tokenizer)
    takes = frozenset(inspect.signature(model.forward).parameters)
    tower = getattr(model, "get_image_features", None)
    reuses = tower is not None and "mm_encoder_outputs" in takes
    sees = frozenset(inspect.signature(tower).parameters) - {"kwargs"} if reuses and tower else frozenset()
    return Loaded(model, processor, device, chosen, _context(model), takes, sees, folder.shown)


def pick_dtype(name: str, device: torch.device, parameters: int) -> torch.dtype:
    """The number format of the weights, never what a file happens to hold.

    "auto" is bfloat16 on a GPU; on a CPU float32 below a billion parameters, and bfloat16 above, where memory decides.
    """
    if name == "auto":
        if device.type == "cpu":
            name = "float32" if parameters < SMALL else "bfloat16"
            if name == "bfloat16" and imitates_bf16():
                log.warning("this processor imitates bfloat16, which is slow: dtype float32 needs twice the memory")
        else:
            name = "float16" if device.type == "mps" else "bfloat16"
    if name not in DTYPES:
        raise UsageError(f"the number format '{name}' is not supported: use auto, {', '.join(DTYPES)}")
    return DTYPES[name]


def _processor(folder: Folder) -> Any:
    if not any((folder.path / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")):
        raise _sees_nothing(folder)
    try:
        processor = AutoProcessor.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise _unreadable(folder, "its processor", error) from error
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise _sees_nothing(folder)
    processor.tokenizer.padding_side = "left"
    return processor


def _sees_nothing(folder: Folder) -> InvalidData:
    return InvalidData(
        f"{folder.shown} has no processor for pictures, so it is no vision-language model: use one whose pipeline on "
        "the hub is image-text-to-text"
    )


def _model(folder: Folder, dtype: torch.dtype) -> Any:
    kind = folder.config["model_type"]
    try:
        return AutoModelForImageTextToText.from_pretrained(
            folder.path, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    except Exception as error:
        if "Unrecognized configuration class" in str(error):
            raise InvalidData(
                f"{folder.shown} is of the kind '{kind}', which takes no pictures with words: use a "
                "vision-language model"
            ) from error
        raise _unreadable(folder, f"a model of the kind '{kind}'", error) from error


def _unreadable(folder: Folder, what: str, error: Exception) -> InvalidData | MissingPrerequisite:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        return InvalidData(
            f"{folder.shown} brings program code of its own, which is never run: use a model that the transformers "
            "library knows"
        )
    if isinstance(error, ImportError):
        return MissingPrerequisite(f"{folder.shown} cannot be loaded, since a package is missing: {first}")
    return InvalidData(
        f"{folder.shown}: {what} cannot be read from {folder.path} ({first}): the folder may be damaged, or made for a "
        "newer version of transformers: pip install --upgrade transformers"
    )


def _be_greedy(model: Any, tokenizer: Any) -> None:
    """Forget the sampling that a model's files recommend: the same question gets the same answer."""
    told = model.generation_config
    ends = told.eos_token_id if told.eos_token_id is not None else tokenizer.eos_token_id
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=ends, pad_token_id=pad, bos_token_id=told.bos_token_id
    )


def _context(model: Any) -> int:
    text = model.config.get_text_config()
    return int(getattr(text, "max_position_embeddings", None) or 2**31)


def outputs_only(values: Mapping[str, Any], wanted: frozenset[str]) -> dict[str, Any]:
    """Those of the values that are wanted."""
    return {key: value for key, value in values.items() if key in wanted}
