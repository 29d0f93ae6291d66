"""Words of captions and metadata: what is found, how it is scored, and that it never falls out of step."""

import json
import re
import sqlite3

import numpy as np
import pytest
from format_1 import take_back
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_bm25 import bm25
from store_samples import SketchEncoder, save

from mmretrieval.catalog import FORMAT, Catalog
from mmretrieval.collection import Collection
from mmretrieval.errors import InvalidData, StorageError
from mmretrieval.full_text import searchable
from mmretrieval.indexing import index
from mmretrieval.lexicon import MOST_WORDS
from mmretrieval.lock import sole_writer

CAPTIONS = {
    "b": "a dog runs on the wide beach",
    "a": "a dog runs on the wide beach",
    "c": "two dogs, and a cat: asleep on a sofa in the house",
    "d": "Un été à la plage",
    "e": "犬の写真",
    "f": "",
    "g": "... !",
    "h": "a bowl of soup with bread",
    "i": "a red house",
}
META = {"c": {"tags": ["beach", {"place": "Zürich"}], "stars": 5, "dog": True}, "f": {"title": "soup kitchen"}}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for number, name in enumerate(CAPTIONS):
        save(folder / f"{name}.png", number)
    return folder


def bring(pictures, captions, meta=META):
    """Index exactly these records."""
    lines = [
        {"id": name, "path": f"{name}.png", "caption": text, **meta.get(name, {})} for name, text in captions.items()
    ]
    (pictures / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return index(pictures, pictures.parent / "index", encoder=SketchEncoder())


@pytest.fixture
def collection(pictures):
    bring(pictures, CAPTIONS)
    with Collection.open(pictures.parent / "index") as opened:
        yield opened


def found(collection, text, **given):
    positions, scores = collection.lexical(text, **given)
    assert len(positions) == len(scores)
    return {
        collection.ids[position]: score for position, score in zip(positions.tolist(), scores.tolist(), strict=True)
    }


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("dog", "abc"),
        ("DOGS", "abc"),
        ("ete", "d"),
        ("ÉTÉ", "d"),
        ("e\u0301te\u0301", "d"),
        ("zurich", "c"),
        ("beach", "abc"),
        ("写真", "e"),
        ("犬", "e"),
        ("soup!", "hf"),
        ("red-haired", "i"),
        ("sleeping", ""),
        ("tags", ""),
        ("place", ""),
        ("true", ""),
        ("5", ""),
    ],
)
def test_words_are_found_whatever_their_case_accents_or_english_ending(collection, text, ids):
    assert set(found(collection, text)) == set(ids)


