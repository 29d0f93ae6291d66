"""A folder with more than thirty seeded faults: every one noticed with a true reason, all the rest indexed."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from fault_folder import seed_faults
from store_samples import SketchEncoder, save

from mmretrieval.collection import Collection
from mmretrieval.indexing import index

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the folder holds pipes, sockets and links of Unix")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    faults = seed_faults(folder / "pictures", folder / "outside")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = index(folder / "pictures", folder / "index", encoder=SketchEncoder(), batch_size=8)
    with Collection.open(folder / "index") as collection:
        yield folder, faults, report, collection


def ledger(collection):
    return {file["path"]: file for file in collection.files()}


def test_every_fault_is_in_the_ledger_with_its_true_reason(seeded):
    _, faults, _, collection = seeded
    files = ledger(collection)
    assert len(faults) > 60
    assert files.keys() == faults.keys()
    wrong = [
        (path, files[path]["state"], files[path]["reason"], fault)
        for path, fault in faults.items()
        if files[path]["state"] != fault.state
        or not re.search(fault.reason or "^$", files[path]["reason"])
        or (fault.state != "indexed" and not files[path]["reason"])
    ]
    assert wrong == []


def test_the_report_names_every_skipped_file_and_counts_the_rest(seeded):
    _, faults, report, collection = seeded
    states = [fault.state for fault in faults.values()]
    assert {each.path for each in report.skipped} == {
        path for path, fault in faults.items() if fault.state == "skipped"
    }
    assert (report.indexed, report.duplicates) == (states.count("indexed"), states.count("duplicate"))
    assert (report.unchanged, report.moved, report.removed, report.interrupted) == (0, 0, 0, False)
    assert collection.count == states.count("indexed")


def test_every_picture_that_can_be_read_has_the_vector_of_its_upright_twin(seeded):
    _, faults, _, collection = seeded
    encoder, files = SketchEncoder(), ledger(collection)
    for path, fault in faults.items():
        if fault.state == "indexed":
            cosine = collection.vectors("image", [files[path]["id"]])[0] @ encoder.encode_images([fault.twin])[0]
            assert cosine > 0.995, path


def test_ids_are_unique_fit_for_run_files_and_open_the_right_picture(seeded):
    _, faults, _, collection = seeded
    files = ledger(collection)
    ids = [files[path]["id"] for path, fault in faults.items() if fault.state == "indexed"]
    assert sorted(ids) == collection.ids
    assert all(len(record_id.split()) == 1 for record_id in ids)
    for record in collection.records(collection.ids):
        twin = faults[record.path].twin
        assert collection.open_image(record.id).size == twin.size


def test_a_second_run_reads_nothing_again_and_still_reports_what_it_skips(seeded):
    folder, _, first, collection = seeded
    encoder = SketchEncoder()
    second = index(folder / "pictures", folder / "index", encoder=encoder, batch_size=8)
    assert encoder.calls == []
    assert (second.indexed, second.unchanged, second.removed) == (0, first.indexed, 0)
    assert second.skipped == first.skipped
    assert second.duplicates == first.duplicates
    assert collection.refresh().ids == collection.ids


def test_files_that_vanish_during_the_run_are_skipped_and_forgotten_by_the_next(tmp_path):
    for number in range(6):
        save(tmp_path / f"pictures/{number}.png", number)

    def progress(state):
        if state.stage == "index":
            for number in (4, 5):
                (tmp_path / f"pictures/{number}.png").unlink(missing_ok=True)

    report = index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder(), batch_size=1, progress=progress)
    assert [(each.path, each.reason) for each in report.skipped] == [
        ("4.png", "vanished while the index was being made"),
        ("5.png", "vanished while the index was being made"),
    ]
    assert report.indexed == 4
    second = index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder())
    assert (second.skipped, second.unchanged) == ((), 4)


def run(source, into, *arguments):
    script = Path(__file__).with_name("store_process.py")
    done = subprocess.run(
        [sys.executable, script, source, into, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def open_folder():
    """A folder that every user may look into, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="mmretrieval-test-"))
    folder.chmod(0o777)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(folder)


def test_files_and_folders_without_permission_are_skipped_and_taken_once_they_may_be_read(open_folder):
    for number in range(3):
        save(open_folder / f"pictures/{number}.png", number)
    save(open_folder / "pictures/closed/3.png", 3)
    as_whom = ["--nobody"] if os.geteuid() == 0 else []  # the rights of files do not bind root
    assert run(open_folder / "pictures", open_folder / "index", *as_whom)["indexed"] == 4
    save(open_folder / "pictures/new.png", 7).chmod(0)
    (open_folder / "pictures/1.png").chmod(0)
    (open_folder / "pictures/closed").chmod(0)
    report = run(open_folder / "pictures", open_folder / "index", *as_whom)
    assert report["skipped"] == [
        {"path": "closed", "reason": "a folder that cannot be read: Permission denied"},
        {"path": "new.png", "reason": "no permission to read it"},
    ]
    # what was indexed stays: size and time say it is unchanged, and a closed folder is out of sight, not gone
    assert (report["unchanged"], report["removed"]) == (4, 0)
    (open_folder / "pictures/new.png").chmod(0o644)
    (open_folder / "pictures/closed").chmod(0o755)
    report = run(open_folder / "pictures", open_folder / "index", *as_whom)
    assert (report["indexed"], report["unchanged"], report["skipped"]) == (1, 4, [])


def test_a_renamed_picture_keeps_its_id_and_is_not_encoded_again(tmp_path):
    for number in range(4):
        save(tmp_path / f"pictures/{number}.png", number)
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder())
    with Collection.open(tmp_path / "index") as collection:
        before = dict(zip(collection.ids, collection.vectors("image", collection.ids), strict=True))
    (tmp_path / "pictures/sub").mkdir()
    (tmp_path / "pictures/1.png").rename(tmp_path / "pictures/sub/one.png")
    (tmp_path / "pictures/2.png").rename(tmp_path / "pictures/two.png")
    encoder = SketchEncoder()
    report = index(tmp_path / "pictures", tmp_path / "index", encoder=encoder)
    assert encoder.calls == []
    assert (report.moved, report.unchanged, report.indexed, report.removed) == (2, 2, 0, 0)
    with Collection.open(tmp_path / "index") as collection:
        assert [record.path for record in collection.records(["0", "1", "2", "3"])] == [
            "0.png",
            "sub/one.png",
            "two.png",
            "3.png",
        ]
        for record_id, vector in before.items():
            assert np.array_equal(collection.vectors("image", [record_id])[0], vector)
