"""The caption channel: which captions have rows, that they follow every change, and what is refused."""

import json

import numpy as np
import pytest
from store_samples import SketchEncoder, save

import mmretrieval as mm
from mmretrieval.captions import BATCH, drop_captions, encode_captions
from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.indexing import index
from mmretrieval.protocols import TextEncoder
from mmretrieval.searcher import Searcher


class Letters(TextEncoder):
    """A small honest encoder of texts: it counts letters, and keeps what it was asked."""

    dim = 26

    def __init__(self, seed=0):
        self.spec, self.seed, self.asked = f"letters {seed}", seed, []

    def encode_texts(self, texts):
        self.asked += texts
        counts = np.array([[text.lower().count(chr(97 + n)) + 0.1 for n in range(26)] for text in texts])
        counts = np.roll(counts.reshape(-1, 26), self.seed, axis=1)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)

    def too_long(self, texts):
        return [False] * len(texts)

    @property
    def fingerprint(self):
        return {"encoder": "letters", "seed": self.seed, "dim": 26}


CAPTIONS = {"a": "a dog", "b": "", "c": "cat", "d": "  ", "e": "zebra"}


@pytest.fixture
def pictures(tmp_path):
    for number, name in enumerate("abcdefghij"):
        save(tmp_path / "pictures" / f"{name}.png", number)
    bring(tmp_path / "pictures", CAPTIONS)
    return tmp_path / "pictures"


