"""FAISS on a GPU, played by FAISS on the CPU: it rounds as one would, and refuses what one refuses."""

import faiss
import numpy as np

from mmretrieval.indexes.faiss_gpu import MOST, FaissGpu


class StandInGpu(FaissGpu):
    """The index as it is, but for the one object that lives on a GPU."""

    def _is_able(self):
        return True

    def _empty(self):
        return _Rounding(self.rows.dim)


class _Rounding:
    def __init__(self, dim):
        self.flat = faiss.IndexFlatIP(dim)
        self.add = self.flat.add

    def search(self, queries, count):
        assert 1 <= count <= MOST
        products, slots = self.flat.search(queries.astype(np.float16).astype(np.float32), self.flat.ntotal)
        products = products.astype(np.float16).astype(np.float32)
        order = np.argsort(-products, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(products, order, 1), np.take_along_axis(slots, order, 1)
