"""Brings an index folder up to date with a folder of pictures: scan, decode, encode, commit.

The next pictures are decoded in a few threads while the encoder works. A batch is appended to the vector segment,
forced to disk and then committed in one transaction; a run that is killed loses at most the batch in hand, and the
next run goes on from there. The ledger is the truth about files: what a report says about duplicates and skipped
files is read from it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmretrieval.batches import Batches
from mmretrieval.catalog import Catalog
from mmretrieval.compaction import tidy
from mmretrieval.creation import VECTORS, check_empty, create_index, encoder_facts, root_facts
from mmretrieval.errors import FingerprintMismatch, NotFound, UsageError
from mmretrieval.ledger import read_ledger
from mmretrieval.lock import sole_writer
from mmretrieval.lookahead import look_ahead
from mmretrieval.looking import Reader
from mmretrieval.manifest import DEFAULT_NAME, Entry, read_manifest
from mmretrieval.plan import Plan, by_path, plan_folder, plan_manifest
from mmretrieval.protocols import Encoder
from mmretrieval.quiet import quiet_pillow
from mmretrieval.roots import root_candidates
from mmretrieval.scan import look_below, scan

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. While it looks for pictures, `stage` is "scan" and `total` 0; then it is "index"."""

    stage: str
    done: int
    total: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that should have been indexed and could not be, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a run did.

    `indexed` pictures are new or changed, `moved` ones kept id and vector at another path, `removed` ones are no
    longer there or no longer readable. `duplicates` and `skipped` are all of those in the index now, also from earlier
    runs. In a manifest duplicates are records of their own and counted under the other words, too.
    """

    indexed: int
    unchanged: int
    moved: int
    removed: int
    duplicates: int
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    seconds: float
    interrupted: bool
    captions: int = 0  # encoded in this run

    def to_dict(self) -> dict[str, Any]:
        return {
            "indexed": self.indexed,
            "unchanged": self.unchanged,
            "moved": self.moved,
            "removed": self.removed,
            "duplicates": self.duplicates,
            "skipped": [{"path": each.path, "reason": each.reason} for each in self.skipped],
            "warnings": list(self.warnings),
            "captions": self.captions,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
        }


def index(
    source: Path,
    index: Path,
    *,
    encoder: Encoder,
    manifest: Path | None = None,
    batch_size: int = 64,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Makes the index folder, or brings it up to date, with the pictures under `source`.

    Without `manifest`, `source/manifest.jsonl` is used if it is there, else the folder is searched. Files that cannot
    be read are skipped and reported, never fatal. `stop` is asked before every picture; when it says True, or at
    Ctrl-C, the batch in hand is dropped and the report says `interrupted`.

    Raises NotFound without the source, UsageError for folders that cannot go together, InvalidData for a broken
    manifest, FingerprintMismatch for another encoder than the index was made with, IndexLocked while another process
    writes, StorageError when the disk refuses. What was committed before an error is kept.
    """
    began = time.monotonic()
    source, index = Path(source), Path(index)
    _check_places(source, index)
    if manifest is None and (source / DEFAULT_NAME).is_file():
        manifest = source / DEFAULT_NAME
    entries = None if manifest is None else read_manifest(Path(manifest))
    with sole_writer(index), quiet_pillow():
        if not Catalog.exists(index):
            check_empty(index)
            by_id = sorted(entries or (), key=lambda entry: entry.id)
            made_with = encoder_facts(encoder, [entry.caption for entry in by_id])
            place = {"source": "folder", "is_drawn": _is_drawn(entries), **root_facts(source, index)}
            create_index(index, encoder.dim, {**made_with, **place})
        with closing(Catalog.open_writer(index)) as catalog:
            run = _Run(catalog, source, index, encoder, batch_size, progress, stop)
            run.go(entries)
            return run.report(time.monotonic() - began)


