"""Chooses and tunes the index over the vectors, with texts of the collection itself to tune on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval import planner
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.creation import spread
from mmretrieval.errors import InvalidData
from mmretrieval.protocols import Encoder
from mmretrieval.ready_vectors import blocks, check_rows, open_vectors
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TEXTS = 1_024  # to tune on; the planner needs some hundreds
_TEXTS_AT_ONCE = 64


def prepare(
    index: Path | str,
    *,
    kind: str | None = None,
    recall: float | None = None,
    memory: int | None = None,
    text_vectors: Path | str | NDArray[Any] | None = None,
    encoder: str | Encoder | None = None,
    device: str | None = None,
    progress: planner.Progress | None = None,
) -> planner.Prepared:
    """Choose how nearest vectors are found in an index, build it, and tune it until the recall is reached.

    Tuned on texts and on pictures separately. The texts are `text_vectors`, (m, dim) in a .npy file or an array; or
    else captions of the collection, as its encoder reads them. The further arguments are those of `planner.prepare`
    and of `Searcher.open`. What was chosen is kept in the index folder, shown by `info`, and used from then on.
    Raises as `planner.prepare` and `CheckedEncoder` do.
    """
    index = Path(index)
    if text_vectors is not None:
        queries: NDArray[np.float32] | None = _given(text_vectors, index)
    else:
        queries = _captions(index, encoder, device)
    return planner.prepare(index, kind=kind, recall=recall, memory=memory, text_queries=queries, progress=progress)


def is_due(index: Path | str) -> bool:
    """Whether an index has grown beyond what exact search does quickly, or beyond what was prepared for it."""
    with Collection.open(index) as collection:
        return planner.is_due(collection)


def _given(text_vectors: Path | str | NDArray[Any], index: Path) -> NDArray[np.float32]:
    matrix = open_vectors(Path(text_vectors) if isinstance(text_vectors, str) else text_vectors)
    with Collection.open(index) as collection:
        dim = collection.rows("image").dim
    if matrix.shape[1] != dim:
        raise InvalidData(f"the text vectors have {matrix.shape[1]} numbers each, and {index} holds rows of {dim}")
    check_rows(matrix, "the text vectors", lambda _: None)
    step = -(-len(matrix) // MOST_TEXTS)
    return np.concatenate([unit_rows(part) for _, part in blocks(matrix[::step])])


def _captions(index: Path, encoder: str | Encoder | None, device: str | None) -> NDArray[np.float32] | None:
    """Captions of the collection as vectors; None where it has none, or no encoder that could read them."""
    with Collection.open(index) as collection:
        if not collection.encoder_spec and encoder is None:
            return None
        texts = spread(collection.captions(8 * MOST_TEXTS), MOST_TEXTS)
        if not texts:
            return None
        reader = CheckedEncoder(collection, encoder, device)
        parts = [reader.encode_texts(texts[at : at + _TEXTS_AT_ONCE]) for at in range(0, len(texts), _TEXTS_AT_ONCE)]
    return np.concatenate(parts)
