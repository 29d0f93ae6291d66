"""Which confirmed examples a query can use: an example that does not fit the rest of the query is left out.

An example is believed when it lies nearer to the words and pictures of the query than most of the collection does.
One that was confirmed by mistake would lead the search away from everything else that was said, and no vector
arithmetic can mend that. Without words or pictures there is nothing to compare with, and all examples count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.first_stages._parts import Collection, Item
from mmretrieval.types import Query

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR = 0.5  # standard deviations above the collection's mean similarity; chosen by assets/reports/composed.md
_SAMPLE = 2048  # rows that stand for the collection


def usable_examples(
    query: Query, marks: Sequence[Item], asked: NDArray[np.float32], collection: Collection, floor: float
) -> tuple[list[Item], tuple[str, ...]]:
    """The marks without the examples below the floor, and a warning that names those.

    `asked` is the unit vector (dim,) of what is asked for. Costs one sample of rows.
    """
    likes = next((item for item in marks if item.key == "like"), None)
    if likes is None:
        return list(marks), ()
    similarity = sample_rows(collection) @ asked
    spread = float(similarity.std())
    standing = (likes.rows @ asked - similarity.mean()) / spread if spread > 0 else np.full(len(likes.rows), np.inf)
    fits = standing >= floor
    if fits.all():
        return list(marks), ()
    strangers = [record_id for record_id, is_fit in zip(likes.ids, fits, strict=True) if not is_fit]
    warning = (
        f"query '{query.id}': {len(strangers)} of the {len(fits)} examples are too unlike the rest of the query and "
        f"were left out, such as '{strangers[0]}'; search with the examples alone to use them"
    )
    kept = tuple(record_id for record_id in likes.ids if record_id not in strangers)
    weight = likes.weight * float(fits.mean())  # what is left out pulls nowhere, and the rest no harder for it
    used = [replace(likes, rows=likes.rows[fits], ids=kept, weight=weight)] if fits.any() else []
    return [each for item in marks for each in (used if item is likes else [item])], (warning,)


def sample_rows(collection: Collection, most: int = _SAMPLE) -> NDArray[np.float32]:
    """Evenly spaced rows of the collection, all of a small one, (m, dim): what is usual in it."""
    rows = collection.rows("image")
    positions = np.arange(rows.n) if rows.n <= most else np.linspace(0, rows.n - 1, most).astype(np.int64)
    return rows.take(positions.astype(np.int64))
