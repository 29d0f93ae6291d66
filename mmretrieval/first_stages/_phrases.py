"""The directions in which things differ and styles do not: a projection made from two lists of phrases.

Paper: BASIC (NeurIPS 2025), there with about 1,800 phrases for things and 1,000 for styles; these lists are our own,
plain and short, so that encoding them costs a second or two with a CLIP of B size on a CPU.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.protocols import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTRAST = 0.2  # how much the spread of the styles counts against that of the things
KEPT = 3  # one direction in so many is kept


def projection(encoder: Encoder, text_mean: NDArray[np.float32]) -> NDArray[np.float64]:
    """A (dim, dim) symmetric projection; a row vector times it keeps what tells things apart.

    It spans the foremost eigenvectors of (1 - a) Cov(things) - a Cov(styles) with a positive eigenvalue, a third of
    the dimensions at most. Encodes all phrases.
    """
    things, styles = (_scatter(encoder, _listed(name), text_mean) for name in ("things", "styles"))
    values, vectors = np.linalg.eigh((1 - CONTRAST) * things - CONTRAST * styles)  # ascending
    kept = min(max(1, encoder.dim // KEPT), int((values > 0).sum()))
    foremost = vectors[:, len(values) - kept :]
    matrix: NDArray[np.float64] = foremost @ foremost.T
    return matrix


def _scatter(encoder: Encoder, phrases: list[str], mean: NDArray[np.float32]) -> NDArray[np.float64]:
    rows = encoder.encode_texts(phrases).astype(np.float64) - mean
    scatter: NDArray[np.float64] = rows.T @ rows / (len(rows) - 1)
    return scatter


def _listed(name: str) -> list[str]:
    return (files("mmretrieval.first_stages") / "phrases" / f"{name}.txt").read_text("utf-8").splitlines()
