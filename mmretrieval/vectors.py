"""Unit rows, their inner products, and the order of what they score: NumPy alone.

Every index stands on the three rules written here, so that all of them agree to the last bit: which query vectors
are legal, how one row is scored, and where equal scores stand.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.floating[Any]]

_LENGTH_WITHIN = 1e-6  # of the square of a stored row's length
_NUDGES = 16  # numbers moved one by one per row at most
_CHUNK = 4096  # rows scored at once in float64; bounds the memory that a crowd of equal rows can take


def unit_rows(matrix: ArrayLike) -> NDArray[np.float32]:
    """A float32 copy of (n, dim) numbers whose rows have length 1.

    Raises InvalidData naming the first row that is zero or not finite, since neither has a direction.
    """
    rows = np.array(matrix, dtype=np.float64)
    if rows.ndim != 2:
        raise InvalidData(f"vectors must stand in a table of rows, and its shape is {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if bad.size:
        state = "zero" if lengths[bad[0]] == 0 else "not finite"
        raise InvalidData(f"the vector in row {bad[0]} is {state}, so it has no direction")
    unit: NDArray[np.float32] = (rows / lengths[:, None]).astype(np.float32)
    return unit


def half_rows(matrix: ArrayLike) -> NDArray[np.float16]:
    """(n, dim) rows as float16 whose length is as near to 1 as float16 allows, for storing.

    Plain rounding leaves lengths wrong by up to 2e-4. An inner product with such rows prefers the longer of two nearly
    equal pictures, so that a picture may not find itself first among its copies in other formats. Here single numbers
    are moved to the next float16 until the length is right, within 1e-6 from about 24 dimensions on.
    Raises InvalidData as `unit_rows` does.
    """
    half: NDArray[np.float16] = unit_rows(matrix).astype(np.float16)
    _nudge_each_once(half)
    wrong = np.flatnonzero(np.abs(_missing(half)) >= _LENGTH_WITHIN)
    if wrong.size:  # rows of few numbers, mostly
        half[wrong] = _nudged(half[wrong])
    return half


def _missing(half: NDArray[np.float16]) -> NDArray[np.float64]:
    """What the squares of each row lack to 1, exactly."""
    exact = half.astype(np.float64)
    missing: NDArray[np.float64] = 1 - np.einsum("ij,ij->i", exact, exact)
    return missing


def _nudge_each_once(half: NDArray[np.float16]) -> None:
    """Moves numbers by one step, in place: the largest gains first, each only if what is missing is not overshot.

    All gains of a row are sorted once, as whole numbers whose lowest bits are the column, so that equal gains have one
    order on every machine.
    """
    missing = _missing(half)
    bits = half.view(np.uint16)
    moved = bits + np.where(missing > 0, 1, -1).astype(np.uint16)[:, None]
    np.copyto(moved, bits, where=(bits & 0x7FFF) == 0)  # a zero has no step inwards
    before, after = half.astype(np.float32), moved.view(np.float16).astype(np.float32)
    gains = np.abs((after - before) * (after + before))
    column = np.uint32((1 << (half.shape[1] - 1).bit_length()) - 1)
    keys = (gains.view(np.uint32) & ~column) | np.arange(half.shape[1], dtype=np.uint32)
    keys.sort(axis=1)
    left = np.abs(missing).astype(np.float32)
    for key in np.ascontiguousarray(keys.T[::-1]):
        is_open = left >= _LENGTH_WITHIN
        if not is_open.any():
            return
        gain = (key & ~column).view(np.float32)
        takes = np.flatnonzero(is_open & (gain <= left + np.float32(0.9 * _LENGTH_WITHIN)))
        left[takes] -= gain[takes]
        at = (key[takes] & column).astype(np.int64)
        bits[takes, at] = moved[takes, at]


def _nudged(half: NDArray[np.float16]) -> NDArray[np.float16]:
    """The rows with single numbers moved, as often as it helps, always the one that leaves least missing."""
    every = np.arange(len(half))
    for _ in range(_NUDGES):
        exact, missing = half.astype(np.float64), _missing(half)
        outwards = np.copysign(np.float16(np.inf), half)
        moved = np.nextafter(half, np.where(missing[:, None] > 0, outwards, np.float16(0)))
        left = np.abs(missing[:, None] - (moved.astype(np.float64) ** 2 - exact**2))
        chosen = left.argmin(axis=1)
        # A row that is right stays, whatever the others need: no row may depend on what else is in its batch.
        better = np.flatnonzero((np.abs(missing) >= _LENGTH_WITHIN) & (left[every, chosen] < np.abs(missing)))
        if not better.size:
            break
        half[better, chosen[better]] = moved[better, chosen[better]]
    return half


def top_k(scores: ArrayLike, k: int) -> NDArray[np.int64]:
    """Positions of the `k` largest of (n,) scores, larger first, equal scores in the order of their positions."""
    values = np.asarray(scores, dtype=np.float64)
    if np.isnan(values).any():
        raise InvalidData("a score is not a number, so the scores have no order")
    k = min(k, values.size)
    if k <= 0:
        return np.empty(0, dtype=np.int64)
    threshold = np.partition(values, values.size - k)[values.size - k]
    candidates = np.flatnonzero(values >= threshold)
    order = best(values[candidates], candidates, k)
    return candidates[order].astype(np.int64)


def best(scores: Floats, positions: NDArray[np.integer[Any]], k: int) -> NDArray[np.int64]:
    """Where the `k` best of (m,) scored positions stand: by score, larger first, then by position."""
    order: NDArray[np.int64] = np.lexsort((positions, -scores))[:k]
    return order


def arc_weights(cosine: float, share: float) -> tuple[float, float]:
    """What two unit vectors weigh at `share` (0 to 1) of the way along the arc from the first to the second.

    Spherical interpolation: the weighted sum is a unit vector. Where the vectors are equal or opposite the arc is not
    defined, and the weights are those of the straight line.
    """
    angle = math.acos(max(-1.0, min(1.0, cosine)))
    if math.sin(angle) < 1e-4:
        return 1 - share, share
    return math.sin((1 - share) * angle) / math.sin(angle), math.sin(share * angle) / math.sin(angle)


def legal_queries(queries: ArrayLike, dim: int) -> NDArray[np.float32]:
    """The (q, dim) query vectors as float32; raises InvalidData for a wrong shape, a zero or a non-finite row."""
    rows = np.ascontiguousarray(queries, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dim:
        raise InvalidData(f"queries must be rows of {dim} numbers, and their shape is {rows.shape}")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    for state, wrong in (("not finite", ~np.isfinite(lengths)), ("zero", lengths == 0)):
        if wrong.any():
            raise InvalidData(f"query vector {int(np.argmax(wrong))} is {state}, so it has no neighbours")
    return rows


def row_scores(rows: Floats, query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products of (m, dim) rows with one (dim,) query, float32.

    Each row is summed on its own in float64, so its score depends on nothing but the row and the query: equal rows
    get equal scores, whichever index asks and whatever else stands in the batch. BLAS does not promise that.
    """
    exact = query.astype(np.float64)
    chunks = [(rows[at : at + _CHUNK] * exact).sum(axis=1) for at in range(0, len(rows), _CHUNK)]
    return np.concatenate(chunks).astype(np.float32) if chunks else np.empty(0, dtype=np.float32)


def margin(query: NDArray[np.float32]) -> float:
    """The most by which a float32 inner product of a unit row with this query can miss `row_scores`.

    Summing d products in any order errs by less than d * 2^-24 * |query|; twice that covers rows that float16 made
    a little longer than 1, and the last rounding.
    """
    return float((query.size + 8) * 2.0**-23 * np.linalg.norm(query.astype(np.float64)))


def allowed(n: int, within: ArrayLike | None, exclude: ArrayLike | None) -> NDArray[np.bool_] | None:
    """Which of `n` positions may be returned, (n,) booleans; None when all may. Raises InvalidData outside 0..n-1."""
    if within is None and (exclude is None or np.size(exclude) == 0):
        return None
    mask = np.full(n, within is None)
    for positions, value in ((within, True), (exclude, False)):
        if positions is None:
            continue
        chosen = np.asarray(positions, dtype=np.int64)
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < n:
            raise InvalidData(f"positions {chosen.min()} to {chosen.max()} do not all lie within the {n} rows")
        mask[chosen] = value
    return mask
