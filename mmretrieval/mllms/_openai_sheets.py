"""Marked sheets behind a server: read at their own size where it can be told to, as in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

from PIL import Image

from mmretrieval.mllms._openai_abilities import Talk
from mmretrieval.mllms._openai_http import Refused
from mmretrieval.mllms._openai_messages import messages
from mmretrieval.sheet import SHEET

if TYPE_CHECKING:
    from mmretrieval.asks import Part

log = logging.getLogger(__name__)

_OWN_SIZE: dict[str, Any] = {"mm_processor_kwargs": {"do_resize": False}}
_SIDE = 256  # of the square that is tried; the other picture is twice as wide
_STRIDES = (32, 64)  # of convolutional towers; 14 and 16 are patches of transformers, which take one size only
_CANNOT_SAY = frozenset({400, 404, 422, 500})
_SQUASHED = "reads a sheet of candidates at the size of one picture, so 'grid' sees little"
_UNKNOWN = f"{_SQUASHED} if it has one size for all: ask the model in this process, or through vLLM"


@dataclass(frozen=True, slots=True)
class Reading:
    """`stride`: pixels a side that one token stands for when sheets keep their size, 0 when they cannot.

    `lost`: what to tell the user when a sheet does not keep its size, empty when nothing is lost by it.
    """

    stride: int
    lost: str


class Sheets:
    """How one server reads sheets, found out with the first one by counting tokens, which no model sees."""

    def __init__(self, talk: Talk, spec: str, *, compact: bool) -> None:
        self._talk = talk
        self._spec = spec
        self._compact = compact
        self._reading: Reading | None = None
        self._told = False
        self._lock = asyncio.Lock()

    async def fields(self, parts: Sequence[Part], most_pixels: int) -> dict[str, Any]:
        """What a request needs so that its sheets keep their size; a warning, once, when they cannot.

        What is said holds for all pictures of a request, so a sheet keeps its size only when it is alone or among
        sheets. Its sides have to be whole strides, or the server counts other tokens than its tower makes.
        """
        pictures = [part for part in parts if not isinstance(part, str)]
        if not any(SHEET in picture.info for picture in pictures):
            return {}
        async with self._lock:
            self._reading = self._reading or await self._found()
        if all(self._keeps(picture, self._reading.stride, most_pixels) for picture in pictures):
            return _OWN_SIZE
        if self._reading.lost and not self._told:
            self._told = True
            log.warning("%s %s", self._spec, self._reading.lost)
        return {}

    @staticmethod
    def _keeps(picture: Image.Image, stride: int, most_pixels: int) -> bool:
        sides = picture.size
        whole = bool(stride) and not any(side % stride for side in sides)
        return whole and SHEET in picture.info and sides[0] * sides[1] <= most_pixels

    async def _found(self) -> Reading:
        usual = await self._tokens() if (await self._talk.abilities()).exact else None
        if usual is None:  # large models behind such servers cut sheets into tiles
            return Reading(0, _UNKNOWN if self._compact else "")
        if usual[0] != usual[1]:
            return Reading(0, "")  # larger pictures get more tokens as it is
        own = await self._tokens(**_OWN_SIZE)
        if own is None:
            return Reading(0, f"{_SQUASHED}: start vLLM with --trust-request-mm-kwargs")
        stride = _SIDE // max(1, isqrt(own[0]))
        if stride in _STRIDES and own == ((_SIDE // stride) ** 2, 2 * (_SIDE // stride) ** 2):
            return Reading(stride, f"{_SQUASHED}: give it cells and strips of whole {stride} pixels, and no gap")
        return Reading(0, f"{_SQUASHED}, as its tower takes one size only")

    async def _tokens(self, **more: Any) -> tuple[int, int] | None:
        """Those of a square, and of a picture twice as wide; None when the server does not count them so."""
        try:
            words, square, wide = [
                await self._talk.prompt_tokens(messages(parts, 2 * _SIDE**2), **more)
                for parts in (("?",), ("?", _blank(_SIDE)), ("?", _blank(2 * _SIDE)))
            ]
        except Refused as refused:
            if refused.status not in _CANNOT_SAY:
                raise
            log.debug("%s counts no tokens of pictures: %s", self._spec, refused)
            return None
        return square - words, wide - words


def _blank(width: int) -> Image.Image:
    return Image.new("RGB", (width, _SIDE), "grey")
