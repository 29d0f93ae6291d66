"""What is said of pictures besides the manifest: which caption counts, and when it goes."""

import json
import sqlite3

import pytest
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.catalog import FORMAT, Catalog
from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound
from mmretrieval.features import EDITED, Feature, drop_feature, write_features
from mmretrieval.indexing import index
from mmretrieval.lock import sole_writer

MODEL = "demo caption-1"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    for seed, name in enumerate("abc"):
        (tmp_path / "pictures" / f"{name}.png").write_bytes(encoded(picture(seed), "PNG"))
    return tmp_path


def bring(folder, captions):
    lines = [{"id": name, "path": f"{name}.png", "caption": caption} for name, caption in captions.items()]
    (folder / "pictures" / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return index(folder / "pictures", folder / "idx", encoder=SketchEncoder())


def write(folder, record_id, kind, text, origin=MODEL, **more):
    with sole_writer(folder / "idx"):
        catalog = Catalog.open_writer(folder / "idx")
        write_features(catalog, [(record_id, Feature(kind, text, origin=origin, **more))])
        catalog.close()


def drop(folder, record_id, kind):
    with sole_writer(folder / "idx"):
        catalog = Catalog.open_writer(folder / "idx")
        drop_feature(catalog, record_id, kind)
        catalog.close()


def content(folder, record_id):
    with Collection.open(folder / "idx") as collection:
        return collection._catalog.rows("SELECT hash FROM files WHERE id = ?", [record_id])[0][0]


def caption(folder, record_id):
    """As records tell it, and as words find it."""
    with Collection.open(folder / "idx") as collection:
        told = collection.record(record_id).caption
        for words in told.split():
            assert collection.position(record_id) in collection.lexical(words)[0].tolist()
        return told


def finds(folder, words):
    with Collection.open(folder / "idx") as collection:
        return [collection.ids[position] for position in collection.lexical(words)[0]]


def test_a_made_caption_fills_an_empty_one_and_is_found_by_its_words(folder):
    bring(folder, {"a": "", "b": "a dog"})
    write(folder, "a", "caption", "a heron in the reeds")
    assert caption(folder, "a") == "a heron in the reeds"
    assert finds(folder, "heron") == ["a"]


def test_indexing_again_with_the_same_manifest_keeps_what_was_made_and_changes_nothing(folder):
    bring(folder, {"a": "", "b": "a dog"})
    write(folder, "a", "caption", "a heron")
    report = bring(folder, {"a": "", "b": "a dog"})
    assert (report.indexed, report.unchanged) == (0, 2)
    assert caption(folder, "a") == "a heron"


def test_a_caption_that_the_manifest_brings_later_takes_the_place_of_a_models(folder):
    bring(folder, {"a": ""})
    write(folder, "a", "caption", "a heron")
    bring(folder, {"a": "a crane"})
    assert caption(folder, "a") == "a crane"
    assert finds(folder, "heron") == []
    bring(folder, {"a": ""})
    assert caption(folder, "a") == ""


def test_an_edited_caption_stays_whatever_the_manifest_brings_and_gives_way_when_taken_back(folder):
    bring(folder, {"a": "a duck"})
    write(folder, "a", "caption", "a grebe", EDITED)
    assert caption(folder, "a") == "a grebe"
    bring(folder, {"a": "a crane"})
    assert caption(folder, "a") == "a grebe"
    drop(folder, "a", "caption")
    assert caption(folder, "a") == "a crane"
    assert finds(folder, "grebe") == []
    bring(folder, {"a": "a stork"})
    assert caption(folder, "a") == "a stork"


def test_what_a_model_said_goes_when_the_picture_changes_and_what_a_hand_wrote_stays(folder):
    bring(folder, {"a": "", "b": "", "c": ""})
    for name in "ab":
        write(folder, name, "caption", f"picture {name}", hash=content(folder, name))
        write(folder, name, "ingredients", "rice", hash=content(folder, name))
    write(folder, "c", "caption", "mine", EDITED, hash=content(folder, "c"))
    for seed, name in ((7, "a"), (8, "c")):
        (folder / "pictures" / f"{name}.png").write_bytes(encoded(picture(seed), "PNG"))
    bring(folder, {"a": "", "b": "", "c": ""})
    with Collection.open(folder / "idx") as collection:
        assert [dict(collection.features(name)) for name in "abc"] == [
            {},
            {"ingredients": "rice", "caption": "picture b"},
            {"caption": "mine"},
        ]


def test_a_moved_picture_keeps_what_was_said_of_it(folder):
    (folder / "pictures" / "manifest.jsonl").unlink(missing_ok=True)
    index(folder / "pictures", folder / "idx", encoder=SketchEncoder())
    with Collection.open(folder / "idx") as collection:
        record_id = collection.ids[0]
    write(folder, record_id, "caption", "a heron", hash=content(folder, record_id))
    (folder / "pictures" / "a.png").rename(folder / "pictures" / "z.png")
    assert index(folder / "pictures", folder / "idx", encoder=SketchEncoder()).moved == 1
    assert caption(folder, record_id) == "a heron"


def test_planned_aspects_stand_behind_any_other_caption(folder):
    bring(folder, {"a": "", "b": "a dog"})
    for name in "ab":
        write(folder, name, "aspects", "red bill. in the reeds.")
    assert [caption(folder, name) for name in "ab"] == ["red bill. in the reeds.", "a dog"]
    write(folder, "a", "caption", "a stork")
    assert caption(folder, "a") == "a stork"
    drop(folder, "a", "caption")
    assert caption(folder, "a") == "red bill. in the reeds."
    drop(folder, "a", "aspects")
    assert caption(folder, "a") == ""


def test_a_failed_caption_falls_back_to_nothing_but_the_records_own(folder):
    bring(folder, {"a": "", "b": "a dog"})
    for name in "ab":
        write(folder, name, "caption", "", state="failed", reason="no answer")
    assert [caption(folder, name) for name in "ab"] == ["", "a dog"]


def test_a_removed_record_takes_its_features_along(folder):
    bring(folder, {"a": "", "b": ""})
    write(folder, "a", "caption", "a heron")
    bring(folder, {"b": ""})
    with Collection.open(folder / "idx") as collection:
        assert collection.info()["features"] == {}
        with pytest.raises(NotFound):
            collection.features("a")


def test_an_index_of_the_second_format_is_read_and_gets_features_from_the_next_writer(folder):
    bring(folder, {"a": "a dog", "b": ""})
    connection = sqlite3.connect(folder / "idx" / "catalog.sqlite")
    for name in ("feature_new", "feature_gone", "given_changed", "features_of_gone", "picture_changed"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("DROP TABLE features")
    connection.execute("ALTER TABLE records DROP COLUMN given")
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    with Collection.open(folder / "idx") as old:
        assert dict(old.features("a")) == {"caption": "a dog"}
        assert old.info()["features"] == {}
    write(folder, "b", "caption", "a heron")
    assert [caption(folder, name) for name in "ab"] == ["a dog", "a heron"]
    with Collection.open(folder / "idx") as new:
        assert new.info()["format"] == FORMAT
