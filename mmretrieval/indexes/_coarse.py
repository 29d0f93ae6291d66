"""What all coarse indexes share: FAISS codes propose rows, the float16 rows decide.

The codes stand on slots, so upserts and deletions need no rebuild: a slot whose row is dead is passed over, and rows
written since the codes were made are scanned exactly and join in. The answer is therefore always the true scores of
rows that live, in the right order; what a coarse index can do wrong is to miss a row, and how often it does is measured
when it is tuned. Where it would miss too much, in few rows or behind a narrow filter, exact search answers instead.
"""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.indexes import _cache
from mmretrieval.indexes._scan import Span, among, scan
from mmretrieval.indexes._views import bitmap
from mmretrieval.protocols import Index
from mmretrieval.vectors import allowed, best, legal_queries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.segments import Rows

    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

Report = Callable[[str, int, int], None]  # what is being done, how much of it, out of how much

log = logging.getLogger(__name__)

LEAST_ROWS = 4096  # with fewer nothing is gained, and the codes have too little to be trained on
_ROWS = 32_768  # rows handed to FAISS at once while building; 64 MiB at 512 numbers


class Effort(NamedTuple):
    """How hard a search tries: lists or graph nodes looked at, and rows proposed for a result of up to ten."""

    reach: int
    fetch: int


@dataclass(slots=True)
class _Loaded:
    index: Any
    effort: Effort

    @property
    def slots(self) -> int:
        return int(self.index.ntotal)


