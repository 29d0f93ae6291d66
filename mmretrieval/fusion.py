"""Fusion of looks and captions, on the side of the items: the algebra of F4-ITS (arXiv 2508.17037).

With unit vectors v of an item's picture and c of its own caption, and weights that sum to 1:

- "late":     w_i <q, v> + w_c <q, c>, exactly; the weights may differ from query to query. It is one inner product
              with the concatenation [v; c], kept as the two channels that it is made of.
- "early":    <q, g> with g = unit(w_i v + w_c c), stored once; one row for each item, so any index can stand on it. It
              differs from "late" by the length of the sum, which grows with how well caption and picture agree.
- "standard": as "late", with each channel's scores counted from their mean over the collection in standard deviations,
              since words are nearer to nearly all captions than to any picture: without it a caption's weight of 0.3
              weighs more than it says.

An item without a caption has its picture at full weight, so it scores what it scores by its looks alone.

The published "bi-directional" fusion adds the vector of the query to every item: <q, t + b q'> = <q, t> + b <q, q'>,
where the second term is the same for every item. It cannot change a ranking, so there is no such thing here; an item
is fused with what is known of itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, get_args
from uuid import uuid4

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.segments import Rows
from mmretrieval.vectors import half_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

How = Literal["late", "early", "standard"]
_BLOCK = 8192
_KEPT_FILES = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fusion:
    """How looks and captions are joined; the weights sum to 1. The defaults are those of the paper."""

    image: float = 0.7
    caption: float = 0.3
    how: How = "late"

    @classmethod
    def parse(cls, text: str) -> Fusion:
        """Read "image=0.7,caption=0.3", with "early:" or "standard:" in front where that is wanted.

        Raises UsageError for what is not understood, for negative weights, and for two weights of 0.
        """
        head, colon, rest = text.partition(":")
        how = head.strip() if colon else "late"
        if how not in get_args(How):
            raise UsageError(f"--fuse '{text}' joins by '{how}': choose {', '.join(get_args(How))}")
        weights = {"image": 0.0, "caption": 0.0}
        for part in (rest if colon else text).split(","):
            name, equals, number = (piece.strip() for piece in part.partition("="))
            try:
                if not equals or name not in weights:
                    raise ValueError
                weights[name] = float(number)
            except ValueError:
                raise UsageError(
                    f"--fuse '{text}' is not understood at '{part}': write it as image=0.7,caption=0.3"
                ) from None
        return cls(weights["image"], weights["caption"], how).shared()  # type: ignore[arg-type]  # checked above

    def shared(self) -> Fusion:
        """The same with weights that sum to 1; raises UsageError where they cannot."""
        total = self.image + self.caption
        if not (self.image >= 0 and self.caption >= 0 and 0 < total < float("inf")):
            raise UsageError(
                f"looks and captions cannot weigh {self.image:g} and {self.caption:g}: give numbers from 0, one above"
            )
        return Fusion(self.image / total, self.caption / total, self.how)

    def joined(self, image: NDArray[np.float64], caption: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fused scores of items, given those of both channels; NaN stands for an item without a caption."""
        return np.where(np.isnan(caption), image, self.image * image + self.caption * np.nan_to_num(caption))


class Collection(Protocol):
    """What is read of a collection."""

    index: Path

    @property
    def version(self) -> str: ...

    def rows(self, channel: str = "image") -> Rows: ...

    def members(self, channel: str) -> NDArray[np.int64]: ...


def all_scores(rows: Rows, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products of each of (q, dim) vectors with every row, (q, n), float32.

    Each query is multiplied by itself, so its scores do not depend on what else is asked. Reads all rows once.
    """
    scores = np.empty((len(vectors), rows.n), dtype=np.float32)
    for positions, matrix in rows.blocks(_BLOCK):
        block = matrix.astype(np.float32)
        for number, vector in enumerate(vectors):
            scores[number, positions] = block @ vector
    return scores


def early_rows(collection: Collection, fusion: Fusion) -> Rows:
    """The fused rows of all items, made at the first use and kept in the cache of the index while nothing changes.

    Raises UsageError where pictures and captions were not encoded by one model.
    """
    image, caption = collection.rows("image"), collection.rows("caption")
    if image.dim != caption.dim:
        raise UsageError(
            f"pictures have vectors of {image.dim} numbers and captions of {caption.dim}, so they cannot be summed: "
            "fuse them late, or encode the captions by the same model (mmretrieval caption --captions clip)"
        )
    name = f"{collection.version}-{fusion.image:.6f}"
    matrix = _kept(collection.index / "cache" / "fused" / f"{name}.npy", lambda: _fused(collection, fusion))
    places = np.stack([np.zeros(image.n, dtype=np.int64), np.arange(image.n)], axis=1)
    return Rows([(0, matrix)], places, dim=image.dim, name=f"fused {name}")


def _fused(collection: Collection, fusion: Fusion) -> NDArray[np.float16]:
    """unit(w_i v + w_c c) for each item, float16; the picture alone where there is no caption."""
    image, caption, members = collection.rows("image"), collection.rows("caption"), collection.members("caption")
    row_of = np.full(image.n, -1, dtype=np.int64)
    row_of[members] = np.arange(len(members))
    made = np.empty((image.n, image.dim), dtype=np.float16)
    for start in range(0, image.n, _BLOCK):
        positions = np.arange(start, min(start + _BLOCK, image.n))
        looks, rows = image.take(positions).astype(np.float64), row_of[positions]
        has = rows >= 0
        looks[has] = fusion.image * looks[has] + fusion.caption * caption.take(rows[has])
        made[positions] = half_rows(looks)
    return made


def _kept(file: Path, make: Callable[[], NDArray[np.float16]]) -> NDArray[np.float16]:
    """The matrix in the file, mapped; made first where it is missing, in memory where it cannot be written."""
    try:
        return _mapped(file)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        _log.warning("%s: fused rows cannot be read (%s) and are made again", file, error)
    matrix, unfinished = make(), file.with_name(f"{uuid4().hex}.part.npy")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(unfinished, matrix, allow_pickle=False)
        unfinished.replace(file)
        others = sorted((f for f in file.parent.glob("*.npy") if f != file), key=lambda f: f.stat().st_mtime)
        for old in others[: -(_KEPT_FILES - 1)]:
            old.unlink(missing_ok=True)
        return _mapped(file)
    except OSError as error:
        _log.info("%s: fused rows cannot be kept (%s), so they stay in memory", file, error)
        unfinished.unlink(missing_ok=True)
        return matrix


def _mapped(file: Path) -> NDArray[np.float16]:
    matrix: NDArray[np.float16] = np.load(file, mmap_mode="r", allow_pickle=False)
    return matrix
