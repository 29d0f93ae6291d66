"""Words and pictures as the messages of a chat request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mmretrieval.mllms._pixel_budget import shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.asks import Part

LOSSLESS_PIXELS = 2**18  # up to 512 by 512 a PNG costs little, and the model sees what another back end would show it
JPEG_QUALITY = 92


def messages(parts: Sequence[Part], most_pixels: int, said: str = "") -> list[dict[str, Any]]:
    """One user turn with words and pictures in their order; `said` is how the answer has begun already."""
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": data_url(part, most_pixels)}}
        for part in parts
    ]
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    return [*turns, {"role": "assistant", "content": said}] if said else turns


def data_url(image: Image, most_pixels: int) -> str:
    """The picture as RGB in a data URL: small ones as PNG, without loss, larger ones as JPEG."""
    image = shrunk(image, most_pixels)
    lossless = image.width * image.height <= LOSSLESS_PIXELS
    held = BytesIO()
    if lossless:
        image.save(held, "PNG")
    else:
        image.save(held, "JPEG", quality=JPEG_QUALITY)
    kind = "image/png" if lossless else "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
