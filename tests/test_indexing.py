import json
import os
import shutil
import time

import numpy as np
import pytest
from store_samples import SketchEncoder, encoded, picture, save

from mmretrieval.collection import Collection
from mmretrieval.creation import NEUTRAL_TEXTS
from mmretrieval.errors import FingerprintMismatch, InvalidData, NotFound, UsageError
from mmretrieval.indexing import Progress, index

LONG_AGO = 10**18


@pytest.fixture
def pictures(tmp_path):
    for number in range(10):
        save(tmp_path / f"pictures/{number}.png", number)
    return tmp_path / "pictures"


def run(pictures, encoder=None, into=None, **settings):
    return index(pictures, into or pictures.parent / "index", encoder=encoder or SketchEncoder(), **settings)


def opened(pictures):
    return Collection.open(pictures.parent / "index")


def test_the_report_is_plain_json(pictures):
    (pictures / "x.jpg").write_bytes(b"")
    report = run(pictures).to_dict()
    seconds = report.pop("seconds")
    assert isinstance(seconds, float)
    assert json.loads(json.dumps(report)) == {
        "indexed": 10,
        "unchanged": 0,
        "moved": 0,
        "removed": 0,
        "duplicates": 0,
        "skipped": [{"path": "x.jpg", "reason": "the file is empty"}],
        "warnings": [],
        "captions": 0,
        "interrupted": False,
    }


def test_pictures_are_encoded_in_batches_each_once(pictures):
    encoder = SketchEncoder()
    run(pictures, encoder, batch_size=4)
    assert encoder.calls == [4, 4, 4, 2]  # the first call measures the canaries


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_size_changes_nothing(pictures, batch_size):
    run(pictures, batch_size=batch_size)
    run(pictures, into=pictures.parent / "other", batch_size=10)
    with opened(pictures) as one, Collection.open(pictures.parent / "other") as other:
        assert one.ids == other.ids
        assert np.array_equal(one.vectors("image", one.ids), other.vectors("image", other.ids))


def test_progress_counts_up_to_the_total_of_what_is_new(pictures):
    run(pictures)
    for number in (10, 11, 12):
        save(pictures / f"{number}.png", number)
    steps = []
    run(pictures, progress=steps.append)
    assert steps == [
        Progress("scan", 0, 0),
        Progress("index", 0, 3),
        Progress("index", 1, 3, "10.png"),
        Progress("index", 2, 3, "11.png"),
        Progress("index", 3, 3, "12.png"),
    ]


def test_a_run_with_nothing_new_writes_nothing(pictures):
    run(pictures)
    time.sleep(0.06)
    run(pictures)  # the last files may have been too young to be believed unchanged
    catalog = pictures.parent / "index/catalog.sqlite"
    before = catalog.read_bytes()
    with opened(pictures) as collection:
        version = collection.version
        report = run(pictures, encoder := SketchEncoder())
        assert collection.refresh() is collection
        assert collection.version == version
    assert encoder.calls == []
    assert report.unchanged == 10
    assert catalog.read_bytes() == before


@pytest.mark.parametrize("how", ["asked to stop", "control-c in the progress", "control-c in the encoder"])
def test_a_stop_keeps_what_was_committed_and_the_next_run_goes_on(pictures, how):
    class Interrupted(SketchEncoder):
        def encode_images(self, images):
            if len(self.calls) == 3:
                raise KeyboardInterrupt
            return super().encode_images(images)

    def progress(state):
        if state.done == 7:
            raise KeyboardInterrupt

    asked = iter([False] * 6 + [True] * 10)
    settings = {
        "asked to stop": {"stop": lambda: next(asked)},
        "control-c in the progress": {"progress": progress},
        "control-c in the encoder": {"encoder": Interrupted()},
    }[how]
    report = run(pictures, batch_size=3, **settings)
    assert (report.indexed, report.interrupted, report.warnings) == (6, True, ())
    with opened(pictures) as collection:
        assert collection.ids == ["0", "1", "2", "3", "4", "5"]
    report = run(pictures)
    assert (report.indexed, report.unchanged, report.interrupted) == (4, 6, False)


