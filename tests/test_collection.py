import gc
import json
import threading
import weakref

import numpy as np
import pytest
from store_samples import SketchEncoder, picture, save

from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.indexing import index
from mmretrieval.searcher import Searcher


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    entries = []
    for number in range(12):
        save(folder / f"{number}.png", number)
        entries.append({"id": f"n{number}", "path": f"{number}.png", "caption": f"number {number}", "n": number})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)))
    index(folder, tmp_path / "index", encoder=SketchEncoder(), batch_size=5)
    return folder


@pytest.fixture
def collection(pictures):
    with Collection.open(pictures.parent / "index") as opened:
        yield opened


def test_ids_are_sorted_and_positions_are_their_ranks(collection):
    assert collection.ids == sorted(f"n{number}" for number in range(12))
    assert [collection.position(record_id) for record_id in collection.ids] == list(range(12))
    assert collection.count == len(collection.ids)


def test_records_come_in_the_order_asked_for_also_twice_and_in_large_numbers(collection):
    ids = ["n3", "n11", "n3", "n0"] * 400
    records = collection.records(ids)
    assert [record.id for record in records] == ids
    assert records[1].to_dict() == {"id": "n11", "path": "11.png", "caption": "number 11", "meta": {"n": 11}}
    assert collection.records([]) == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.record("n12"),
        lambda c: c.records(["n1", "n12"]),
        lambda c: c.position("n12"),
        lambda c: c.path("n12"),
        lambda c: c.open_image("n12"),
        lambda c: c.vectors("image", ["n12"]),
    ],
    ids=["record", "records", "position", "path", "open_image", "vectors"],
)
def test_an_unknown_id_is_named(collection, ask):
    with pytest.raises(
        NotFound, match=r"no picture has the id 'n12'; list them with: mmretrieval info --index .* --files"
    ):
        ask(collection)


def test_vectors_and_rows_agree_with_the_encoder(collection):
    expected = SketchEncoder().encode_images([collection.open_image(i, min_side=16) for i in collection.ids])
    assert np.abs(collection.vectors("image", collection.ids) - expected).max() < 1e-3
    assert np.array_equal(collection.rows().take(np.arange(12)), collection.vectors("image", collection.ids))
    assert np.allclose(collection.image_mean, expected.mean(axis=0), atol=1e-3)
    assert collection.rows() is collection.rows()
    with pytest.raises(NotFound, match="there is no channel 'caption'; this index has: image"):
        collection.rows("caption")
    assert collection.channels == {"image"}


def test_the_means_have_the_values_of_the_rows_whatever_their_order_on_disk(collection):
    rows = collection.vectors("image", collection.ids).astype(np.float64)
    assert np.array_equal(collection.image_mean, (rows.sum(axis=0) / 12).astype(np.float32))
    assert collection.image_mean.dtype == collection.text_mean.dtype == np.float32


def test_a_picture_opens_as_it_is_and_says_so_when_it_is_gone(collection, pictures):
    assert np.array_equal(np.asarray(collection.open_image("n7")), np.asarray(picture(7)))
    assert collection.path("n7") == pictures / "7.png"
    (pictures / "7.png").unlink()
    with pytest.raises(NotFound, match=r"^7\.png: no such file$"):
        collection.open_image("n7")
    (pictures / "8.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"^8\.png: the file is empty$"):
        collection.open_image("n8")


def test_info_counts_and_names_what_is_there(collection, pictures):
    info = collection.info()
    assert json.loads(json.dumps(info)) == info
    assert info["counts"] == {"records": 12, "indexed": 12, "duplicate": 0, "skipped": 0, "ignored": 0}
    assert info["channels"] == {"image": {"dim": 24, "rows": 12}}
    assert info["bytes"]["vectors"] == 12 * 24 * 2
    assert (info["encoder"], info["fingerprint"]) == ("sketch", SketchEncoder().fingerprint)
    assert (info["root"], info["source"], info["is_drawn"]) == (str(pictures), "manifest", False)


def test_a_snapshot_stays_while_a_writer_adds_changes_and_removes(collection, pictures):
    ids, vectors, key = collection.ids, collection.vectors("image", collection.ids), collection.rows().key
    entries = [{"id": "n1", "path": "1.png", "caption": "changed"}, {"id": "new", "path": "2.png"}]
    (pictures / "manifest.jsonl").write_text("\n".join(map(json.dumps, entries)))
    save(pictures / "1.png", 100)
    index(pictures, collection.index, encoder=SketchEncoder())
    assert collection.ids == ids
    assert collection.record("n1").caption == "number 1"
    assert len(list(collection.files())) == 12
    assert np.array_equal(collection.vectors("image", ids), vectors)
    with collection.refresh() as newest:
        assert newest is not collection
        assert newest.ids == ["n1", "new"]
        assert newest.record("n1").caption == "changed"
        assert newest.rows().key != key
        assert not np.array_equal(newest.vectors("image", ["n1"]), collection.vectors("image", ["n1"]))
        assert newest.refresh() is newest
    assert np.array_equal(collection.vectors("image", ids), vectors)


def test_two_openings_of_the_same_state_have_the_same_key(collection):
    with Collection.open(collection.index) as other:
        assert other.rows().key == collection.rows().key
        assert other.version == collection.version


def test_many_threads_may_share_a_collection(collection):
    wrong = []

    def look(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            ids = [f"n{number}" for number in rng.integers(0, 12, 5)]
            if [record.id for record in collection.records(ids)] != ids:
                wrong.append(ids)
            if collection.vectors("image", ids).shape != (5, 24):
                wrong.append(ids)

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("hybrid", [None, "rrf", "blend"])
def test_what_is_closed_is_gone_at_once_and_waits_for_no_garbage_collection(pictures, hybrid):
    """Else mapped files and the connection would stay for as long as the program makes no other rubbish."""
    gc.collect()
    gc.disable()
    try:
        searcher = Searcher.open(pictures.parent / "index", encoder=SketchEncoder(), hybrid=hybrid)
        searcher.search("number 3", top_k=2, filter="n < 5")
        collection = searcher.collection
        collection.matching("n = 3")
        collection.fields()
        collection.lexical("number")
        collection.vectors("image", collection.ids[:2])
        collection.open_image("n1").close()
        collection.info()
        left = [weakref.ref(each) for each in (searcher, collection, collection._catalog, collection._order)]
        searcher.close()
        del searcher, collection
        assert [each() for each in left] == [None] * 4
    finally:
        gc.enable()
