"""Pictures as a model sees them: the tokens that stand for each, and its features, computed once and kept.

The vision tower is most of the work when one picture is asked about many times. Features are kept in the computer's
memory under the picture's content, the oldest go first when they fill their share.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mmretrieval.mllms._loaded import Loaded, outputs_only
from mmretrieval.mllms._memory import Room, in_batches
from mmretrieval.sheet import SHEET

if TYPE_CHECKING:
    from PIL.Image import Image

TOWER_PIXELS = 4_000_000  # that go through the vision tower at once


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture: the tokens that take its place in a prompt, what else the model is told, and its features."""

    ids: tuple[int, ...]
    types: tuple[int, ...]  # as `mm_token_type_ids`; empty for models without
    told: dict[str, torch.Tensor]  # such as image_grid_thw, one row
    pooled: torch.Tensor  # (tokens, width)
    deep: tuple[torch.Tensor, ...]  # the same shape, of earlier layers of the tower

    @property
    def bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in (self.pooled, *self.deep))


class Pictures:
    """The pictures that were seen lately."""

    def __init__(self, loaded: Loaded, image_token: str, most_bytes: int) -> None:
        self._loaded = loaded
        self._token = image_token
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        self._bytes = 0
        self.room = Room(TOWER_PIXELS)
        tower = getattr(loaded.model.config, "vision_config", None)
        self._is_convolutional = getattr(tower, "model_type", "") == "timm_wrapper"
        self._form: tuple[type[Any], bool] | None = None  # the tower's kind of output, and whether it lists pictures
        self.computed = 0  # pictures that went through the vision tower

    def see(self, images: Sequence[Image]) -> list[Seen | Exception]:
        """Each picture in its prepared form, or why it cannot be prepared. Equal pictures are computed once."""
        keys = [_content(image) for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self._kept}
        found: dict[str, Seen | Exception] = {key: self._kept[key] for key in keys if key in self._kept}
        found.update(self._computed(new))
        for key, seen in found.items():
            if isinstance(seen, Seen):
                self._keep(key, seen)
        return [found[key] for key in keys]

    def handed_back(self, seen: Sequence[Seen]) -> Any:
        """The features of all pictures of a batch, in the form in which the model's tower gives them."""
        assert self._form is not None
        kind, listed = self._form
        pooled = [self._onto_device(one.pooled) for one in seen]
        layers = zip(*(one.deep for one in seen), strict=True)
        deep = [[self._onto_device(part) for part in layer] for layer in layers]
        more = {"deepstack_features": deep} if deep else {}
        return kind(last_hidden_state=None, pooler_output=pooled if listed else torch.cat(pooled), **more)

    def _onto_device(self, part: torch.Tensor) -> torch.Tensor:
        return part.to(self._loaded.device)

    def _keep(self, key: str, seen: Seen) -> None:
        if key not in self._kept:
            self._bytes += seen.bytes
        self._kept[key] = seen
        self._kept.move_to_end(key)
        while self._bytes > self._most_bytes and self._kept:
            self._bytes -= self._kept.popitem(last=False)[1].bytes

    def _computed(self, images: dict[str, Image]) -> dict[str, Seen | Exception]:
        found: dict[str, Seen | Exception] = {}
        ready: dict[str, dict[str, Any]] = {}
        for key, image in images.items():
            try:
                ready[key] = self._prepared(image)
            except Exception as error:  # noqa: BLE001 - processors are foreign code; the picture's ask tells it
                found[key] = error
        keys = list(ready)
        sizes = [images[key].width * images[key].height for key in keys]
        shapes = [_shapes(ready[key]) for key in keys]
        done = in_batches(sizes, shapes, self.room, lambda part: self._encoded([ready[keys[at]] for at in part]))
        return found | dict(zip(keys, done, strict=True))

    def _prepared(self, image: Image) -> dict[str, Any]:
        """What the processor makes of one picture alone: its tokens and its pixels."""
        # a convolutional tower takes any size, and scaled to that of one picture the cells would be too small to read
        keeps = {"do_resize": False} if SHEET in image.info and self._is_convolutional else {}
        made = self._loaded.processor(
            text=[self._token], images=[[image]], return_tensors="pt", add_special_tokens=False, **keeps
        )
        return dict(made.items())

    def _encoded(self, prepared: Sequence[dict[str, Any]]) -> list[Seen]:
        """Features of pictures whose inputs have one shape."""
        loaded = self._loaded
        inputs = {
            key: torch.cat([one[key] for one in prepared]).to(loaded.device)
            for key in outputs_only(prepared[0], loaded.sees)
        }
        with torch.inference_mode():
            made = loaded.model.get_image_features(**_in_dtype(inputs, loaded.dtype), return_dict=True)
        self.computed += len(prepared)
        self._form = (type(made), not isinstance(made.pooler_output, torch.Tensor))
        pooled = [part.reshape(-1, part.shape[-1]).cpu() for part in made.pooler_output]
        layers = getattr(made, "deepstack_features", None) or []
        deep = [tuple(layer[at].cpu() for layer in layers) for at in range(len(prepared))]
        return [self._seen(*one) for one in zip(prepared, pooled, deep, strict=True)]

    def _seen(self, prepared: dict[str, Any], pooled: torch.Tensor, deep: tuple[torch.Tensor, ...]) -> Seen:
        ids = tuple(prepared["input_ids"][0].tolist())
        types = prepared.get("mm_token_type_ids")
        mark = self._loaded.tokenizer.convert_tokens_to_ids(self._token)
        if set(ids) == {mark}:  # some processors round a picture's sides otherwise than its tower does
            ids = (mark,) * len(pooled)
        told = {
            key: value
            for key, value in prepared.items()
            if key in self._loaded.takes and key not in _PER_TOKEN and not key.startswith("pixel")
        }
        return Seen(ids, tuple(types[0].tolist()) if types is not None else (), told, pooled, deep)


_PER_TOKEN = frozenset({"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"})


def _in_dtype(inputs: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in inputs.items()}


def _shapes(prepared: dict[str, Any]) -> tuple[Any, ...]:
    """Inputs of equal shapes can be computed together; of flat patches only when their number is the same, too."""
    return tuple((key, tuple(value.shape)) for key, value in sorted(prepared.items()) if key not in _PER_TOKEN)


def _content(image: Image) -> str:
    head = f"{image.mode} {image.size} {SHEET in image.info} ".encode()
    return hashlib.blake2b(head + image.tobytes(), digest_size=20).hexdigest()
