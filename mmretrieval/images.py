"""Opens pictures from anywhere without trusting them.

Size limits are checked before anything is decoded; a picture that is cut off or damaged is refused, never shown half
grey; what comes back is upright 8-bit RGB. Memory per picture is bounded: JPEGs are decoded at the scale that is
needed, other formats are scaled down at once where they are much larger.
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from mmretrieval.errors import UnreadableImage
from mmretrieval.pixels import orientation_of, shrink, to_rgb, upright
from mmretrieval.quiet import quiet_pillow
from mmretrieval.reading import MAX_BYTES, read_file
from mmretrieval.sniff import HEAD_BYTES, claimed_size, cut_off, format_of

MAX_PIXELS = 178_956_970  # where Pillow itself refuses; a smaller Image.MAX_IMAGE_PIXELS holds, too
MAX_MEMORY = 2 * 2**30
MAX_ASPECT = 200  # a line of pixels, scaled until its short side fits a model, would fill the memory
_LARGE = 2**28  # pictures that need more memory than this are decoded one at a time
_large_one = threading.Lock()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture, upright RGB, and in words what was done to it or stands out about it."""

    image: Image.Image
    notes: tuple[str, ...]


def open_image(
    path: Path | str,
    *,
    shown: str | None = None,
    min_side: int | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """The picture at `path`: RGB, turned upright, complete; of an animation the first frame.

    With `min_side` a much larger picture comes scaled down until its shorter side is twice to four times that; use it
    when the picture is going to be scaled down to that side anyway. `shown` is the name used in errors. Raises NotFound
    when there is no such file, UnreadableImage with the reason otherwise.
    """
    shown = str(path) if shown is None else shown
    data, _ = read_file(Path(path), shown=shown, max_bytes=max_bytes)
    return decode(data, shown=shown, min_side=min_side, max_pixels=max_pixels).image


def decode(
    data: bytes,
    *,
    shown: str,
    min_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
    max_memory: int = MAX_MEMORY,
) -> Decoded:
    """The bytes of a picture file as `open_image` describes it; raises UnreadableImage."""
    kind = _kind(data, shown, max_pixels)
    try:
        with quiet_pillow(), Image.open(BytesIO(data), formats=_PLUGINS.get(kind, (kind,))) as image:
            return _decoded(image, kind, shown, min_side, max_pixels, max_memory)
    except UnreadableImage:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them stumble over
        raise UnreadableImage(shown, _reason(error, kind)) from error


def _kind(data: bytes, shown: str, max_pixels: int) -> str:
    """The format, after all that can be told without Pillow."""
    if not data:
        raise UnreadableImage(shown, "the file is empty")
    kind = format_of(data[:HEAD_BYTES])
    if kind is None:
        raise UnreadableImage(shown, "not a picture: the content is of no known picture format")
    if (size := claimed_size(data, kind)) is not None:
        _check_size(*size, shown, max_pixels)  # first, so that a bomb without a body is told as one
    if missing := cut_off(data, kind):
        raise UnreadableImage(shown, f"truncated: {missing}")
    if kind == "HEIF":
        _learn_heif(shown)
    return kind


def _reason(error: Exception, kind: str) -> str:
    """What Pillow's exception means for a person."""
    if isinstance(error, Image.DecompressionBombError):
        return f"too large: {str(error).partition(',')[0]}"
    if isinstance(error, MemoryError):
        return "too large: there is not enough memory to decode it"
    if isinstance(error, UnidentifiedImageError):
        if kind in _FEATURES and not features.check(_FEATURES[kind]):
            return f"this installation of Pillow reads no {kind}; update it"
        return f"damaged or cut off: its {kind} header cannot be read"
    if "truncated" in str(error).lower():
        return "truncated: the file ends before the picture does"
    return f"damaged: {error}"


_PLUGINS = {"JPEG": ("JPEG", "MPO")}
_FEATURES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
_SEVERAL = {"TIFF": "several pictures in one file: the first", "HEIF": "several pictures in one file: the main one"}


def _decoded(
    image: Image.Image, kind: str, shown: str, min_side: int | None, max_pixels: int, max_memory: int
) -> Decoded:
    width, height = image.size
    _check_size(width, height, shown, max_pixels)
    # A JPEG may carry further ones, such as a depth map or a preview, which nobody takes for frames.
    several = kind != "JPEG" and _is_animated(image)
    notes = [_SEVERAL.get(kind, "animated: the first frame")] if several else []
    if min_side is not None:
        image.draft(None, (2 * min_side, 2 * min_side))  # JPEG alone can: it decodes at 1/2, 1/4 or 1/8
    need = _memory_needed(image, width * height)
    if need > max_memory:
        raise UnreadableImage(shown, f"too large: decoding needs {need >> 20} MiB, the limit is {max_memory >> 20} MiB")
    with _large_one if need > _LARGE else nullcontext():
        image.load()
        orientation = orientation_of(image)
        rgb, more = to_rgb(image)
        if min_side is not None:
            rgb = shrink(rgb, min_side)
        rgb = upright(rgb, orientation)
    if 1 < orientation <= 8:
        more.append(f"turned upright (EXIF orientation {orientation})")
    return Decoded(_bare(rgb), (*notes, *more))


def _check_size(width: int, height: int, shown: str, max_pixels: int) -> None:
    if width < 1 or height < 1:
        raise UnreadableImage(shown, f"no pixels: {width} x {height}")
    if width * height > max_pixels:
        raise UnreadableImage(
            shown, f"too large: {width} x {height} = {width * height} pixels, the limit is {max_pixels}"
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UnreadableImage(shown, f"too narrow: {width} x {height}, one side is over {MAX_ASPECT} times the other")


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - looking for a second frame may stumble over it; the first one is what counts
        return True


def _memory_needed(image: Image.Image, full_pixels: int) -> int:
    """Bytes: what Pillow holds (four per pixel with several bands), the RGB copy, layers to lay on white."""
    pixels = image.width * image.height
    stored = 4 if len(image.getbands()) > 1 or image.mode in ("I", "F") else 2
    need = pixels * (stored + 4 + (8 if image.has_transparency_data else 0))
    # A progressive JPEG keeps the coefficients of the whole picture, whatever the scale.
    return need + (full_pixels * 6 if image.info.get("progressive") else 0)


def _bare(image: Image.Image) -> Image.Image:
    """Without EXIF, text and profile blocks, which may be megabytes and would travel along."""
    image.info = {}
    return image


def _learn_heif(shown: str) -> None:
    """Pillow reads HEIC once pi-heif has registered itself; doing so twice changes nothing."""
    try:
        import pi_heif
    except ImportError as error:
        cure = "pip install 'mmretrieval[heic]'"
        raise UnreadableImage(
            shown, f"HEIC pictures need the package 'pi-heif', which is not installed: {cure}"
        ) from error
    pi_heif.register_heif_opener()


def thumbnail(image: Image.Image, max_side: int = 256) -> Image.Image:
    """A copy whose longer side is at most `max_side`, in proportion; a smaller picture is copied as it is."""
    small = image.copy()
    small.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return small