def test_a_stop_while_touched_files_are_compared_changes_nothing(pictures):
    run(pictures)
    for file in pictures.iterdir():
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
    with opened(pictures) as collection:
        asked = iter([False] * 5 + [True])
        report = run(pictures, stop=asked.__next__)
        assert (report.unchanged, report.interrupted) == (0, True)
        assert collection.refresh() is collection
    assert run(pictures).unchanged == 10


def test_an_interrupted_run_removes_nothing(pictures):
    run(pictures)
    (pictures / "3.png").unlink()
    save(pictures / "x.png", 77)
    assert run(pictures, stop=lambda: True).removed == 0
    with opened(pictures) as collection:
        assert "3" in collection.ids
    assert run(pictures).removed == 1


def test_a_new_index_may_be_empty_and_grow_later(tmp_path):
    (tmp_path / "pictures").mkdir()
    report = run(tmp_path / "pictures")
    assert report.indexed == 0
    assert report.warnings == (f"{tmp_path / 'pictures'}: no picture was found that can be searched",)
    with opened(tmp_path / "pictures") as collection:
        assert (collection.ids, collection.count, collection.rows().n) == ([], 0, 0)
        assert np.array_equal(collection.image_mean, np.zeros(24))
        assert collection.vectors("image", []).shape == (0, 24)
    save(tmp_path / "pictures/a.png", 1)
    assert run(tmp_path / "pictures").indexed == 1


def test_a_missing_source_removes_nothing_and_an_empty_one_does(pictures):
    run(pictures)
    away = pictures.rename(pictures.with_name("away"))
    with pytest.raises(NotFound, match="no such folder of pictures"):
        run(pictures)
    with opened(pictures) as collection:
        assert collection.count == 10
    pictures.mkdir()
    assert run(pictures).removed == 10
    shutil.rmtree(pictures)
    away.rename(pictures)
    assert run(pictures).indexed == 10


def test_another_encoder_is_refused_with_the_cure(pictures):
    run(pictures)
    with pytest.raises(
        FingerprintMismatch, match=r"made with the encoder 'sketch', and 'other' differs in: encoder; use"
    ):
        run(pictures, SketchEncoder(spec="other"))
    with opened(pictures) as collection:
        assert collection.fingerprint == SketchEncoder().fingerprint
        assert collection.encoder_spec == "sketch"


def test_places_that_cannot_go_together_are_refused(pictures, tmp_path):
    with pytest.raises(UsageError, match="the index folder holds the pictures"):
        run(pictures, into=pictures)
    with pytest.raises(UsageError, match="the index folder holds the pictures"):
        run(pictures, into=tmp_path)
    with pytest.raises(UsageError, match="a file, not a folder"):
        run(pictures, into=pictures / "1.png")
    with pytest.raises(NotFound, match="no such folder"):
        run(pictures / "1.png")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.doc").write_text("years of work")
    with pytest.raises(UsageError, match=r"it holds other files such as 'thesis\.doc'"):
        run(pictures, into=tmp_path / "full")


def test_an_index_inside_the_folder_of_pictures_is_never_searched_for_pictures(pictures):
    into = pictures / "deep/index"
    assert run(pictures, into=into).indexed == 10
    save(into / "cache/thumbnail.png", 99)
    assert run(pictures, into=into).unchanged == 10
    with Collection.open(into) as collection:
        assert not [file for file in collection.files() if "index" in file["path"]]


def test_another_folder_of_pictures_is_refused_and_a_renamed_one_is_the_same(pictures, tmp_path):
    run(pictures)
    save(tmp_path / "others/x.png", 50)
    with pytest.raises(
        UsageError, match=r"holds the pictures of .*/pictures; index .*/others into a folder of its own"
    ):
        run(tmp_path / "others", into=tmp_path / "index")
    renamed = pictures.rename(tmp_path / "photographs")
    report = run(renamed)
    assert (report.unchanged, report.indexed, report.removed) == (10, 0, 0)
    with opened(renamed) as collection:
        assert collection.path("3") == renamed / "3.png"


