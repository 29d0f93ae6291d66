"""Any of Pillow's pixel layouts to upright 8-bit RGB, with a note for whatever had to be decided on the way."""

from __future__ import annotations

import numpy as np
from PIL import Image

_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
_ORIENTATION_TAG = 0x0112


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """A loaded picture as RGB. Transparent parts lie on white; deep greyscale keeps its range, see `_to_8_bit`."""
    notes: list[str] = []
    if image.mode.startswith(("I", "F")):
        notes.append(f"more than 8 bits per pixel ({image.mode}), scaled to 8")
        image = _to_8_bit(image)
    if image.has_transparency_data:
        return _on_white(image, notes)
    if image.mode == "CMYK":
        notes.append("CMYK colours")
    return image.convert("RGB"), notes


def _on_white(image: Image.Image, notes: list[str]) -> tuple[Image.Image, list[str]]:
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return layers.convert("RGB"), notes
    white = Image.new("RGBA", layers.size, "white")
    white.alpha_composite(layers)
    return white.convert("RGB"), [*notes, "transparent parts laid on white"]


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit values are divided by 257. Other integers and floats have no range of their own: where they fit 0..255
    (floats also 0..1) or 0..65535 they are taken so, else their smallest and largest value become black and white.
    """
    values = np.asarray(image)
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    lowest, highest = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if values.dtype.itemsize == 2:
        low, high = 0.0, 65535.0
    elif lowest >= 0 and highest <= 65535:
        limits = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
        low, high = 0.0, next(limit for limit in limits if highest <= limit)
    else:
        low, high = lowest, highest
    scaled = (values.astype(np.float32) - low) * (255.0 / (high - low))
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as its camera meant it: EXIF orientations 2..8 are turned, anything else stays."""
    for step in _UPRIGHT.get(orientation, ()):
        image = image.transpose(step)
    return image


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a loaded picture; 1 where there is none or the EXIF block is damaged."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a damaged side block of any sort must not cost the picture
        return 1
    return value if isinstance(value, int) else 1


def shrink(image: Image.Image, min_side: int) -> Image.Image:
    """Scaled down until the shorter side is twice `min_side`, where it is four times that or more.

    The rest of the way is left to the encoder's own scaling: from twice the size it loses next to nothing, measured
    on photographs below one grey level of 255 on average; straight to the size it would be two. What a JPEG decoder
    gives is mostly between two and four times; scaling it twice would take longer and lose more than scaling it once.
    """
    wanted, shorter = 2 * min_side, min(image.size)
    if shorter < 2 * wanted:
        return image
    width, height = (round(side * wanted / shorter) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