def bring(pictures, captions):
    lines = [{"id": name, "path": f"{name}.png", "caption": text} for name, text in captions.items()]
    (pictures / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index(pictures, pictures.parent / "index", encoder=SketchEncoder())


def encoded(pictures, encoder=None, spec="letters", **more):
    """What the encoder was asked for."""
    encoder = encoder or Letters()
    encode_captions(pictures.parent / "index", spec, encoder, **more)
    return encoder.asked


def check(pictures, captions, encoder=None):
    """Every caption has the row of its own text, and nothing else has one."""
    encoder = encoder or Letters()
    with Collection.open(pictures.parent / "index") as collection:
        wanted = sorted(name for name, text in captions.items() if text.strip())
        members = collection.members("caption")
        assert [collection.ids[position] for position in members] == wanted
        rows = collection.rows("caption")
        assert (rows.n, rows.dim) == (len(wanted), encoder.dim)
        expected = encoder.encode_texts([captions[name] for name in wanted])
        np.testing.assert_allclose(collection.vectors("caption", wanted), expected, atol=1e-3)
        assert collection.rows("image").n == collection.count


def test_captions_get_rows_and_records_without_one_get_none(pictures):
    assert encoded(pictures) == ["a dog", "cat", "zebra"]
    check(pictures, CAPTIONS)
    with Collection.open(pictures.parent / "index") as collection:
        assert collection.channels == {"image", "caption"}
        assert collection.info()["channels"]["caption"] == {"dim": 26, "rows": 3}
        with pytest.raises(NotFound, match="'b' has nothing in the channel 'caption'"):
            collection.vectors("caption", ["a", "b"])


def test_only_what_is_new_is_encoded_again(pictures):
    encoded(pictures)
    assert encoded(pictures) == []
    changed = {"a": "a dog", "b": "now something", "c": "a whale", "e": "", "f": "new", "g": ""}
    bring(pictures, changed)
    with Collection.open(pictures.parent / "index") as between:  # before the captions are brought up to date
        assert [between.ids[position] for position in between.members("caption")] == ["a"]
    assert sorted(encoded(pictures)) == ["a whale", "new", "now something"]
    check(pictures, changed)


def test_random_changes_leave_every_caption_with_its_own_row(pictures):
    rng = np.random.default_rng(5)
    for _ in range(8):
        names = [name for name in "abcdefghij" if rng.random() < 0.6] or ["a"]
        captions = {name: str(rng.choice(["", "dog", "two cats", "a heron", "sea"])) for name in names}
        bring(pictures, captions)
        encoded(pictures)
        check(pictures, captions)


def test_another_encoder_makes_the_channel_anew_and_readers_keep_theirs(pictures):
    encoded(pictures)
    with Collection.open(pictures.parent / "index") as before:
        rows = before.vectors("caption", ["a", "c"])
        assert len(encoded(pictures, Letters(3), spec="others")) == 3
        check(pictures, CAPTIONS, Letters(3))
        np.testing.assert_array_equal(before.vectors("caption", ["a", "c"]), rows)
    with Collection.open(pictures.parent / "index") as after:
        assert after.caption_facts == {"encoder": "others", "fingerprint": Letters(3).fingerprint}
    assert len(list((pictures.parent / "index" / "vectors" / "caption").glob("*.f16"))) == 1


def test_the_same_encoder_under_another_name_encodes_nothing_again(pictures):
    encoded(pictures)
    assert encoded(pictures, spec="moved") == []
    check(pictures, CAPTIONS)


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    save(tmp_path / "pictures" / "p.png", 1)
    lines = [{"id": f"n{n:03}", "path": "p.png", "caption": f"word {n}"} for n in range(BATCH + 40)]
    (tmp_path / "pictures" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index(tmp_path / "pictures", tmp_path / "index", encoder=SketchEncoder())
    answers = iter([False, True])
    done, seen = Letters(), []
    assert encode_captions(
        tmp_path / "index", "letters", done, stop=lambda: next(answers), progress=lambda *state: seen.append(state)
    ) == (BATCH, False)
    assert seen == [(BATCH, BATCH + 40)]
    assert len(encoded(tmp_path / "pictures")) == 40
    check(tmp_path / "pictures", {line["id"]: line["caption"] for line in lines})


def test_the_channel_can_be_taken_out_and_put_in_again(pictures):
    encoded(pictures)
    for _ in range(2):
        drop_captions(pictures.parent / "index")
        with Collection.open(pictures.parent / "index") as collection:
            assert collection.channels == {"image"}
            assert collection.caption_facts == {}
    assert len(encoded(pictures)) == 3
    check(pictures, CAPTIONS)


def test_the_text_tower_of_the_index_encodes_captions_and_later_runs_keep_them(pictures):
    into = pictures.parent / "index"
    report = mm.index(pictures, into, SketchEncoder(), captions="clip")
    assert report.captions == report.to_dict()["captions"] == 3
    check(pictures, CAPTIONS, SketchEncoder())
    changed = {**CAPTIONS, "b": "a boat"}
    lines = [{"id": name, "path": f"{name}.png", "caption": text} for name, text in changed.items()]
    (pictures / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert mm.index(pictures, into, SketchEncoder()).captions == 1
    check(pictures, changed, SketchEncoder())
    assert mm.index(pictures, into, SketchEncoder(), captions="none").captions == 0
    with Collection.open(into) as collection:
        assert collection.channels == {"image"}


def test_hybrid_search_finds_by_the_sense_of_captions_too(pictures):
    into = pictures.parent / "index"
    mm.index(pictures, into, SketchEncoder(), captions="clip")
    for method in ("rrf", "blend"):
        with Searcher.open(into, encoder=SketchEncoder(), hybrid=method) as searcher:
            ranking = searcher.search("zebra", top_k=5)
            assert ranking.ids[0] == "e"
            assert sorted(ranking.ids) == list("abcde")
            assert set(ranking.hits[0].scores) == {"image", "bm25", "caption"}
            assert all(hit.score == sum(hit.scores.values()) for hit in ranking.hits)
            assert {hit.scores["caption"] for hit in ranking.hits if hit.id in "bd"} == {0.0}


@pytest.mark.parametrize("spec", ["", "clips", "sentence", "all-MiniLM-L6-v2"])
def test_an_unknown_way_to_encode_captions_is_refused_before_anything_is_loaded(pictures, spec):
    with pytest.raises(UsageError, match="use clip, sentence:NAME_OR_FOLDER, or none"):
        mm.index(pictures, pictures.parent / "other", SketchEncoder(), captions=spec)
    assert not (pictures.parent / "other").exists()