def test_index_and_pictures_can_be_moved_alone_and_together(pictures, tmp_path):
    run(pictures)
    (tmp_path / "new").mkdir()
    moved = (tmp_path / "index").rename(tmp_path / "new/index")
    with Collection.open(moved) as collection:
        assert collection.root == pictures
    assert run(pictures, into=moved).unchanged == 10
    both = tmp_path / "elsewhere"
    both.mkdir()
    pictures.rename(both / "pictures")
    (both / "new").mkdir()
    moved.rename(both / "new/index")
    with Collection.open(both / "new/index") as collection:
        assert collection.root == both / "pictures"
        assert collection.open_image("4").size == (48, 40)
    assert run(both / "pictures", into=both / "new/index").unchanged == 10


def test_a_copy_of_both_belongs_together_while_the_originals_stay(pictures, tmp_path):
    run(pictures)
    copied = shutil.copytree(tmp_path, tmp_path.with_name(tmp_path.name + "-copy"))
    with Collection.open(copied / "index") as collection:
        assert collection.root == copied / "pictures"
    report = run(copied / "pictures")
    assert report.indexed == 0
    assert report.unchanged == 10


def test_touched_files_are_read_but_not_encoded_again(pictures):
    run(pictures)
    for number in range(5):
        os.utime(pictures / f"{number}.png", ns=(LONG_AGO, LONG_AGO))
    encoder = SketchEncoder()
    assert run(pictures, encoder).unchanged == 10
    assert encoder.calls == []


def test_a_change_that_keeps_size_and_time_within_one_tick_of_the_clock_is_noticed(pictures):
    now = time.time_ns() + 10**10  # so young a file that its time proves nothing
    for seed in (21, 22, 23):
        (pictures / "0.png").write_bytes(encoded(picture(seed), "BMP"))
        os.utime(pictures / "0.png", ns=(now, now))
        assert run(pictures).indexed == (10 if seed == 21 else 1)


def test_a_broken_file_is_not_decoded_again_until_it_changes(pictures):
    good = (pictures / "5.png").read_bytes()
    (pictures / "5.png").write_bytes(good[:200])
    os.utime(pictures / "5.png", ns=(LONG_AGO, LONG_AGO))
    assert [each.path for each in run(pictures).skipped] == ["5.png"]
    steps = []
    assert [each.path for each in run(pictures, progress=steps.append).skipped] == ["5.png"]
    assert steps[-1].total == 0
    (pictures / "5.png").write_bytes(good)
    report = run(pictures)
    assert (report.indexed, report.skipped) == (1, ())


def test_a_record_whose_file_breaks_is_taken_out_and_comes_back_with_its_id(pictures):
    run(pictures)
    good = (pictures / "5.png").read_bytes()
    (pictures / "5.png").write_bytes(b"")
    report = run(pictures)
    assert (report.removed, report.unchanged, len(report.skipped)) == (1, 9, 1)
    with opened(pictures) as collection:
        assert "5" not in collection.ids
    (pictures / "5.png").write_bytes(good)
    assert run(pictures).indexed == 1
    with opened(pictures) as collection:
        assert "5" in collection.ids


def test_a_duplicate_takes_over_when_the_file_it_repeats_is_gone(pictures):
    shutil.copy(pictures / "3.png", pictures / "z.png")
    shutil.copy(pictures / "3.png", pictures / "y.png")
    assert run(pictures).duplicates == 2
    (pictures / "3.png").unlink()
    encoder = SketchEncoder()
    report = run(pictures, encoder)
    assert (report.moved, report.removed, report.duplicates, encoder.calls) == (1, 0, 1, [])
    with opened(pictures) as collection:
        assert collection.record("3").path == "y.png"


