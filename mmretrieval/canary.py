"""Canaries: a few pictures and texts whose vectors are stored with an index and measured again when it is opened.

The fingerprint pins the weights; the canaries also notice what no hash can see, such as another version of a
library that resizes pictures or splits texts differently, or a device that computes wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmretrieval.errors import FingerprintMismatch, InvalidData
from mmretrieval.protocols import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

Kind = Literal["images", "texts"]

LEAST_COSINE = 0.999

CANARY_TEXTS = (
    "a photo of a dog running on the beach",
    "two bowls of tomato soup on a wooden table",
    "Ein rotes Fahrrad lehnt an der Wand, 1998",
    "x",
)

_NAMES = ("waves", "squares", "disc", "ramp")


def canary_images() -> list[Image]:
    """Four pictures made of arithmetic alone, so that they are the same on every machine: RGB, not square."""
    from PIL import Image

    y, x = np.mgrid[0:288, 0:384]
    waves = np.stack([(x * x + y * 97) // 61, (x * y) // 113, (y * y + x * 41) // 53], axis=-1) % 256
    squares = np.where(((x // 48 + y // 48) % 2)[..., None] == 0, (230, 40, 30), (20, 60, 210))
    inside = (x - 150) ** 2 + (y - 130) ** 2 < 90**2
    disc = np.where(inside[..., None], (250, 200, 20), (30, 120, 60))
    ramp = np.stack([x * 255 // 383, y * 255 // 287, (x + y) * 255 // 670], axis=-1)
    return [Image.fromarray(pixels.astype(np.uint8)) for pixels in (waves, squares, disc, ramp)]


def measure(encoder: Encoder) -> dict[str, list[list[float]]]:
    """The canaries' unit vectors, ready for JSON: {"images": rows, "texts": rows}."""
    return {kind: _listed(_encoded(encoder, kind)) for kind in ("images", "texts")}


def check(stored: Mapping[str, Any], encoder: Encoder, kinds: Sequence[Kind] = ("images", "texts")) -> None:
    """Raise FingerprintMismatch when the encoder no longer gives the vectors that `measure` gave at index time.

    With `kinds` only one side is looked at, so that a search by words need not load the tower for pictures. Raises
    InvalidData when what was stored does not have the shape that `measure` gives.
    """
    for kind in kinds:
        names = _NAMES if kind == "images" else CANARY_TEXTS
        expected = _stored(stored, kind, (len(names), encoder.dim))
        now = np.asarray(_encoded(encoder, kind), dtype=np.float64)
        cosines = (expected * now).sum(axis=1) / np.linalg.norm(expected, axis=1)
        _compare(kind, names, cosines, encoder)


def _encoded(encoder: Encoder, kind: Kind) -> NDArray[np.float32]:
    return encoder.encode_images(canary_images()) if kind == "images" else encoder.encode_texts(CANARY_TEXTS)


def _compare(kind: str, names: Sequence[str], cosines: NDArray[np.float64], encoder: Encoder) -> None:
    for name, cosine in zip(names, cosines, strict=True):
        if not cosine >= LEAST_COSINE:  # also true when it is not a number
            raise FingerprintMismatch(
                f"the encoder '{encoder.spec}' no longer makes the vectors this index was built with: the test "
                f"{kind.removesuffix('s')} '{name}' is only {cosine:.4f} like before, where {LEAST_COSINE} is "
                "needed: use the versions of torch, open_clip and Pillow of that time, or index into a new folder"
            )


def _stored(stored: Mapping[str, Any], kind: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    rows = np.asarray(stored.get(kind, ()), dtype=np.float64)
    if rows.shape != shape or not np.isfinite(rows).all() or not (np.linalg.norm(rows, axis=1) > 0).all():
        raise InvalidData(
            f"the {kind} that this index keeps to check its encoder should be {shape[0]} rows of {shape[1]} numbers "
            f"and are of shape {rows.shape}, or damaged: index into a new folder"
        )
    return rows


def _listed(rows: NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(value), 7) for value in row] for row in rows]