class _Run:
    def __init__(
        self,
        catalog: Catalog,
        source: Path,
        index: Path,
        encoder: Encoder,
        batch_size: int,
        progress: Callable[[Progress], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.catalog, self.index, self.root = catalog, index, source.resolve()
        self.meta = catalog.meta()
        _check_source(self.meta, index)
        check_encoder(encoder, self.meta, index)
        _check_root(self.root, self.meta, index)
        self.batches = Batches(catalog, index, encoder, batch_size)
        self.reader = Reader(self.root, encoder.input_size, self.batches.known)
        self.window = batch_size  # as many again are held by the batch in hand
        self.progress = progress or (lambda _: None)
        self.stop = stop or (lambda: False)
        self.warnings: list[str] = []
        self.interrupted = False

    def go(self, entries: Sequence[Entry] | None) -> None:
        """The whole run; Ctrl-C ends it between two transactions."""
        try:
            self.progress(Progress("scan", 0, 0))
            plan = self._plan(entries)
            self._settle_facts(plan, entries)
            self.batches.begin(plan, is_folder=entries is None)
            self._read(plan)
            if not self.interrupted:
                self.batches.finish()
                if self.batches.counts["indexed"] or self.batches.counts["removed"]:
                    self.warnings += tidy(self.catalog, self.index)
        except KeyboardInterrupt:
            _log.info("stopped by the keyboard; what was committed is kept")
            self.interrupted = True

    def _plan(self, entries: Sequence[Entry] | None) -> Plan:
        ledger = read_ledger(self.catalog)
        if entries is None:
            found = scan(self.root, self.index.resolve(), by_path(ledger))
            return plan_folder(found, ledger, lambda paths: self.reader.digests(self._unless_stopped(paths)))
        stored = {
            record_id: (caption, meta)
            for record_id, caption, meta in self.catalog.rows("SELECT id, COALESCE(given, caption), meta FROM records")
        }
        return plan_manifest(entries, ledger, look_below(self.root), stored)

    def _unless_stopped(self, paths: Iterable[str]) -> Iterator[str]:
        """Half a plan is none: a stop while files are compared ends the run as Ctrl-C would."""
        for path in paths:
            if self.stop():
                raise KeyboardInterrupt
            yield path

    def _settle_facts(self, plan: Plan, entries: Sequence[Entry] | None) -> None:
        facts = {
            "source": "folder" if entries is None else "manifest",
            "is_drawn": _is_drawn(entries),
            **root_facts(self.root, self.index),
        }
        plan.changes.facts = {name: value for name, value in facts.items() if self.meta.get(name) != value}

    def _read(self, plan: Plan) -> None:
        total = len(plan.tasks)
        self.progress(Progress("index", 0, total))
        with closing(look_ahead(plan.tasks, self.reader.look, self.window)) as looks:
            for done, (task, look) in enumerate(looks, start=1):
                if self.stop():
                    self.interrupted = True
                    return
                self.batches.add(task, look)
                self.progress(Progress("index", done, total, task.path))
        self.batches.commit()

    def report(self, seconds: float) -> IndexReport:
        """From the counts of this run and the ledger as it is now."""
        counts = self.batches.counts
        skipped = self.catalog.rows("SELECT path, reason FROM files WHERE state = 'skipped' ORDER BY path, key")
        ((records,),) = self.catalog.rows("SELECT COUNT(*) FROM records")
        if not records and not self.interrupted:
            self.warnings.append(f"{self.root}: no picture was found that can be searched")
        return IndexReport(
            indexed=counts["indexed"],
            unchanged=counts["unchanged"],
            moved=counts["moved"],
            removed=counts["removed"],
            duplicates=self._duplicates(),
            skipped=tuple(Skipped(path, reason) for path, reason in skipped),
            warnings=tuple(self.warnings),
            seconds=seconds,
            interrupted=self.interrupted,
        )

    def _duplicates(self) -> int:
        if self.batches.is_folder and not self.interrupted:  # there every content has one record
            return int(self.catalog.rows("SELECT COUNT(*) FROM files WHERE state = 'duplicate'")[0][0])
        ((files, more_records),) = self.catalog.rows(
            "SELECT SUM(state = 'duplicate'), SUM(state = 'indexed') - COUNT(DISTINCT CASE state WHEN 'indexed' THEN"
            " hash END) FROM files"
        )
        return (files or 0) + (more_records or 0)


def _check_places(source: Path, index: Path) -> None:
    if not source.is_dir():
        raise NotFound(f"{source}: there is no such folder of pictures")
    if index.exists() and not index.is_dir():
        raise UsageError(f"{index}: a file, not a folder; give the index a folder of its own")
    here, there = source.resolve(), index.resolve()
    if here == there or here.is_relative_to(there):
        raise UsageError(f"{index}: the index folder holds the pictures; give the index a folder of its own")


def _check_source(meta: dict[str, Any], index: Path) -> None:
    if meta["source"] == VECTORS:
        raise UsageError(f"{index}: made from ready vectors; index pictures into a folder of their own")


def check_encoder(encoder: Encoder, meta: dict[str, Any], index: Path) -> None:
    """Raises FingerprintMismatch when the encoder is another one than made the vectors."""
    ours = json.loads(json.dumps(dict(encoder.fingerprint)))  # as JSON gives it back: tuples are lists there
    theirs = meta["fingerprint"]
    if ours != theirs:
        names = ", ".join(sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)))
        raise FingerprintMismatch(
            f"{index}: made with the encoder '{meta['encoder']}', and '{encoder.spec}' differs in: {names}; "
            f"use '{meta['encoder']}' as it was, or index into a new folder"
        )


def _check_root(root: Path, meta: dict[str, Any], index: Path) -> None:
    """Another source would take all pictures of the first one out again; a first one that is gone was renamed."""
    old = root_candidates(index, meta)
    if root not in old and any(folder.is_dir() for folder in old):
        raise UsageError(
            f"{index}: holds the pictures of {meta['root']}; index {root} into a folder of its own, or move the "
            "pictures below one folder and index that"
        )


def _is_drawn(entries: Sequence[Entry] | None) -> bool:
    """Whether a manifest is one of the drawn world: it tells the facts of every scene."""
    return bool(entries) and all(
        "facts" in meta and meta.get("domain") in ("food", "nature")
        for meta in (json.loads(entry.meta) for entry in entries or ())
    )