class OddEncoder(SketchEncoder):
    """Gives what `spoil` makes of its rows."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def encode_images(self, images):
        rows = super().encode_images(images)
        return self.spoil(rows) if len(self.calls) > 1 else rows


def test_a_picture_without_a_usable_vector_is_skipped_alone(pictures):
    def spoil(rows):
        rows[1] = np.nan
        rows[3] = 0
        return rows

    report = run(pictures, OddEncoder(spoil), batch_size=10)
    assert [(each.path, each.reason) for each in report.skipped] == [
        ("1.png", "the encoder makes no usable vector of it"),
        ("3.png", "the encoder makes no usable vector of it"),
    ]
    assert report.indexed == 8
    with opened(pictures) as collection:
        assert collection.count == 8
        assert np.isfinite(collection.vectors("image", collection.ids)).all()


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [(lambda rows: rows[:-1], "gave vectors of shape"), (lambda rows: rows * 2, "not of length 1")],
    ids=["too few rows", "long rows"],
)
def test_an_encoder_that_breaks_its_contract_is_named(pictures, spoil, complaint):
    with pytest.raises(InvalidData, match=complaint):
        run(pictures, OddEncoder(spoil))
    with opened(pictures) as collection:
        assert collection.count == 0


# Manifests


def manifest(pictures, *entries, name="manifest.jsonl"):
    (pictures / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return pictures / name


def test_a_manifest_gives_ids_captions_and_metadata(pictures):
    manifest(
        pictures,
        {"id": "b", "path": "1.png", "caption": "one", "n": [1, {"x": None}]},
        {"id": 7, "path": "2.png"},
    )
    assert run(pictures).indexed == 2
    with opened(pictures) as collection:
        assert [record.to_dict() for record in collection.records(["b", "7"])] == [
            {"id": "b", "path": "1.png", "caption": "one", "meta": {"n": [1, {"x": None}]}},
            {"id": "7", "path": "2.png", "caption": "", "meta": {}},
        ]
        assert collection.info()["source"] == "manifest"


def test_a_manifest_may_lie_elsewhere_and_comes_before_the_one_in_the_folder(pictures, tmp_path):
    manifest(pictures, {"id": "inside", "path": "1.png"})
    (tmp_path / "m.csv").write_text("id,path\noutside,2.png\n")
    run(pictures, manifest=tmp_path / "m.csv")
    with opened(pictures) as collection:
        assert [(record.id, record.path) for record in collection.records(collection.ids)] == [("outside", "2.png")]


def test_a_broken_manifest_stops_the_run_before_anything_is_made(pictures):
    manifest(pictures, {"id": "a", "path": "../secret.png"})
    with pytest.raises(InvalidData, match=r"manifest\.jsonl:1: the path '\.\./secret\.png' leaves"):
        run(pictures)
    assert not (pictures.parent / "index").exists()


def test_every_entry_of_a_manifest_is_a_record_also_with_the_same_bytes(pictures):
    shutil.copy(pictures / "1.png", pictures / "copy.png")
    entries = [{"id": i, "path": p} for i, p in (("a", "1.png"), ("b", "1.png"), ("c", "copy.png"), ("d", "2.png"))]
    manifest(pictures, *entries)
    encoder = SketchEncoder()
    report = run(pictures, encoder)
    assert (report.indexed, report.duplicates) == (4, 2)
    assert sum(encoder.calls) == 4 + 2  # canaries, and two pictures that differ
    manifest(pictures, *entries, {"id": "e", "path": "copy.png"})
    report = run(pictures, encoder := SketchEncoder())
    assert (report.indexed, report.unchanged, report.duplicates, encoder.calls) == (1, 4, 3, [])
    with opened(pictures) as collection:
        a, b, c, d, e = collection.vectors("image", ["a", "b", "c", "d", "e"])
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)
        assert np.array_equal(a, e)
        assert not np.array_equal(a, d)


def test_what_a_manifest_lists_and_cannot_be_had_is_skipped(pictures, tmp_path):
    (pictures / "outside.png").symlink_to(save(tmp_path / "secret.png", 5))
    (pictures / "inside.png").symlink_to("2.png")
    (pictures / "broken.png").write_bytes(b"")
    (pictures / "folder").mkdir()
    names = ["missing.png", "outside.png", "inside.png", "broken.png", "folder", "1.png/x.png"]
    manifest(pictures, *({"id": name, "path": name} for name in names))
    report = run(pictures)
    assert {each.path: each.reason for each in report.skipped} == {
        "missing.png": "listed in the manifest, but not there",
        "outside.png": "a link to a file outside the source folder",
        "broken.png": "the file is empty",
        "folder": "a folder, not a picture",
        "1.png/x.png": "listed in the manifest, but cannot be looked at: Not a directory",
    }
    assert report.indexed == 1
    with opened(pictures) as collection:
        assert {file["path"]: file["id"] for file in collection.files()} == {name: name for name in names}
    shutil.copy(pictures / "1.png", pictures / "missing.png")
    assert run(pictures).indexed == 1


def test_captions_and_metadata_change_without_encoding(pictures):
    manifest(pictures, {"id": "a", "path": "1.png", "caption": "old"})
    run(pictures)
    manifest(pictures, {"id": "a", "path": "1.png", "caption": "new", "stars": 5})
    report = run(pictures, encoder := SketchEncoder())
    assert (report.unchanged, report.indexed, encoder.calls) == (1, 0, [])
    with opened(pictures) as collection:
        record = collection.record("a")
        assert (record.caption, dict(record.meta)) == ("new", {"stars": 5})


def test_a_renamed_id_copies_its_vector(pictures):
    manifest(pictures, {"id": "a", "path": "1.png"})
    run(pictures)
    manifest(pictures, {"id": "b", "path": "1.png"})
    report = run(pictures, encoder := SketchEncoder())
    assert (report.indexed, report.removed, encoder.calls) == (1, 1, [])


def test_a_manifest_that_appears_and_goes_again_keeps_vectors(pictures):
    run(pictures)
    manifest(pictures, {"id": "first", "path": "1.png"}, {"id": "again", "path": "1.png"}, {"id": "2", "path": "2.png"})
    report = run(pictures, encoder := SketchEncoder())
    assert (report.indexed, report.unchanged, report.removed, encoder.calls) == (2, 1, 9, [])
    (pictures / "manifest.jsonl").unlink()
    report = run(pictures, encoder := SketchEncoder())
    with opened(pictures) as collection:
        assert collection.ids == sorted(["again", "2", *"03456789"])
        assert len(list(collection.files())) == 10
    assert sum(encoder.calls) == 8
    assert (report.unchanged, report.indexed, report.removed) == (2, 8, 1)


# What is measured once


def test_the_text_mean_is_that_of_the_captions_spread_over_all_ids(pictures):
    entries = [{"id": f"{n:03d}", "path": f"{n % 10}.png", "caption": f"word{n}" if n % 3 else ""} for n in range(600)]
    manifest(pictures, *reversed(entries))
    run(pictures)
    captions = [entry["caption"] for entry in entries if entry["caption"]]
    chosen = [captions[number * 400 // 256] for number in range(256)]
    with opened(pictures) as collection:
        expected = SketchEncoder().encode_texts(chosen).astype(np.float64).mean(axis=0)
        assert np.allclose(collection.text_mean, expected, atol=1e-6)
        before = collection.text_mean
    manifest(pictures, {"id": "a", "path": "1.png", "caption": "quite another"})
    run(pictures)
    with opened(pictures) as collection:
        assert np.array_equal(collection.text_mean, before)


def test_without_captions_the_text_mean_is_that_of_neutral_sentences(pictures):
    run(pictures)
    with opened(pictures) as collection:
        expected = SketchEncoder().encode_texts(NEUTRAL_TEXTS).astype(np.float64).mean(axis=0)
        assert np.allclose(collection.text_mean, expected, atol=1e-6)
    assert len(set(NEUTRAL_TEXTS)) == len(NEUTRAL_TEXTS) >= 30


def test_canaries_are_measured_at_creation(pictures):
    from mmretrieval import canary

    run(pictures)
    with opened(pictures) as collection:
        canary.check(collection.canaries(), SketchEncoder())
        with pytest.raises(FingerprintMismatch):
            canary.check(collection.canaries(), Reversed())


class Reversed(SketchEncoder):
    """Another model behind the same name."""

    def encode_images(self, images):
        return super().encode_images(images)[:, ::-1]


@pytest.mark.parametrize(
    ("meta", "drawn"),
    [({"facts": {}, "domain": "food"}, True), ({"facts": {}}, False), ({"domain": "food"}, False), ({}, False)],
)
def test_the_drawn_world_is_known_by_its_manifest(pictures, meta, drawn):
    manifest(pictures, {"id": "a", "path": "1.png", **meta})
    run(pictures)
    with opened(pictures) as collection:
        assert collection.is_drawn is drawn
    manifest(pictures, {"id": "a", "path": "1.png", **meta}, {"id": "b", "path": "2.png"})
    run(pictures)
    with opened(pictures) as collection:
        assert collection.is_drawn is False