@pytest.mark.parametrize(
    "text",
    ["", " ", '"', "''", '"dog', "dog OR", "NEAR(", "AND", "dog*", "^", "text:", "-", "(((", "\0", "a\0b", "\ud800",
     "%_", "😀", "words MATCH 'x'; DROP TABLE words", "{", "+", "\\"],
)  # fmt: skip
def test_no_text_is_a_syntax_error(collection, text):
    scores = found(collection, text)
    assert set(scores) <= set(CAPTIONS)
    assert ("a" in scores) == bool({"a", "dog"} & set(re.findall("[a-z]+", text)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text())
def test_any_text_is_looked_up_and_a_caption_of_its_own_is_found_by_it(collection, text):
    found(collection, text)
    assert "h" in found(collection, f"{text} soup")


def tokens(collection, name):
    """The words of a record as SQLite cuts them, read from a table of their own."""
    record = collection.record(name)
    text = searchable(record.caption, json.dumps(dict(record.meta)))
    return stems(text)


def stems(text):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE one USING fts5(text, tokenize='porter unicode61 remove_diacritics 2')")
    connection.execute("CREATE VIRTUAL TABLE cut USING fts5vocab(one, 'instance')")
    connection.execute("INSERT INTO one VALUES (?)", [text])
    rows = connection.execute("SELECT term FROM cut ORDER BY offset").fetchall()
    connection.close()
    return [term for (term,) in rows]


QUERIES = ["dog", "a dog on the beach", "soup house", "two cats in a red house with bread", "été 犬", "the a of"]


@pytest.mark.parametrize("text", QUERIES)
def test_scores_are_those_of_a_slow_bm25(collection, text):
    texts = {name: cut for name in collection.ids if (cut := tokens(collection, name))}
    weights = {word: len([1 for cut in texts.values() if word in cut]) for word in stems(text)}
    telling = [word for word in weights if 0 < 2 * weights[word] < len(texts)] or list(weights)
    slow = bm25(texts, telling)
    fast = found(collection, text)
    assert fast.keys() == slow.keys()
    assert fast == pytest.approx(slow, rel=1e-12)
    assert slow, "a query that finds nothing compares nothing"


def test_equal_scores_stand_by_id_and_fewer_are_the_head_of_more(collection):
    everything = found(collection, "a dog on the beach")
    assert list(everything)[:2] == ["a", "b"]
    assert everything["a"] == everything["b"]
    for k in range(len(everything) + 2):
        assert list(found(collection, "a dog on the beach", top_k=k)) == list(everything)[:k]


def test_a_search_within_positions_keeps_order_and_scores(collection):
    everything = found(collection, "a dog on the beach")
    inside = np.array([collection.position("b"), collection.position("c"), collection.position("e")])
    assert found(collection, "a dog on the beach", within=inside) == {name: everything[name] for name in "bc"}
    assert found(collection, "a dog on the beach", within=np.array([], dtype=np.int64)) == {}


def test_only_the_first_words_of_an_endless_query_are_looked_up(collection):
    noise = " ".join(f"x{number}" for number in range(MOST_WORDS))
    assert found(collection, f"soup {noise}") == found(collection, "soup")
    assert found(collection, f"{noise} soup") == {}


def test_words_follow_every_change_of_the_records(pictures):
    rng = np.random.default_rng(3)
    vocabulary = ["dog", "cat", "house", "red", "soup", "beach", "wide", "été"]
    names = list(CAPTIONS)
    for _ in range(12):
        kept = [name for name in names if rng.random() < 0.7] or names[:1]
        captions = {name: " ".join(rng.choice(vocabulary, rng.integers(0, 6))) for name in kept}
        meta = {name: {"note": str(rng.choice(vocabulary))} for name in kept if rng.random() < 0.5}
        bring(pictures, captions, meta)
        with Collection.open(pictures.parent / "index") as collection:
            texts = {name: cut for name in collection.ids if (cut := tokens(collection, name))}
            for word in vocabulary:
                [stem] = stems(word)
                assert found(collection, word) == pytest.approx(bm25(texts, [stem]), rel=1e-12)


def test_a_snapshot_keeps_its_words_while_a_writer_changes_them(collection, pictures):
    before = found(collection, "dog")
    bring(pictures, {"a": "a whale", "h": "dog"})
    assert found(collection, "dog") == before
    with collection.refresh() as newest:
        assert set(found(newest, "dog")) == {"h"}
        assert set(found(newest, "whale")) == {"a"}


def test_an_index_of_the_first_format_is_read_and_gets_its_words_from_the_next_writer(pictures):
    bring(pictures, CAPTIONS)
    folder = pictures.parent / "index"
    with Collection.open(folder) as collection:
        expected = {text: found(collection, text) for text in QUERIES}
        version = collection.version
    take_back(folder)
    with Collection.open(folder) as old:
        assert old.info()["format"] == 1
        assert old.record("a").caption == CAPTIONS["a"]
        assert old.rows().n == len(CAPTIONS)
        with pytest.raises(
            InvalidData, match=r"made by an earlier version.*bring it up to date with: mmretrieval index"
        ):
            old.lexical("dog")
    report = bring(pictures, CAPTIONS)
    assert (report.indexed, report.unchanged) == (0, len(CAPTIONS))
    with Collection.open(folder) as new:
        assert new.info()["format"] == FORMAT == 3
        assert {text: found(new, text) for text in QUERIES} == expected
        assert new.version != version
    bring(pictures, {**CAPTIONS, "a": "a whale"})
    with Collection.open(folder) as new:
        assert set(found(new, "whale")) == {"a"}
        assert set(found(new, "dog")) == {"b", "c"}


def test_a_migration_that_fails_leaves_the_old_index_as_it_was(pictures):
    bring(pictures, CAPTIONS)
    folder = pictures.parent / "index"
    take_back(folder)
    connection = sqlite3.connect(folder / "catalog.sqlite")
    connection.execute("UPDATE records SET meta = 'no JSON' WHERE id = 'c'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError), sole_writer(folder):
        Catalog.open_writer(folder)
    with Collection.open(folder) as old:
        assert old.info()["format"] == 1
        assert old.rows().n == len(CAPTIONS)


def test_the_searchable_text_of_a_format_never_changes():
    """Records are taken out of the table by this text: another text needs another format."""
    assert (
        searchable("A dog", '{"a": ["x", {"b": "Zürich ﬁne"}], "n": 3, "t": true, "z": null}')
        == "A dog\nx\nZürich fine"
    )
    assert searchable("犬の写真 ok", "{}") == " 犬  の  写  真  ok"
    assert searchable("...", '{"n": 1}') == ""
    assert searchable("", "{}") == ""