class Coarse(Index):
    """Codes of FAISS over the first slots of the rows, refined exactly; see the subclasses for the codes."""

    least_rows: ClassVar[int] = LEAST_ROWS
    always_exact: int = 20_000  # allowed rows up to which a filtered query is answered exactly, in milliseconds
    narrow: float = 0.05  # and the share of all rows up to which it is
    training_rows: ClassVar[int] = 65_536  # drawn at random from all rows, since files may be sorted

    def __init__(self, rows: Rows, cache: Path | None = None) -> None:
        super().__init__(rows, cache)
        self._loaded: _Loaded | None = None
        self._tried = False
        self._lock = Lock()

    # What a family of codes says about itself

    @property
    def spec(self) -> str:
        """The kind with its settings, as `specs` reads it; settings that are the default are left out."""
        return self.name

    @abstractmethod
    def recipe(self, n: int, dim: int) -> str:
        """FAISS's factory string for `n` rows of `dim` numbers."""

    @classmethod
    @abstractmethod
    def bytes_per_row(cls, dim: int) -> float:
        """Bytes of the index per row, about, where no settings are given."""

    @abstractmethod
    def reaches(self) -> list[int]:
        """Values of `Effort.reach` to try, rising; the last one looks at everything, or nearly."""

    @abstractmethod
    def parameters(self, reach: int, selector: Any) -> Any:
        """FAISS's search parameters for a reach and a selector of slots, None for all."""

    def prepare_training(self, index: Any) -> None:
        """Settings of an untrained FAISS index, where the defaults cost too much."""

    # Searching

    def search(
        self,
        queries: NDArray[np.float32],
        top_k: int,
        *,
        within: NDArray[np.int64] | None = None,
        exclude: NDArray[np.int64] | None = None,
    ) -> list[Found]:
        """As in `Index`; scores are exact inner products, float32, but rows may be missed.

        Every query is answered on its own, so it gets the same answer alone and among others, and as many rows are
        proposed for any `top_k` of the same power of ten, so a shorter result is the beginning of a longer one.
        Raises InvalidData for a query that is zero, not finite or of another dimension, and for positions that do
        not exist; UsageError for `top_k` below 1.
        """
        if top_k < 1:
            raise UsageError(f"top_k is {top_k}: ask for at least one hit")
        queries = legal_queries(queries, self.rows.dim)
        mask = allowed(self.rows.n, within, exclude)
        count = self.rows.n if mask is None else int(np.count_nonzero(mask))
        loaded = self._ready()
        if loaded is None or count <= max(self.always_exact, self.narrow * self.rows.n, top_k):
            return scan(self.rows, queries, top_k, Span(0, mask))
        tails = scan(self.rows, queries, top_k, Span(loaded.slots, mask))
        selector, wider = self._selector(loaded, mask, count), math.sqrt(self.rows.n / count)
        effort = Effort(math.ceil(loaded.effort.reach * wider), loaded.effort.fetch * 10 ** _decades(top_k))
        found = []
        for query, tail in zip(queries, tails, strict=True):
            slots = self._proposed(loaded.index, query, effort, selector, mask)
            if len(slots) + len(tail[0]) < top_k:
                found.extend(scan(self.rows, query[None], top_k, Span(0, mask)))
            else:
                found.append(_joined(among(self.rows, slots, query, top_k), tail, top_k))
        return found

    def _selector(self, loaded: _Loaded, mask: NDArray[np.bool_] | None, count: int) -> Any:
        """None where so few rows are forbidden that proposing as many more is cheaper."""
        if mask is None or self.rows.n - count <= _FEW_FORBIDDEN:
            return None
        owners = self.rows.owners[: loaded.slots]
        return bitmap(mask[owners] & (owners >= 0))

    def _proposed(
        self, index: Any, query: NDArray[np.float32], effort: Effort, selector: Any, mask: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Slots of live and allowed rows that FAISS proposes."""
        forbidden = 0 if mask is None or selector is not None else self.rows.n - int(np.count_nonzero(mask))
        dead = self.rows.stored / max(self.rows.n, 1) if selector is None else 1.0
        fetch = min(math.ceil(effort.fetch * dead) + forbidden, int(index.ntotal))
        slots = self.propose(index, query[None], Effort(effort.reach, fetch), selector)[0]
        slots = slots[slots >= 0]
        positions = self.rows.owners[slots]
        may_be_found = positions >= 0
        if mask is not None:
            may_be_found &= mask[positions]
        live: NDArray[np.int64] = slots[may_be_found]
        return live

    def propose(self, index: Any, queries: NDArray[np.float32], effort: Effort, selector: Any) -> NDArray[np.int64]:
        """Slots that FAISS finds nearest, (q, fetch), best first by its codes; -1 where it found no more."""
        settings = self.parameters(effort.reach, selector)
        _, slots = index.search(queries, effort.fetch, params=settings)
        return np.asarray(slots, dtype=np.int64)

    # The FAISS index behind it

    def _ready(self) -> _Loaded | None:
        with self._lock:
            if not self._tried and self.rows.n >= LEAST_ROWS:
                self._loaded = self._load()
            self._tried = True
            return self._loaded

    def _load(self) -> _Loaded | None:
        cure = f"exact search answers instead; build it with: mmretrieval index … --index-kind {self.spec}"
        try:
            kept = self._kept()
        except InvalidData as error:
            log.warning("%s: %s", error, cure)
            return None
        if kept is None:
            log.warning("there is no index of kind '%s' over these vectors: %s", self.spec, cure)
            return None
        index, told = kept
        return _Loaded(index, Effort(*told["effort"]))

    @property
    def _file(self) -> str:
        return self.spec.replace(":", "-")  # which no file on Windows may have in its name

    def _kept(self, *, mapped: bool = True) -> tuple[Any, dict[str, Any]] | None:
        return None if self.cache is None else _cache.load(self.cache, self._file, self.rows, mapped=mapped)

    def is_built(self) -> bool:
        """Whether there is an index to search with; nothing is logged."""
        try:
            return self._kept() is not None
        except InvalidData:
            return False

    def untrained(self) -> Any:
        """A FAISS index by the recipe, empty, for inner products."""
        import faiss

        recipe = self.recipe(self.rows.n, self.rows.dim)
        return faiss.index_factory(self.rows.dim, recipe, faiss.METRIC_INNER_PRODUCT)

    def build(self, report: Report | None = None) -> Any:
        """A FAISS index, trained on a random sample, over all rows, added in blocks.

        Memory stays at the index itself, the sample and one block. Raises UsageError for too few rows.
        """
        if self.rows.n < LEAST_ROWS:
            raise UsageError(f"{self.rows.n} rows are too few for '{self.spec}': use the index 'exact'")
        index = self.untrained()
        self.prepare_training(index)
        index.train(self.sample(self.training_rows))
        self._add(index, report)
        return index

    def extend(self, report: Report | None = None) -> int:
        """Add the rows written since to the index that was kept, without training anew; returns its bytes.

        Raises InvalidData where there is none that fits, OSError, or RuntimeError from FAISS, where the disk refuses.
        """
        kept = self._kept(mapped=False)
        if kept is None:
            raise InvalidData(f"there is no index of kind '{self.spec}' to add to: build it")
        index, told = kept
        self._add(index, report)
        return self.adopt(index, Effort(*told["effort"]))

    def _add(self, index: Any, report: Report | None) -> None:
        for slot, matrix in self.rows.stored_blocks(int(index.ntotal), _ROWS):
            index.add(matrix.astype(np.float32))
            if report is not None:
                report("adding vectors to the index", slot + len(matrix), self.rows.stored)

    def sample(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """Up to `count` live rows drawn at random, in the order of their slots."""
        rng = np.random.default_rng(seed)
        positions = rng.choice(self.rows.n, size=min(count, self.rows.n), replace=False)
        return self.rows.take_slots(np.sort(self.rows.slots(positions))).astype(np.float32)

    def adopt(self, built: Any, effort: Effort) -> int:
        """Search from now on with a FAISS index that `build` made, and save it; returns its bytes, 0 without a cache.

        Raises OSError, or RuntimeError from FAISS, where the disk refuses.
        """
        with self._lock:
            self._loaded, self._tried = _Loaded(built, effort), True
        if self.cache is None:
            return 0
        return _cache.save(self.cache, self._file, self.rows, built, {"effort": list(effort)})


_FEW_FORBIDDEN = 200  # rows


def _joined(one: Found, other: Found, top_k: int) -> Found:
    """The best of two results over different rows."""
    positions, scores = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
    order = best(scores, positions, top_k)
    return positions[order], scores[order]


def _decades(top_k: int) -> int:
    """How many powers of ten a result is longer than the ten hits that the effort was tuned for."""
    return max(math.ceil(math.log10(top_k)) - 1, 0)
