"""FAISS looking at float16 rows where they lie: its scalar quantiser for float16 has our rows as its codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def view(matrix: NDArray[np.float16]) -> Any:
    """A FAISS index whose codes are the (m, dim) rows themselves: nothing is copied, and nothing read before a search.

    Inner products, computed in float32. The matrix must be contiguous, and outlive the index.
    """
    import faiss

    index: Any = faiss.IndexScalarQuantizer(matrix.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    codes = matrix.reshape(-1).view(np.uint8)
    borrowed: Any = faiss.MaybeOwnedVectorUInt8
    # An empty vector owns its memory and so names no owner, which is what a borrowed one has to be given.
    index.codes = borrowed.create_view(faiss.swig_ptr(codes), codes.nbytes, index.codes.owner)
    index.ntotal = len(matrix)
    return index


def selection(allowed: NDArray[np.bool_] | None) -> Any:
    """FAISS's search parameters that let (n,) allowed labels pass; None for all."""
    if allowed is None:
        return None
    import faiss

    return faiss.SearchParameters(sel=bitmap(allowed))  # type: ignore[call-arg]  # the stubs know C++ alone


def bitmap(allowed: NDArray[np.bool_]) -> Any:
    """FAISS's selector of the allowed labels: exact, and quick whatever their number."""
    import faiss

    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
