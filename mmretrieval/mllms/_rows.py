"""Prompts as rows of tokens, and rows as the padded batch that a model takes.

Two ways lead to a row. Where the model takes features of pictures, each picture is prepared alone and its tokens take
the place of its mark in the prompt; so a picture is computed once, whatever it is asked. Else the model's processor
makes the whole row, pixels included.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from mmretrieval.errors import InvalidData
from mmretrieval.mllms._loaded import Loaded
from mmretrieval.mllms._pictures import Pictures, Seen

if TYPE_CHECKING:
    from PIL.Image import Image

_PADDED = ("input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids")


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt: its tokens, which of them are pictures, and the pictures as features or as pixels."""

    ids: tuple[int, ...]
    types: tuple[int, ...] = ()
    seen: tuple[Seen, ...] = ()
    pixels: dict[str, torch.Tensor] = field(default_factory=dict)
    places: tuple[tuple[int, ...], ...] = ()  # for each of `seen`, where its tokens stand in the row

    @property
    def kind(self) -> Hashable:
        """Rows of one kind fit into one batch."""
        shapes = tuple((key, tuple(value.shape[1:])) for key, value in sorted(self.pixels.items()))
        return (shapes, bool(self.types), bool(self.seen))

    def then(self, tokens: Sequence[int]) -> Row:
        """The row with more words behind it."""
        types = (*self.types, *[0] * len(tokens)) if self.types else ()
        return Row((*self.ids, *tokens), types, self.seen, self.pixels, self.places)


class Rows:
    """Makes rows, and batches of them; `pictures` is None where whole prompts go through the processor."""

    def __init__(self, loaded: Loaded, image_token: str, pictures: Pictures | None) -> None:
        self._loaded = loaded
        self._token = image_token
        self.pictures = pictures
        self.dtype = loaded.dtype

    def make(self, prompts: Sequence[tuple[str, list[Image]]]) -> list[Row | Exception]:
        """One row per prompt and its pictures, or why there is none."""
        if self.pictures is None:
            return [self._tried(text, images) for text, images in prompts]
        seen = iter(self.pictures.see([image for _, images in prompts for image in images]))
        return [self._tried(text, [next(seen) for _ in images]) for text, images in prompts]

    def batch(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What the model's forward pass takes: padded on the left, on the device."""
        device, takes = self._loaded.device, self._loaded.takes
        length = max(len(row.ids) for row in rows)
        inputs: dict[str, Any] = {
            "input_ids": _padded([row.ids for row in rows], length, self._loaded.pad),
            "attention_mask": _padded([[1] * len(row.ids) for row in rows], length, 0),
        }
        if any(row.types for row in rows) and "mm_token_type_ids" in takes:
            inputs["mm_token_type_ids"] = _padded([row.types or [0] * len(row.ids) for row in rows], length, 0)
        if "position_ids" in takes and not hasattr(self._loaded.model.base_model, "get_rope_index"):
            inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        inputs |= _joined([row.pixels for row in rows], self.dtype)
        seen = [one for row in rows for one in row.seen]
        inputs |= _joined([one.told for one in seen], self.dtype)
        inputs = {key: value.to(device) for key, value in inputs.items() if key in takes}
        if seen and self.pictures is not None:
            inputs["mm_encoder_outputs"] = {"image": self.pictures.handed_back(seen)}
        return inputs

    def tokens(self, text: str, *, alone: bool = True) -> list[int]:
        """The tokens of words; a whole prompt (`alone` false) begins as the tokenizer wants it to."""
        start = self._loaded.tokenizer.bos_token
        special = not alone and not (start and text.startswith(start))
        found: list[int] = self._loaded.tokenizer(text, add_special_tokens=special)["input_ids"]
        return found

    def _tried(self, text: str, images: Sequence[Any]) -> Row | Exception:
        try:
            for image in images:
                if isinstance(image, Exception):
                    raise image
            return self._whole(text, images) if self.pictures is None else self._spliced(text, images)
        except Exception as error:  # noqa: BLE001 - processors are foreign code; the ask tells it
            return error

    def _spliced(self, text: str, seen: Sequence[Seen]) -> Row:
        mark = self._loaded.tokenizer.convert_tokens_to_ids(self._token)
        left = iter(seen)
        ids: list[int] = []
        types: list[int] = []
        places: list[tuple[int, ...]] = []
        for token in self.tokens(text, alone=False):
            one = next(left) if token == mark else None
            if one:
                places.append(tuple(len(ids) + at for at, own in enumerate(one.ids) if own == mark))
            ids += one.ids if one else (token,)
            types += (one.types or [0] * len(one.ids)) if one else (0,)
        if next(left, None) is not None:
            raise InvalidData(f"the prompt has fewer marks for pictures than the {len(seen)} pictures")
        told = tuple(types) if any(one.types for one in seen) else ()
        return Row(tuple(ids), told, tuple(seen), places=tuple(places))

    def _whole(self, text: str, images: Sequence[Image]) -> Row:
        start = self._loaded.tokenizer.bos_token
        more = {"add_special_tokens": False} if start and text.startswith(start) else {}
        made = dict(
            self._loaded.processor(
                text=[text], images=[list(images)] if images else None, return_tensors="pt", **more
            ).items()
        )
        ids, types = made["input_ids"][0].tolist(), made.get("mm_token_type_ids")
        pixels = {key: value for key, value in made.items() if key not in _PADDED}
        return Row(tuple(ids), () if types is None else tuple(types[0].tolist()), (), pixels)


def _padded(rows: Sequence[Sequence[int]], length: int, with_: int) -> torch.Tensor:
    return torch.tensor([[with_] * (length - len(row)) + list(row) for row in rows])


def _joined(parts: Sequence[dict[str, torch.Tensor]], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    keys = sorted({key for part in parts for key in part})
    whole = {key: torch.cat([part[key] for part in parts if key in part]) for key in keys}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in whole.items()}
