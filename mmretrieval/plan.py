"""Compares what is there with the ledger: what can be settled at once, and which files have to be read.

A record is bound to its path (in a manifest, to its id). A file whose size and time of change are those of the ledger
is taken as unchanged. A picture is gone when its path is; another file with the same bytes takes its record over,
which is how a moved file keeps its id. In a folder, of several files with the same bytes one has a record, and the
others are its duplicates; a record that exists keeps its file, and otherwise the first path in sorted order wins. In
a manifest every id is a record of its own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mmretrieval.changes import Changes
from mmretrieval.ids import propose
from mmretrieval.ledger import DUPLICATE, INDEXED, LOOK_AGAIN, SKIPPED, FileRow
from mmretrieval.manifest import Entry
from mmretrieval.scan import Found, Scan

Digests = Callable[[Iterable[str]], Mapping[str, bytes]]

_TICK_NS = 50_000_000  # a second change within one tick of the clock would leave size and time as they are
_COARSE_NS = 2_000_000_000  # file systems that count whole seconds, or two
_AHEAD_NS = 3_600_000_000_000  # a file server's clock may run ahead; a time beyond that was set by hand, and proves


class Task(NamedTuple):
    """A file that has to be read: `row` is the ledger's line of the record bound to it, None for a new one."""

    key: str
    path: str
    id: str
    row: FileRow | None
    caption: str = ""
    meta: str = "{}"


@dataclass
class Plan:
    """`changes` may be committed before any picture is decoded; then come the `tasks`, and at last what is left over
    and the gone records are taken out.
    """

    changes: Changes = field(default_factory=Changes)
    tasks: list[Task] = field(default_factory=list)
    unchanged: int = 0
    moved: int = 0
    owners: dict[bytes, str] = field(default_factory=dict)  # content: the record that has it, its file is there
    gone: dict[str, FileRow] = field(default_factory=dict)  # id: a record whose file is not there
    leftover: set[str] = field(default_factory=set)  # keys of the ledger that nothing stands behind any more
    _heirless: dict[bytes, list[str]] | None = None  # content: ids of gone records, the first one last

    def settle(self, old: FileRow | None, new: FileRow) -> None:
        """Writes a line of the ledger if it is another one than before."""
        if old != new:
            self.changes.files[new.key] = new

    def move(self, content: bytes, path: str, changes: Changes) -> str | None:
        """Gives the file at `path` the gone record with these bytes, the first in sorted order; returns its id.

        None where there is no such record. It is gone no longer.
        """
        if self._heirless is None:
            self._heirless = defaultdict(list)
            for record_id in sorted(self.gone, reverse=True):
                self._heirless[self.gone[record_id].hash].append(record_id)
        if not self._heirless.get(content):
            return None
        record_id = self._heirless[content].pop()
        old = self.gone.pop(record_id)
        changes.paths[record_id] = path
        if old.key in self.leftover:
            self.leftover.remove(old.key)
            changes.dropped_files.add(old.key)
        self.owners[content] = record_id
        return record_id


def provable(mtime_ns: int, now_ns: int | None = None) -> int:
    """The time of change to remember: LOOK_AGAIN for one so recent that a further change could leave it as it is."""
    age = (time.time_ns() if now_ns is None else now_ns) - mtime_ns
    tick = _COARSE_NS if mtime_ns % 1_000_000_000 == 0 else _TICK_NS
    return LOOK_AGAIN if -_AHEAD_NS < age <= tick else mtime_ns


def same_bytes_as(record_id: str) -> str:
    """The reason in the ledger of a duplicate."""
    return f"same bytes as '{record_id}'"


def by_path(ledger: Sequence[FileRow]) -> dict[str, FileRow]:
    """The lines of the ledger by path; after a manifest several may share one, and the first record keeps it."""
    rows = {line.path: line for line in ledger}
    if len(rows) < len(ledger):
        last_first = sorted(ledger, key=lambda line: (line.state != INDEXED, line.id), reverse=True)
        rows = {line.path: line for line in last_first}
    return rows


def plan_folder(scan: Scan, ledger: Sequence[FileRow], digests: Digests) -> Plan:
    """A plan for what was found in a folder. `digests` hashes files that were touched, leaving out the unreadable."""
    return _FolderPlan(scan, ledger).made(digests)


