"""An opened index folder: its records, vectors and pictures at one moment.

Opening takes a snapshot: what a writer commits afterwards is not seen until `refresh`. The snapshot is a read
transaction of SQLite that stays open, so while a program keeps one and another writes, the write-ahead log cannot be
folded back and grows by about a kilobyte per picture; a program that runs for days should call `refresh` now and then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmretrieval.catalog import Catalog, folder_bytes
from mmretrieval.creation import VECTORS
from mmretrieval.described import Described
from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.features import count_features
from mmretrieval.filters.fields import FieldUse
from mmretrieval.filters.matching import Filters
from mmretrieval.lexicon import Lexicon
from mmretrieval.order import Order, version_of
from mmretrieval.roots import find_root
from mmretrieval.segments import Rows, Segment, map_segment

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_TRIES = 5


class Collection(Described):
    """Records with their vectors, read only. Use it as a context manager, or close it. Safe to use from many threads.

    `ids` are sorted; position p of any `Rows` belongs to `ids[p]`.
    """

    def __init__(self, index: Path, catalog: Catalog) -> None:
        """Use `Collection.open`."""
        self.index = index
        self._catalog = catalog
        self._meta = catalog.meta()
        self._dims: dict[str, int] = dict(catalog.rows("SELECT name, dim FROM channels"))
        # Mapped at once, since a later writer may replace segment files; what is mapped stays readable.
        self._segments = {channel: self._map(channel, dim) for channel, dim in self._dims.items()}
        self._rows: dict[str, Rows] = {}
        self._order = Order(catalog, version_of(self._meta))

    @classmethod
    def open(cls, index: Path | str) -> Collection:
        """The newest committed state. Needs no write permission and never waits for a writer.

        Raises NotFound without an index, InvalidData for a damaged one or one of a newer version.
        """
        index = Path(index)
        for _ in range(_TRIES):
            catalog = Catalog.open_snapshot(index)
            try:
                return cls(index, catalog)
            except FileNotFoundError:  # segments were compacted between the snapshot and the mapping
                catalog.close()
            except BaseException:
                catalog.close()
                raise
        raise InvalidData(f"{index}: vector files named by the catalogue are missing; index again into a new folder")

    def _map(self, channel: str, dim: int) -> list[tuple[int, NDArray[np.float16]]]:
        found = self._catalog.rows("SELECT number, rows FROM segments WHERE channel = ? ORDER BY number", [channel])
        return [(number, map_segment(self.index, channel, Segment(number, rows), dim)) for number, rows in found]

    # What the index was made with

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The fingerprint of the encoder that made the vectors."""
        fingerprint: dict[str, Any] = self._meta["fingerprint"]
        return fingerprint

    @property
    def encoder_spec(self) -> str:
        """The name the encoder was asked for by."""
        return str(self._meta["encoder"])

    @property
    def is_drawn(self) -> bool:
        """Whether all pictures come from the drawn world, which the demo model knows."""
        return bool(self._meta["is_drawn"])

    @property
    def plan(self) -> dict[str, Any]:
        """What `planner.prepare` chose for the pictures' vectors; empty where it never ran."""
        plan: dict[str, Any] = self._meta.get("first_stage", {})
        return plan

    @property
    def text_mean(self) -> NDArray[np.float32]:
        """Mean of encoded texts of the day of creation: captions of the collection, else neutral sentences, (dim,)."""
        return np.array(self._meta["text_mean"], dtype=np.float32)

    def canaries(self) -> Mapping[str, Any]:
        """Vectors of fixed pictures and texts, measured when the index was created, for `canary.check`."""
        canaries: dict[str, Any] = self._meta["canaries"]
        return canaries

    # Files

    def files(self) -> Iterator[dict[str, Any]]:
        """The ledger: for every file or manifest entry its path, state, reason and id, sorted by path.

        States: indexed (the reason is a note, or empty), duplicate (`id` is the picture with the same bytes), skipped
        (should have been indexed and could not), ignored (no picture). A skipped or ignored file has no id, except
        for the one that a manifest gives it.
        """
        listed = self._meta["source"] == "manifest"
        for key, path, state, reason, record_id in self._catalog.rows(
            "SELECT key, path, state, reason, id FROM files ORDER BY path, key"
        ):
            yield {"path": path, "state": state, "reason": reason, "id": key if listed else record_id}

    # Words

    def lexical(
        self, text: str, top_k: int | None = None, within: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions of the records with a word of the text, and their BM25 scores; see `Lexicon.find`."""
        return self.lexicon.find(self.lexicon.words(text), top_k, within=within)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The words of captions and metadata."""
        return Lexicon(self._catalog, self._numbers)

    @property
    def caption_facts(self) -> Mapping[str, Any]:
        """What encoded the channel "caption": "encoder" and "fingerprint"; empty without that channel."""
        facts: dict[str, Any] = self._meta.get("captions", {})
        return facts

    @property
    def blend(self) -> Mapping[str, float]:
        """The weights of the channels in a blend that were fitted for this collection; empty before that."""
        weights: dict[str, float] = self._meta.get("blend", {}).get("weights", {})
        return weights

    # Filters

    @cached_property
    def filters(self) -> Filters:
        """What filters keep of this snapshot."""
        return Filters(self._catalog, self._order, self.version, self.index / "cache")

    def matching(self, expression: str) -> NDArray[np.int64]:
        """Positions of the records that a filter keeps, rising; see `filters` for the language and the costs.

        Raises FilterError for text that is no filter, UsageError for a field that no record has.
        """
        return self.filters.matching(expression)

    def fields(self) -> tuple[FieldUse, ...]:
        """The fields that a filter can name, with the kinds of their values."""
        return self.filters.fields

    # Pictures

    @cached_property
    def root(self) -> Path:
        """The folder the pictures lie in: as seen from the index folder, or where it was when they were indexed.

        Raises NotFound for an index of ready vectors that was told of no pictures.
        """
        sample = self._catalog.rows("SELECT path FROM records WHERE path != '' LIMIT 1")
        return find_root(self.index, self._meta, [path for (path,) in sample])

    def path(self, record_id: str) -> Path:
        return self.root / self.record(record_id).path

    def open_image(self, record_id: str, *, min_side: int | None = None) -> Image:
        """The picture, upright RGB, as `images.open_image` gives it; raises NotFound or UnreadableImage."""
        from mmretrieval.images import open_image

        record = self.record(record_id)
        if not record.path:
            raise NotFound(f"{self.index}: '{record_id}' has a vector and no picture that could be opened")
        return open_image(self.root / record.path, shown=record.path, min_side=min_side)

    # Vectors

    @property
    def channels(self) -> frozenset[str]:
        """The families of vectors this index holds."""
        return frozenset(self._dims)

    def rows(self, channel: str = "image") -> Rows:
        """All vectors of a channel; raises NotFound for an unknown channel.

        Position p of "image" belongs to `ids[p]`; in other channels not every record has a row, see `members`.
        """
        if channel not in self._dims:
            have = ", ".join(sorted(self._dims))
            raise NotFound(f"{self.index}: there is no channel '{channel}'; this index has: {have}")
        if channel not in self._rows:
            self._rows[channel] = Rows(
                self._segments[channel],
                self._order.places(channel) if channel == "image" else self._order.some(channel)[1],
                dim=self._dims[channel],
                name=f"{self._meta['uid']} {channel}",
            )
        return self._rows[channel]

    def members(self, channel: str) -> NDArray[np.int64]:
        """Which positions have a row in the channel, rising: row r of `rows(channel)` belongs to `ids[members[r]]`."""
        return np.arange(self.count) if channel == "image" else self._order.some(channel)[0]

    def vectors(self, channel: str, ids: Sequence[str]) -> NDArray[np.float32]:
        """Stored rows, (len(ids), dim), in the order of `ids`; unit up to the rounding of float16.

        Raises NotFound for an unknown id, and for a record without a row in this channel.
        """
        rows, positions = self.rows(channel), np.array([self.position(each) for each in ids], dtype=np.int64)
        if channel != "image":
            members = self.members(channel)
            positions, wanted = np.searchsorted(members, positions), positions
            for record_id, row, position in zip(ids, positions, wanted, strict=True):
                if row == len(members) or members[row] != position:
                    raise NotFound(f"{self.index}: '{record_id}' has nothing in the channel '{channel}'")
        return rows.take(positions)

    @cached_property
    def image_mean(self) -> NDArray[np.float32]:
        """Mean of all image rows, (dim,); zeros for an empty collection.

        Sums of float16 numbers are exact in float64, so it does not depend on the order in which rows were written.
        """
        rows = self.rows("image")
        total = np.zeros(rows.dim, dtype=np.float64)
        for _, matrix in rows.blocks(8192):
            total += matrix.sum(axis=0, dtype=np.float64)
        return (total / max(rows.n, 1)).astype(np.float32)

    # The whole

    def info(self) -> dict[str, Any]:
        """What `mmretrieval info` shows: counts, encoder, bytes on disk, date, where the pictures lie, fingerprint."""
        states = dict(self._catalog.rows("SELECT state, COUNT(*) FROM files GROUP BY state"))
        if self._meta["source"] == VECTORS:
            states = {"indexed": self.count}
        return {
            "counts": {
                "records": self.count,
                **{state: states.get(state, 0) for state in ("indexed", "duplicate", "skipped", "ignored")},
            },
            "encoder": self.encoder_spec,
            "channels": {channel: {"dim": self._dims[channel], "rows": self.rows(channel).n} for channel in self._dims},
            "bytes": folder_bytes(self.index),
            "created": self._meta["created"],
            "format": self._meta["format"],
            "source": self._meta["source"],
            "root": str(self.root) if self._meta["root"] else "",
            "is_drawn": self.is_drawn,
            "features": count_features(self._catalog),
            "fingerprint": dict(self.fingerprint),
        }

    @property
    def version(self) -> str:
        """Which index in which state; equal versions mean equal contents."""
        return version_of(self._meta)

    def refresh(self) -> Collection:
        """The newest snapshot: itself when nothing was committed since, else a new one; the old one stays usable."""
        newest = Collection.open(self.index)
        if newest.version == self.version:
            newest.close()
            return self
        return newest

    def close(self) -> None:
        """Ends the snapshot. Rows that were already taken stay usable."""
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
