"""Search for words: what is found, what is refused and what is said."""

import json

import pytest
from example_stages import MemoryCollection
from slow_bm25 import bm25
from store_samples import SketchEncoder, save

from mmretrieval.collection import Collection
from mmretrieval.first_stages.bm25 import Bm25
from mmretrieval.indexing import index
from mmretrieval.types import Part, Query

CAPTIONS = {
    "a": "heron in the reeds",
    "b": "heron heron",
    "c": "a boat near the reeds",
    "d": "",
    "e": "sea",
    "f": "sky",
    "g": "sun",
}
SEEN = {"c": "2024", "e": "2023"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("words")
    lines = []
    for number, (name, caption) in enumerate(CAPTIONS.items()):
        save(place / "pictures" / f"{name}.png", number)
        lines.append({"id": name, "path": f"{name}.png", "caption": caption, "seen": SEEN.get(name, "never")})
    (place / "pictures" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    index(place / "pictures", place / "index", encoder=SketchEncoder())
    return place / "index"


@pytest.fixture
def collection(folder):
    with Collection.open(folder) as opened:
        yield opened


def found(collection, query, top_k=10):
    [ranking] = Bm25(collection).search([query], top_k)
    return ranking


def test_hits_are_those_of_a_slow_bm25_with_path_and_reason(collection):
    texts = {name: [*text.split(), SEEN.get(name, "never")] for name, text in CAPTIONS.items()}
    slow = bm25(texts, ["heron", "reeds"])
    ranking = found(collection, Query("q", text="Heron, reeds"))
    assert {hit.id: hit.score for hit in ranking.hits} == pytest.approx(slow)
    assert ranking.ids == sorted(slow, key=lambda name: (-slow[name], name)) == ["a", "b", "c"]
    assert [hit.path for hit in ranking.hits] == ["a.png", "b.png", "c.png"]
    assert all(hit.scores == {"bm25": hit.score} and hit.by == "bm25" for hit in ranking.hits)
    assert ranking.hits[0].why == "its caption or metadata has some of: heron, reeds"


def test_restrictions_hold_and_leave_the_scores_as_they_are(collection):
    free = {hit.id: hit.score for hit in found(collection, Query("q", text="heron reeds")).hits}
    for query, ids in (
        (Query("q", text="heron reeds", within=frozenset("bcd")), "bc"),
        (Query("q", text="heron reeds", exclude=frozenset("a")), "bc"),
        (Query("q", text="heron reeds", unlike=("c",)), "ab"),
        (Query("q", text="heron reeds", filter="seen = '2024'"), "c"),
        (Query("q", text="heron reeds", filter="seen = 'never'", within=frozenset("ac")), "a"),
        (Query("q", text="heron reeds", within=frozenset("d")), ""),
    ):
        ranking = found(collection, query)
        assert ranking.ids == list(ids)
        assert {hit.id: hit.score for hit in ranking.hits} == {name: free[name] for name in ids}


def test_ids_that_are_not_here_are_told(collection):
    ranking = found(collection, Query("q", text="heron", exclude=frozenset({"zz"})))
    assert ranking.warnings == ("query 'q': 1 of the ids to leave out are not in this collection, such as 'zz'",)


@pytest.mark.parametrize(
    "query",
    [
        Query("q", image_id="a"),
        Query("q", text="heron", image_id="a", weights={"text": 0}),
        Query("q", text="heron", weights={"text": -1}),
        Query("q", like=("a",), parts=(Part(text="heron", weight=-1),)),
    ],
    ids=["picture", "words of no weight", "words to lead away from", "minus"],
)
def test_a_query_without_words_finds_nothing_and_is_told(collection, query):
    ranking = found(collection, query)
    assert ranking.hits == ()
    assert [step.status for step in ranking.steps] == ["partial"]
    assert "'bm25' searches by words" in ranking.warnings[0]


def test_words_of_further_parts_count_too(collection):
    query = Query("q", text="heron", parts=(Part(text="boat"), Part(text="sea", weight=-1)))
    assert set(found(collection, query).ids) == {"a", "b", "c"}


def test_an_endless_query_is_told_what_was_not_looked_up(collection):
    query = Query("q", text=" ".join(["heron", *(f"x{number}" for number in range(200))]))
    ranking = found(collection, query)
    assert set(ranking.ids) == {"a", "b"}
    assert ranking.warnings == ("query 'q': of its words only the first 128 were looked up",)


def test_a_collection_without_any_words_says_so():
    pictures = MemoryCollection(3)
    pictures.captions = ["", "", ""]
    [ranking] = Bm25(pictures).search([Query("q", text="soup")], 3)
    assert ranking.hits == ()
    assert "no picture of this index has a caption or metadata" in ranking.warnings[0]