class _FolderPlan:
    def __init__(self, scan: Scan, ledger: Sequence[FileRow]) -> None:
        self.scan, self.ledger, self.plan = scan, ledger, Plan()
        self.kept: set[str] = set()  # ids
        self.changed: dict[str, tuple[Found, FileRow]] = {}
        self.duplicates: list[FileRow] = []
        self.new: list[str] = []
        self.reserved: list[str] = []  # paths without a record that keep the id they would get

    def made(self, digests: Digests) -> Plan:
        self._sort_out()
        self._look_again(digests(self.changed))
        self._find_gone()
        self._keep_duplicates()
        self._give_ids()
        return self.plan

    def _sort_out(self) -> None:
        self._sort_same()
        rows = by_path(self.ledger) if self.scan.found else {}
        for found in self.scan.found:
            row = rows.get(found.path)
            if found.state:
                path, size, mtime_ns, state, reason = found
                self.plan.settle(row, FileRow(path, path, size, mtime_ns, b"", state, reason, ""))
            elif row is None:
                self.new.append(found.path)
            elif row.mtime_ns == found.mtime_ns and row.size == found.size:
                self._same(row)
            elif row.state == INDEXED:
                self.changed[found.path] = found, row
                self.kept.add(row.id)
            else:
                self.new.append(found.path)

    def _sort_same(self) -> None:
        """As `_same` and `_keep` do; nearly all files of most runs come here, so the usual case is written out."""
        owners, kept, unchanged = self.plan.owners, self.kept, 0
        for row in self.scan.same:
            key, path, _, _, content, state, _, record_id = row
            if state == INDEXED and key == path and content not in owners:
                owners[content] = record_id
                kept.add(record_id)
                unchanged += 1
            else:
                self._same(row)
        self.plan.unchanged += unchanged

    def _same(self, row: FileRow) -> None:
        if row.state == DUPLICATE or (row.state == INDEXED and row.hash in self.plan.owners):
            self.duplicates.append(row)
        elif row.state == INDEXED:
            self._keep(row, row)
        elif row.state == SKIPPED:
            self.plan.settle(row, row._replace(key=row.path))
            self.reserved.append(row.path)
        else:
            self.new.append(row.path)

    def _keep(self, old: FileRow, new: FileRow) -> None:
        self.plan.unchanged += 1
        self.plan.owners.setdefault(new.hash, new.id)
        self.plan.settle(old, new if new.key == new.path else new._replace(key=new.path))
        self.kept.add(new.id)

    def _look_again(self, digests: Mapping[str, bytes]) -> None:
        """A record whose file has new bytes keeps its id, so it owns them before any new file does."""
        others = []
        for path, (found, row) in self.changed.items():
            if digests.get(path) == row.hash:
                self._keep(row, row._replace(size=found.size, mtime_ns=provable(found.mtime_ns)))
            else:
                others.append(Task(path, path, row.id, row))
        for task in others:
            if task.path in digests:
                self.plan.owners.setdefault(digests[task.path], task.id)
        self.plan.tasks += others

    def _find_gone(self) -> None:
        """Files in a folder that cannot be read are out of sight, not gone."""
        here = {found.path for found in self.scan.found}
        here.update(row.path for row in self.scan.same)
        closed = tuple(folder + "/" for folder in self.scan.closed)
        absent = [
            row for row in self.ledger if row.key not in here or (row.id not in self.kept and row.state == INDEXED)
        ]
        for row in absent:
            hidden = bool(closed) and row.path.startswith(closed)
            if row.state == INDEXED and row.id not in self.kept:
                if hidden:
                    self._keep(row, row)
                else:
                    self.plan.gone[row.id] = row
            if row.key not in here and not (hidden and row.key == row.path):
                self.plan.leftover.add(row.key)

    def _keep_duplicates(self) -> None:
        plan = self.plan
        for row in self.duplicates:
            owner = plan.owners.get(row.hash)
            if owner is not None:
                new = row._replace(key=row.path, state=DUPLICATE, reason=same_bytes_as(owner), id=owner)
                plan.settle(row, new)
                self.reserved.append(row.path)
            elif (heir := plan.move(row.hash, row.path, plan.changes)) is not None:
                plan.settle(row, row._replace(key=row.path, state=INDEXED, reason="", id=heir))
                plan.moved += 1
            else:
                self.new.append(row.path)

    def _give_ids(self) -> None:
        if self.new or self.plan.tasks:
            self._make_tasks()

    def _make_tasks(self) -> None:
        paths = [found.path for found in self.scan.found if not found.state]
        paths += [row.path for row in self.scan.same]
        taken = (row.id for row in self.ledger if row.state == INDEXED)
        ids = propose(sorted([*self.new, *self.reserved]), paths, taken)
        self.plan.tasks += [Task(path, path, ids[path], None) for path in self.new]
        self.plan.tasks.sort(key=lambda task: task.path)


Look = Callable[[str], tuple[int, int] | str]


def plan_manifest(
    entries: Sequence[Entry], ledger: Sequence[FileRow], look: Look, stored: Mapping[str, tuple[str, str]]
) -> Plan:
    """A plan for the entries of a manifest.

    `look` gives size and time of change of the file at a path, or why it cannot be taken; `stored` are caption and
    metadata of the records by id.
    """
    plan = Plan()
    rows = {row.key: row for row in ledger if row.state != INDEXED}
    rows |= {row.id: row for row in ledger if row.state == INDEXED}
    kept = set()
    for entry in entries:
        row, seen = rows.get(entry.id), look(entry.path)
        is_record = row is not None and row.state == INDEXED
        if isinstance(seen, str):
            plan.settle(row, FileRow(entry.id, entry.path, 0, LOOK_AGAIN, b"", SKIPPED, seen, ""))
            continue
        if is_record:
            kept.add(entry.id)
        if row is not None and row.state in (INDEXED, SKIPPED) and row.is_same_file(entry.path, *seen):
            plan.settle(row, row._replace(key=entry.id))
            if is_record:
                plan.unchanged += 1
                if stored[entry.id] != (entry.caption, entry.meta):
                    plan.changes.records[entry.id] = entry.path, entry.caption, entry.meta
        else:
            plan.tasks.append(
                Task(entry.id, entry.path, entry.id, row if is_record else None, entry.caption, entry.meta)
            )
    plan.gone = {row.id: row for row in ledger if row.state == INDEXED and row.id not in kept}
    plan.leftover = {row.key for row in ledger} - {entry.id for entry in entries}
    return plan
