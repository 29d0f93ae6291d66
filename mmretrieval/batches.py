"""From files that were read to committed records: one batch, one append to the vectors, one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.changes import Changes
from mmretrieval.errors import InvalidData
from mmretrieval.ledger import DUPLICATE, INDEXED, SKIPPED, FileRow
from mmretrieval.looking import Place, Seen
from mmretrieval.plan import Plan, Task, same_bytes_as
from mmretrieval.protocols import Encoder
from mmretrieval.segments import ROW_TYPE, Segment, append_rows, read_row
from mmretrieval.storage import writing
from mmretrieval.vectors import half_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

_UNIT_WITHIN = 1e-2  # bf16 keeps lengths to less than that
_LINES_PER_PICTURE = 16  # a commit is due after that many lines of the ledger for each picture of a batch


class Batches:
    """Takes what was read, in order, and commits it batch by batch."""

    def __init__(self, catalog: Catalog, index: Path, encoder: Encoder, batch_size: int) -> None:
        self.catalog, self.index, self.encoder, self.batch_size = catalog, index, encoder, batch_size
        self.counts: Counter[str] = Counter()
        self.plan = Plan()
        self.is_folder = True
        self._known: dict[bytes, Place] = {}
        last = catalog.rows("SELECT number, rows FROM segments WHERE channel = 'image' ORDER BY number DESC LIMIT 1")
        self._last = Segment(*last[0]) if last else None
        self._clear()

    def _clear(self) -> None:
        self.changes = Changes()
        self._fresh: Counter[str] = Counter()
        self._images: dict[str, Image] = {}  # by id
        self._copies: dict[str, Place | str] = {}  # id: where its vector lies, or the id of this batch that has it
        self._hashes: dict[bytes, str] = {}  # of this batch's pictures
        self._taken: dict[str, tuple[Task, Seen]] = {}  # by id

    @property
    def known(self) -> Mapping[bytes, Place]:
        """Where a vector of a content lies, for all committed records once there is something to read."""
        return self._known

    def _learn_known(self) -> None:
        found = self.catalog.rows(
            "SELECT hash, segment, row FROM files JOIN records ON records.id = files.id JOIN vectors"
            " ON record = number WHERE state = 'indexed' AND channel = 'image'"
        )
        self._known.update((content, (segment, row)) for content, segment, row in found)

    def begin(self, plan: Plan, *, is_folder: bool) -> None:
        """Commits what the plan settles without reading anything."""
        self.plan, self.is_folder = plan, is_folder
        if plan.tasks:
            self._learn_known()
        if plan.changes:
            plan.changes.apply(self.catalog)
        self.counts.update(unchanged=plan.unchanged, moved=plan.moved)

    def finish(self) -> None:
        """Takes out the records whose pictures are gone, and what is left over in the ledger."""
        changes = Changes(dropped_files=set(self.plan.leftover), removed=set(self.plan.gone))
        if changes:
            changes.apply(self.catalog)
        self.counts["removed"] += len(changes.removed)

    def add(self, task: Task, seen: Seen) -> None:
        """Decides what becomes of a file, and commits when the batch is full."""
        if seen.reason:
            self._refuse(task, seen)
        elif task.row is not None and task.row.hash == seen.hash:
            self._same(task, task.row, seen)
        elif not (self.is_folder and self._belongs_to_another(task, seen)):
            self._take(task, seen)
        if len(self._images) >= self.batch_size or len(self.changes.files) >= self.batch_size * _LINES_PER_PICTURE:
            self.commit()

    def _line(self, task: Task, seen: Seen, state: str, reason: str, record_id: str) -> None:
        row = FileRow(task.key, task.path, seen.size, seen.mtime_ns, seen.hash, state, reason, record_id)
        self.changes.files[task.key] = row

    def _refuse(self, task: Task, seen: Seen) -> None:
        self._line(task, seen, SKIPPED, seen.reason, "")
        self._lose(task)
        if self.plan.owners.get(seen.hash) == task.id:
            del self.plan.owners[seen.hash]

    def _lose(self, task: Task) -> None:
        if task.row is not None:
            self.changes.removed.add(task.id)
            self._fresh["removed"] += 1

    def _same(self, task: Task, row: FileRow, seen: Seen) -> None:
        self._line(task, seen, INDEXED, row.reason, task.id)
        self._fresh["unchanged" if row.path == task.path else "moved"] += 1
        if not self.is_folder:
            self.changes.records[task.id] = task.path, task.caption, task.meta

    def _belongs_to_another(self, task: Task, seen: Seen) -> bool:
        """Whether another record has, or had, the same bytes."""
        owner = self.plan.owners.get(seen.hash)
        if owner == task.id:
            return False
        if owner is not None:
            self._line(task, seen, DUPLICATE, same_bytes_as(owner), owner)
            self._lose(task)
            return True
        heir = self.plan.move(seen.hash, task.path, self.changes) if task.row is None else None
        if heir is None:
            return False
        self._line(task, seen, INDEXED, seen.note, heir)
        self._fresh["moved"] += 1
        return True

    def _take(self, task: Task, seen: Seen) -> None:
        self._line(task, seen, INDEXED, seen.note, task.id)
        self.changes.records[task.id] = task.path, task.caption, task.meta
        self.plan.owners.setdefault(seen.hash, task.id)
        self._fresh["indexed"] += 1
        self._taken[task.id] = task, replace(seen, image=None)
        if seen.hash in self._known:
            self._copies[task.id] = self._known[seen.hash]
        elif seen.hash in self._hashes:
            self._copies[task.id] = self._hashes[seen.hash]
        else:
            assert seen.image is not None, "a picture whose bytes are not known was decoded"
            self._images[task.id] = seen.image
            self._hashes[seen.hash] = task.id

    def commit(self) -> None:
        """Encodes the batch, writes its vectors, then its records. Raises StorageError when the disk refuses."""
        if not self.changes:
            return
        vectors = self._encode()
        for record_id, place in self._copies.items():
            vectors[record_id] = vectors[place] if isinstance(place, str) else self._stored(place)
        good = {record_id: vector for record_id, vector in vectors.items() if vector is not None}
        for record_id in vectors.keys() - good.keys():
            self._give_up(record_id)
        segments: list[Segment] = []
        places: dict[str, NDArray[np.int64]] = {}
        if good:
            with writing(self.index):
                segments, at = append_rows(self.index, "image", self._last, np.stack(list(good.values())))
            places = dict(zip(good, at, strict=True))
        self.changes.apply(self.catalog, "image", segments, places)
        self._last = segments[-1] if segments else self._last
        self._known |= {content: _place(places[id_]) for content, id_ in self._hashes.items() if id_ in places}
        self.counts.update(self._fresh)
        self._clear()

    def _encode(self) -> dict[str, NDArray[np.float16] | None]:
        """Unit rows by id; None for a picture of which the encoder makes nothing usable."""
        if not self._images:
            return {}
        matrix = np.asarray(self.encoder.encode_images(list(self._images.values())), dtype=np.float32)
        if matrix.shape != (len(self._images), self.encoder.dim):
            raise InvalidData(
                f"the encoder '{self.encoder.spec}' gave vectors of shape {matrix.shape} for {len(self._images)} "
                f"pictures, where {self.encoder.dim} numbers each are needed"
            )
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
        usable = np.isfinite(lengths) & (lengths > 0)
        if (np.abs(lengths[usable] - 1) > _UNIT_WITHIN).any():
            raise InvalidData(f"the encoder '{self.encoder.spec}' gave rows that are not of length 1, as they must be")
        rows = iter(half_rows(matrix[usable]))
        return {id_: next(rows).astype(ROW_TYPE) if usable[at] else None for at, id_ in enumerate(self._images)}

    def _stored(self, place: Place) -> NDArray[np.float16]:
        with writing(self.index):
            return read_row(self.index, "image", *place, self.encoder.dim)

    def _give_up(self, record_id: str) -> None:
        task, seen = self._taken[record_id]
        del self.changes.records[record_id]
        self._fresh["indexed"] -= 1
        self._refuse(task, replace(seen, reason="the encoder makes no usable vector of it"))


def _place(place: NDArray[np.int64]) -> Place:
    return int(place[0]), int(place[1])
