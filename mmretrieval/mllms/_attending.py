"""How much the words behind the pictures look back at each of them.

Attention maps of a whole prompt would take gigabytes, so they are never made: the attention function of the text
layers is one that also computes the few rows that are wanted, in float32, and leaves the rest to the usual kernel.
After in-context reranking (ICR, arXiv 2410.02642). Ours: the middle third of the layers, where later work found the
signal; the mean over a picture's tokens instead of the sum, so that pictures of different sizes compare; without the
first and the last token of each picture, which draw attention whatever they show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mmretrieval.errors import InvalidData
from mmretrieval.mllms._loaded import Loaded
from mmretrieval.mllms._memory import Room, TimeIsUp
from mmretrieval.mllms._rows import Row, Rows

_NAME = "mmretrieval_looking"


@dataclass(slots=True)
class _Look:
    """What is wanted of one forward pass of one prompt, and the sum so far: (tokens,), over layers."""

    start: int  # the first token that looks
    layers: range
    total: torch.Tensor | None = None
    seen: list[int] = field(default_factory=list)

    def add(self, module: Any, query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, scale: float) -> None:
        if module.layer_idx not in self.layers:
            return
        rows = query[0, :, self.start :].float()
        keys = key[0].float().repeat_interleave(query.shape[1] // key.shape[1], dim=0)
        scores = rows @ keys.transpose(1, 2) * scale
        places = torch.arange(keys.shape[1], device=keys.device)
        allowed = places <= torch.arange(self.start, self.start + rows.shape[1], device=keys.device)[:, None]
        if mask is not None:
            given = mask[0, 0, self.start :, : keys.shape[1]]
            allowed = allowed & (given if given.dtype == torch.bool else given > torch.finfo(given.dtype).min / 2)
        mass = scores.masked_fill(~allowed, float("-inf")).softmax(dim=-1).mean(dim=(0, 1))
        self.total = mass if self.total is None else self.total + mass
        self.seen.append(module.layer_idx)


_look: ContextVar[_Look | None] = ContextVar("look", default=None)


def _looking(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """As the library's own function for SDPA, which makes the output."""
    look = _look.get()
    if look is not None:
        look.add(module, query, key, attention_mask, query.shape[-1] ** -0.5 if scaling is None else scaling)
    out: tuple[torch.Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **more
    )
    return out


AttentionInterface.register(_NAME, _looking)
AttentionMaskInterface.register(_NAME, sdpa_mask)


def middle_third(layers: int) -> range:
    """The layers that count, at least one."""
    return range(layers // 3, max(layers // 3 + 1, layers - layers // 3))


def attend(loaded: Loaded, rows: Rows, room: Room, prompts: Sequence[Row]) -> list[tuple[float, ...] | Exception]:
    """For each prompt one mass per picture, one forward pass each."""
    found: list[tuple[float, ...] | Exception] = []
    with _switched(loaded.model):
        for prompt in prompts:
            if room.is_closed:
                found.append(TimeIsUp())
                continue
            try:
                found.append(_masses(loaded, rows, prompt))
            except Exception as error:  # noqa: BLE001 - models are foreign code; the ask tells it
                found.append(error)
    return found


def _masses(loaded: Loaded, rows: Rows, prompt: Row) -> tuple[float, ...]:
    if not prompt.seen:
        raise InvalidData("there is no picture to attend to")
    look = _Look(prompt.places[-1][-1] + 1, middle_third(loaded.model.config.get_text_config().num_hidden_layers))
    more = {"logits_to_keep": 1} if "logits_to_keep" in loaded.takes else {}
    before = _look.set(look)
    try:
        with torch.inference_mode():
            loaded.model(**rows.batch([prompt]), **more, use_cache=False)
    finally:
        _look.reset(before)
    if look.total is None:
        raise InvalidData(f"{loaded.shown} computes its attention in a way of its own, which cannot be looked at")
    mean = look.total / len(look.seen)
    return tuple(float(mean[list(places[1:-1] or places)].mean()) for places in prompt.places)


@contextmanager
def _switched(model: Any) -> Iterator[None]:
    """The text layers with our attention function; the vision tower keeps its own."""
    text = model.config.get_text_config()
    part = next((key for key in model.config.sub_configs if getattr(model.config, key) is text), "")
    before = text._attn_implementation  # noqa: SLF001 - the library has no public way to ask for it
    model.set_attn_implementation({part: _NAME})
    try:
        yield
    finally:
        model.set_attn_implementation({part: before})
