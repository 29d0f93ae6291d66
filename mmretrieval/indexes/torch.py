"""Exact search by torch: blocks of rows times all queries at once, on a GPU where there is one.

A GPU keeps the float16 rows if they fit into the memory that is free, and multiplies them as they are; a CPU turns each
block into float32 before, since it multiplies float16 slowly. Only the best of each block leave the device. They are
scored for good by the one rule all indexes share, and more are fetched until no row that was left out can belong to
the result, so it equals a brute-force sort, ties included, whatever the device rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Index
from mmretrieval.vectors import allowed, best, legal_queries, margin, row_scores

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

_ROWS = 65_536  # rows per block
_QUERIES = 256  # queries per pass; with the rows of a block they bound the table of products to 64 MiB
_EXTRA = 54  # fetched beyond top_k at first; float16 products blur the edge of the result more than float32 ones
_SPARE = 2 * 2**30  # bytes of a GPU's memory that are left to others
_HALF = 2.0**-10  # what rounding query and product to float16 can change, as a share of the query's length


class Torch(Index):
    """Inner products with every allowed row, on a GPU if there is one; made for many queries at once."""

    def __init__(self, rows: Rows, cache: Path | None = None, *, device: str | None = None) -> None:
        """`device` is a name of torch's, as "cuda:1" or "cpu"; None takes a GPU if there is one."""
        import torch

        super().__init__(rows, cache)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._is_half = self.device.type == "cuda"
        self._kept: list[tuple[int, torch.Tensor]] | None = None
        self._lock = Lock()

    def search(
        self,
        queries: NDArray[np.float32],
        top_k: int,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> list[Found]:
        """As in `Index`; scores are inner products, float32.

        Raises InvalidData for a query that is zero, not finite or of another dimension, and for positions that do
        not exist; UsageError for `top_k` below 1.
        """
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}: ask for at least one hit")
        queries = legal_queries(queries, self.rows.dim)
        mask = allowed(self.rows.n, within, exclude)
        found: dict[int, Found] = {}
        waiting, fetch = list(range(len(queries))), top_k + _EXTRA
        while waiting:
            unsure = []
            for at in range(0, len(waiting), _QUERIES):
                numbers = waiting[at : at + _QUERIES]
                proposed = self._nearest(queries[numbers], min(fetch, max(self.rows.stored, 1)), mask)
                for number, (slots, products) in zip(numbers, proposed, strict=True):
                    found[number], is_certain = self._refined(queries[number], slots, products, top_k)
                    if not is_certain and fetch < self.rows.stored:
                        unsure.append(number)
            waiting, fetch = unsure, fetch * 4
        return [found[number] for number in range(len(queries))]

    def _refined(
        self, query: NDArray[np.float32], slots: NDArray[np.int64], products: NDArray[np.float32], top_k: int
    ) -> tuple[Found, bool]:
        """The best of what was proposed, and whether nothing that was left out can be better."""
        if np.isnan(products).any():
            position = self.rows.owners[slots[np.isnan(products)][0]]
            raise InvalidData(f"the stored vector at position {position} is not finite: index the pictures again")
        is_allowed = products > -np.inf
        slots = slots[is_allowed]
        scores = row_scores(self.rows.take_slots(slots), query)
        positions = self.rows.owners[slots].astype(np.int64)
        order = best(scores, positions, top_k)
        slack = margin(query) + (_HALF * float(np.linalg.norm(query)) if self._is_half else 0.0)
        is_certain = not slots.size or not is_allowed.all() or bool(products.min() + slack < scores[order[-1]])
        return (positions[order], scores[order]), is_certain

    def _nearest(
        self, queries: NDArray[np.float32], fetch: int, mask: NDArray[np.bool_] | None
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """For each query the slots of its `fetch` best rows and their products, -inf for what may not be returned."""
        import torch

        lengths = np.linalg.norm(queries, axis=1, keepdims=True)  # a long query would leave the range of float16
        given = torch.from_numpy(queries / lengths).to(self.device, torch.float16 if self._is_half else torch.float32)
        slots = torch.empty((len(queries), 0), dtype=torch.int64, device=self.device)
        products = torch.empty((len(queries), 0), device=self.device)
        with torch.inference_mode():
            for slot, block in self._blocks():
                table = (given @ block.to(given.dtype).T).float()
                forbidden = self._forbidden(slot, len(block), mask)
                if forbidden is not None:
                    table.masked_fill_(forbidden, -torch.inf)
                values, rows = table.topk(min(fetch, len(block)), dim=1, sorted=False)
                slots, products = torch.cat([slots, rows + slot], 1), torch.cat([products, values], 1)
                products, order = products.topk(min(fetch, products.shape[1]), dim=1)
                slots = slots.gather(1, order)
        return list(zip(slots.cpu().numpy(), products.cpu().numpy() * lengths, strict=True))

    def _forbidden(self, slot: int, count: int, mask: NDArray[np.bool_] | None) -> torch.Tensor | None:
        import torch

        if mask is None and self.rows.stored == self.rows.n:
            return None
        owners = self.rows.owners[slot : slot + count]
        return torch.from_numpy((owners < 0) if mask is None else (owners < 0) | ~mask[owners]).to(self.device)

    def _blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """All slots in blocks on the device: kept there on a GPU with room, else carried over each time."""
        with self._lock:
            if self._kept is None and self._fits():
                self._kept = [(slot, block.clone()) for slot, block in self._carried()]
        yield from self._carried() if self._kept is None else self._kept

    def _fits(self) -> bool:
        import torch

        if self.device.type != "cuda":
            return False  # the mapped files are memory already
        free, _ = torch.cuda.mem_get_info(self.device)
        return self.rows.stored * self.rows.dim * 2 + _SPARE <= free

    def _carried(self) -> Iterator[tuple[int, torch.Tensor]]:
        import torch

        staging: Any = torch.empty((_ROWS, self.rows.dim), dtype=torch.float16, pin_memory=self.device.type == "cuda")
        for slot, matrix in self.rows.stored_blocks(0, _ROWS):
            staging.numpy()[: len(matrix)] = matrix
            yield slot, staging[: len(matrix)].to(self.device)
