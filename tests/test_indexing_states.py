"""The catalogue against a dict: random adds, changes, renames, deletions, duplicates, crashes and reopenings."""

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound
from mmretrieval.images import decode
from mmretrieval.indexing import index
from mmretrieval.vectors import half_rows

# Names that share a stem, that become the same id, in folders, with a wrong ending.
NAMES = ["a.png", "a.jpg", "b c.png", "b_c.png", "d/e.png", "d/a.png", "z.dat"]
BROKEN = -1
CONTENTS = [0, 1, 2, 3, BROKEN]

names = st.sampled_from(NAMES)
contents = st.sampled_from(CONTENTS)


@cache
def content(key):
    return b"\x89PNG\r\n\x1a\n no more" if key == BROKEN else encoded(picture(key), "PNG")


@cache
def vector(key):
    encoder = SketchEncoder()
    image = decode(content(key), shown="", min_side=encoder.input_size).image
    return half_rows(encoder.encode_images([image]))[0].astype(np.float32)


class CrashError(Exception):
    """Stands for whatever ends a run in the middle."""


class FailingEncoder(SketchEncoder):
    """Works a few times, then crashes."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def encode_images(self, images):
        self.left -= 1
        if self.left < 0:
            raise CrashError
        return super().encode_images(images)


class Model:
    """The rules of `plan.py`, written for clarity: `records` are id: (path, content)."""

    def __init__(self, records, known_duplicates):
        self.before = records
        self.known_duplicates = known_duplicates

    def after(self, files):
        here = dict(sorted(files.items()))
        bound = {path: record_id for record_id, (path, _) in self.before.items() if path in here}
        records = {bound[path]: (path, here[path]) for path in bound if self.before[bound[path]][1] == here[path]}
        owner = {key: record_id for record_id, (_, key) in records.items()}
        duplicates, skipped = {}, {path for path, key in here.items() if key == BROKEN}
        for path, record_id in sorted(bound.items()):
            key = here[path]
            if record_id in records or key == BROKEN:
                continue
            if key in owner:
                duplicates[path] = owner[key]
            else:
                records[record_id], owner[key] = (path, key), record_id
        gone = {record_id: key for record_id, (path, key) in self.before.items() if path not in here}
        free = [path for path in here if path not in bound]
        heirs = {}
        for path in [path for path in free if path in self.known_duplicates]:
            self._inherit(path, here[path], gone, owner, heirs)
        ids = self._ids([path for path in free if path not in heirs], here)
        for path in free:
            key = here[path]
            if path in heirs or key == BROKEN:
                continue
            if key not in owner and not self._inherit(path, key, gone, owner, heirs):
                records[ids[path]], owner[key] = (path, key), ids[path]
            elif path not in heirs:
                duplicates[path] = owner[key]
        records |= {record_id: (path, here[path]) for path, record_id in heirs.items()}
        return records, duplicates, skipped

    @staticmethod
    def _inherit(path, key, gone, owner, heirs):
        candidates = sorted(record_id for record_id, lost in gone.items() if lost == key)
        if key in owner or not candidates:
            return False
        heirs[path] = owner[key] = candidates[0]
        del gone[candidates[0]]
        return True

    def _ids(self, paths, everything):
        stem = {path: path.rpartition(".")[0] for path in everything}
        taken, ids = set(self.before), {}
        for path in paths:
            shared = list(stem.values()).count(stem[path]) > 1
            wanted = (path if shared else stem[path]).replace(" ", "_")
            tries = [wanted, *(f"{wanted}~{number}" for number in range(2, 50))]
            ids[path] = next(candidate for candidate in tries if candidate not in taken)
            taken.add(ids[path])
        return ids


class Indexing(RuleBasedStateMachine):
    """The folder of pictures is `files`; the state of the index is always read from the index itself."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mmretrieval-states-"))
        (self.folder / "pictures").mkdir()
        self.files = {}
        self.clock = 1_000_000_000
        self.changed = set()  # paths written since the last complete run
        self.held = None

    def teardown(self):
        if getattr(self, "held", None):
            self.held[0].close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    # What people do to a folder

    def _put(self, path, key):
        file = self.folder / "pictures" / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content(key))
        self.clock += 1
        os.utime(file, ns=(self.clock * 10**9 + 1, self.clock * 10**9 + 1))  # long ago, and never twice the same
        self.files[path] = key
        self.changed.add(path)

    @rule(path=names, key=contents)
    def write(self, path, key):
        self._put(path, key)

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def delete(self, data):
        path = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / "pictures" / path).unlink()
        del self.files[path]
        self.changed.discard(path)

    @precondition(lambda self: self.files)
    @rule(data=st.data(), new=names)
    def rename(self, data, new):
        old = data.draw(st.sampled_from(sorted(self.files)))
        (self.folder / "pictures" / new).parent.mkdir(exist_ok=True)
        (self.folder / "pictures" / old).rename(self.folder / "pictures" / new)
        self.files[new] = self.files.pop(old)
        self.changed.discard(old)
        self.changed.add(new)

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def swap(self, data):
        first, second = (data.draw(st.sampled_from(sorted(self.files))) for _ in range(2))
        keys = self.files[first], self.files[second]
        self._put(first, keys[1])
        self._put(second, keys[0])

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def touch(self, data):
        path = data.draw(st.sampled_from(sorted(self.files)))
        self._put(path, self.files[path])

    # What happens to the index

    def _observed(self):
        """Records as id: (path, content), the content told by the stored vector; and the ledger's duplicates."""
        try:
            collection = Collection.open(self.folder / "index")
        except NotFound:
            return {}, set()
        with collection:
            rows = collection.vectors("image", collection.ids)
            keys = [next(k for k in CONTENTS[:-1] if np.array_equal(vector(k), row)) for row in rows]
            records = {
                record.id: (record.path, key)
                for record, key in zip(collection.records(collection.ids), keys, strict=True)
            }
            ledger = list(collection.files())
            assert sorted(file["id"] for file in ledger if file["state"] == "indexed") == collection.ids
            assert all(records[f["id"]][0] == f["path"] for f in ledger if f["state"] == "indexed")
            assert len({file["path"] for file in ledger}) == len(ledger)
            return records, {file["path"] for file in ledger if file["state"] == "duplicate"}

    def _run(self, encoder, **hooks):
        return index(self.folder / "pictures", self.folder / "index", encoder=encoder, batch_size=2, **hooks)

    @rule()
    def run_to_the_end(self):
        before, duplicates_before = self._observed()
        model = Model(before, {path for path in duplicates_before if path not in self.changed})
        records, duplicates, skipped = model.after(self.files)
        encoder = SketchEncoder()
        report = self._run(encoder)
        assert self._observed()[0] == records
        with Collection.open(self.folder / "index") as collection:
            states = {file["path"]: (file["state"], file["id"]) for file in collection.files()}
        expected = {path: ("indexed", record_id) for record_id, (path, _) in records.items()}
        expected |= {path: ("duplicate", record_id) for path, record_id in duplicates.items()}
        assert states == expected | dict.fromkeys(skipped, ("skipped", ""))
        same = [record_id for record_id in records if before.get(record_id) == records[record_id]]
        moved = [r for r in records if r in before and r not in same and before[r][1] == records[r][1]]
        assert {each.path for each in report.skipped} == skipped
        assert (report.unchanged, report.moved, report.indexed, report.removed, report.duplicates) == (
            len(same),
            len(moved),
            len(records) - len(same) - len(moved),
            len(before.keys() - records.keys()),
            len(duplicates),
        )
        self.changed.clear()

    @precondition(lambda self: not self.changed)
    @rule()
    def run_again_with_nothing_new(self):
        before = self._observed()
        encoder = FailingEncoder(99)
        self._run(encoder)
        again = FailingEncoder(0 if (self.folder / "index/catalog.sqlite").exists() else 99)
        assert self._run(again).indexed == 0
        assert before[0].keys() <= self._observed()[0].keys() or self._observed()[0].keys() <= before[0].keys()

    @rule(calls=st.integers(0, 4))
    def crash_in_the_encoder(self, calls):
        before, _ = self._observed()
        try:
            self._run(FailingEncoder(calls))
        except CrashError:
            self._check_between(before)

    @rule(steps=st.integers(0, 8))
    def crash_between_two_steps(self, steps):
        before, _ = self._observed()
        left = [steps]

        def progress(_):
            left[0] -= 1
            if left[0] < 0:
                raise CrashError

        try:
            self._run(SketchEncoder(), progress=progress)
        except CrashError:
            self._check_between(before)

    @rule(steps=st.integers(0, 5))
    def stop_cleanly(self, steps):
        before, _ = self._observed()
        left = [steps]

        def stop():
            left[0] -= 1
            return left[0] < 0

        if self._run(SketchEncoder(), stop=stop).interrupted:
            self._check_between(before)

    def _check_between(self, before):
        """Half a run: every record is as before, or as the folder says."""
        for record_id, (path, key) in self._observed()[0].items():
            old_path, old_key = before.get(record_id, (None, None))
            assert path == old_path or path in self.files
            assert key in (old_key, self.files.get(path))

    @precondition(lambda self: (self.folder / "index/vectors/image/000000.f16").exists())
    @rule(rest=st.binary(min_size=1, max_size=100))
    def killed_between_vectors_and_catalogue(self, rest):
        with (self.folder / "index/vectors/image/000000.f16").open("ab") as segment:
            segment.write(rest)

    @precondition(lambda self: (self.folder / "index/catalog.sqlite").exists())
    @rule()
    def hold_a_snapshot(self):
        if self.held:
            self.held[0].close()
        collection = Collection.open(self.folder / "index")
        self.held = collection, collection.ids, collection.vectors("image", collection.ids)

    @invariant()
    def what_is_held_never_changes(self):
        if getattr(self, "held", None):
            collection, ids, vectors = self.held
            assert [record.id for record in collection.records(ids)] == ids
            assert np.array_equal(collection.vectors("image", ids), vectors)


TestIndexing = pytest.mark.slow(Indexing.TestCase)
TestIndexing.settings = settings(max_examples=40, stateful_step_count=30)

entry = st.tuples(
    st.sampled_from(["x", "y", "z"]), st.sampled_from([*NAMES, "missing.png"]), st.sampled_from(["", "one", "two"])
)


@settings(max_examples=40)
@given(st.lists(st.lists(entry, unique_by=lambda each: each[0], max_size=3), min_size=1, max_size=4))
def test_a_manifest_is_followed_to_the_letter(tmp_path_factory, versions):
    folder = tmp_path_factory.mktemp("manifest")
    files = dict(zip(NAMES, [0, 1, 2, 0, BROKEN, 3, 1], strict=True))
    for path, key in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content(key))
        os.utime(folder / path, ns=(10**18, 10**18))
    before = {}
    for version in versions:
        lines = [
            {"id": record_id, "path": path, "caption": caption, "n": len(caption)}
            for record_id, path, caption in version
        ]
        (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
        report = index(folder, folder / "index", encoder=SketchEncoder(), batch_size=2)
        expected = {i: (path, caption) for i, path, caption in version if files.get(path, BROKEN) != BROKEN}
        with Collection.open(folder / "index") as collection:
            found = collection.records(collection.ids)
            assert {r.id: (r.path, r.caption) for r in found} == expected
            assert all(record.meta == {"n": len(record.caption)} for record in found)
            for record in found:
                assert np.array_equal(collection.vectors("image", [record.id])[0], vector(files[record.path]))
        assert sorted(each.path for each in report.skipped) == sorted(p for i, p, _ in version if i not in expected)
        keys = [files[path] for path, _ in expected.values()]
        assert report.duplicates == len(keys) - len(set(keys))
        same = [i for i in expected if i in before and files[before[i][0]] == files[expected[i][0]]]
        moved = [i for i in same if before[i][0] != expected[i][0]]
        assert (report.unchanged, report.moved, report.indexed, report.removed) == (
            len(same) - len(moved),
            len(moved),
            len(expected) - len(same),
            len(before.keys() - expected.keys()),
        )
        before = expected
