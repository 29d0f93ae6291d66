"""Dense search by value: each query against its formula, written out slowly."""

import hashlib
from types import MappingProxyType

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, unit
from PIL import Image

from mmretrieval.errors import NotFound, UnreadableImage, UsageError
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.protocols import Encoder
from mmretrieval.types import ImageRecord, Query

DIM = 24


class CountingEncoder(Encoder):
    """Vectors drawn from the hash of what is encoded; it keeps what it was asked, and reads five words."""

    spec, dim, input_size = "counting", DIM, 16
    fingerprint = MappingProxyType({})

    def __init__(self):
        self.texts, self.images = [], []

    def vector(self, data: bytes):
        return np.random.default_rng(int.from_bytes(hashlib.sha256(data).digest()[:8], "little")).normal(size=DIM) + 0.5

    def encode_images(self, images):
        self.images.append(len(images))
        return unit([self.vector(image.tobytes()) for image in images])

    def encode_texts(self, texts):
        self.texts.append(list(texts))
        return unit([self.vector(text.encode()) for text in texts])

    def too_long(self, texts):
        return [len(text.split()) > 5 for text in texts]


class Pictures:
    """A collection of ids with unit vectors, in sorted order."""

    def __init__(self, matrix, ids=None):
        self.ids = ids or [f"p{number:02}" for number in range(len(matrix))]
        self.matrix = MemoryRows(matrix)
        stored = self.matrix.matrix.astype(np.float64)
        self.image_mean = (stored.sum(axis=0) / max(1, len(stored))).astype(np.float32)
        self.text_mean = random_unit(1, DIM, seed=77)[0] * 0.4

    def rows(self, channel="image"):
        assert channel == "image"
        return self.matrix

    def position(self, record_id):
        if record_id not in self.ids:
            raise NotFound(f"no picture has the id '{record_id}'")
        return self.ids.index(record_id)

    def records_at(self, positions):
        return [ImageRecord(self.ids[position], f"folder/{self.ids[position]}.jpg") for position in positions]


@pytest.fixture
def collection():
    return Pictures(unit(random_unit(40, DIM) + 0.3))


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
def dense(encoder, collection):
    return Dense(encoder, collection, Exact(collection.rows()))


def slow(collection, vector, exclude=(), within=None):
    """Ids and scores of all allowed pictures for a query vector, best first, ties by id."""
    scores = collection.matrix.matrix.astype(np.float64) @ np.asarray(vector, np.float64)
    allowed = [
        at for at, name in enumerate(collection.ids) if name not in exclude and (within is None or name in within)
    ]
    order = sorted(allowed, key=lambda at: (-scores[at], at))
    return [collection.ids[at] for at in order], [scores[at] for at in order]


def assert_ranked(ranking, expected, top_k):
    ids, scores = expected
    assert ranking.ids == ids[:top_k]
    np.testing.assert_allclose([hit.score for hit in ranking.hits], scores[:top_k], atol=2e-6)


PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 20, 3), dtype=np.uint8))


def test_words_are_compared_by_cosine(dense, collection, encoder):
    (ranking,) = dense.search([Query("q", text="a dog")], 7)
    assert_ranked(ranking, slow(collection, encoder.encode_texts(["a dog"])[0]), 7)
    first = ranking.hits[0]
    assert (first.by, first.path) == ("dense", f"folder/{first.id}.jpg")
    assert first.why == f"cosine {first.score:.2f} to the words"
    assert first.scores == {"image": first.score}
    assert ranking.warnings == ()


@pytest.mark.parametrize("way", ["opened", "file"])
def test_a_picture_is_compared_by_cosine(dense, collection, encoder, tmp_path, way):
    PICTURE.save(tmp_path / "query.png")
    image = PICTURE if way == "opened" else tmp_path / "query.png"
    (ranking,) = dense.search([Query("q", image=image)], 7)
    assert_ranked(ranking, slow(collection, encoder.encode_images([PICTURE])[0]), 7)
    assert ranking.hits[0].why.endswith("to the picture")


def test_an_opened_picture_is_prepared_like_a_file(dense, tmp_path):
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    turned = PICTURE.copy()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    for name in ("clear.png", "turned.png"):
        with Image.open(tmp_path / name) as opened:
            rankings = dense.search([Query("a", image=tmp_path / name), Query("b", image=opened)], 40)
        assert rankings[0].hits == rankings[1].hits


def test_an_id_uses_the_stored_row_and_encodes_nothing(dense, collection, encoder):
    (ranking,) = dense.search([Query("q", image_id="p07")], 5)
    assert ranking.ids[0] == "p07"
    assert_ranked(ranking, slow(collection, unit(collection.rows().take([7])[0])), 5)
    assert encoder.images == encoder.texts == []


def test_a_picture_asked_by_id_comes_before_its_copies(encoder):
    matrix = random_unit(6, DIM)
    matrix[[1, 4]] = matrix[3]
    copies = Pictures(matrix)
    dense = Dense(encoder, copies, Exact(copies.rows()))
    for top_k, expected in ((1, ["p03"]), (3, ["p03", "p01", "p04"])):
        assert dense.search([Query("q", image_id="p03")], top_k)[0].ids == expected
    assert dense.search([Query("q", image_id="p03", exclude=frozenset({"p03"}))], 2)[0].ids == ["p01", "p04"]
    within = frozenset({"p00", "p04"})
    assert dense.search([Query("q", image_id="p03", within=within)], 9)[0].ids == ["p04", "p00"]


@pytest.mark.parametrize("weights", [{}, {"text": 2.0}, {"image": 0.3, "text": 0.7}, {"image": 1.0, "text": -0.5}])
def test_picture_and_words_follow_the_formula_of_the_centred_sum(dense, collection, encoder, weights):
    (ranking,) = dense.search([Query("q", text="a dog", image=PICTURE, weights=weights)], 40)
    x_i, x_t = encoder.encode_images([PICTURE])[0], encoder.encode_texts(["a dog"])[0]
    a = (x_i - collection.image_mean) / np.linalg.norm(x_i - collection.image_mean)
    b = (x_t - collection.text_mean) / np.linalg.norm(x_t - collection.text_mean)
    q = weights.get("image", 1.0) * a + weights.get("text", 1.0) * b
    assert_ranked(ranking, slow(collection, q / np.linalg.norm(q)), 40)


def test_the_shares_of_picture_and_words_add_up_to_the_score(dense):
    (ranking,) = dense.search([Query("q", text="a dog", image=PICTURE, weights={"text": 0.6})], 40)
    for hit in ranking.hits:
        words = hit.why.replace("- ", "-").replace("+ ", "")
        shares = [float(word) for word in words.split() if word.lstrip("-")[0].isdigit()]
        assert len(shares) == 2
        assert sum(shares) == pytest.approx(hit.score, abs=0.0101)
        assert "from the picture" in hit.why
        assert "from the words" in hit.why


def test_a_composed_query_by_id_returns_its_reference_unless_it_is_excluded(dense, collection):
    query = Query("q", text="a dog", image_id="p07", weights={"image": 5.0})
    assert "p07" in dense.search([query], 40)[0].ids
    without = Query("q", text="a dog", image_id="p07", weights={"image": 5.0}, exclude=frozenset({"p07"}))
    rest = dense.search([without], 40)[0]
    assert "p07" not in rest.ids
    assert len(rest.ids) == 39


def test_the_weights_one_and_zero_are_the_plain_searches_bit_for_bit(dense):
    plain_words, plain_picture, plain_id = dense.search(
        [Query("q", text="a dog"), Query("q", image=PICTURE), Query("q", image_id="p05")], 40
    )
    words, picture, by_id = dense.search(
        [
            Query("q", text="a dog", image=PICTURE, weights={"image": 0.0}),
            Query("q", text="a dog", image=PICTURE, weights={"text": 0.0}),
            Query("q", text="a dog", image_id="p05", weights={"text": 0.0, "image": 3.0}),
        ],
        40,
    )
    assert words.hits == plain_words.hits
    assert picture.hits == plain_picture.hits
    assert by_id.hits == plain_id.hits


def test_a_negative_weight_alone_turns_the_order_round(dense):
    plain, against, by_id = dense.search(
        [
            Query("q", text="a dog"),
            Query("q", text="a dog", weights={"text": -1.0}),
            Query("q", image_id="p05", weights={"image": -1.0}),
        ],
        40,
    )
    assert against.ids == plain.ids[::-1]
    assert against.hits[0].why.endswith("against the words")
    assert by_id.ids[-1] == "p05"


@pytest.mark.parametrize(
    "query",
    [
        Query("lost", text="a dog", weights={"text": 0}),
        Query("lost", text="a dog", image=PICTURE, weights={"text": 0, "image": 0}),
    ],
)
def test_a_query_without_any_weight_is_refused(dense, query):
    with pytest.raises(UsageError, match="query 'lost' gives no weight"):
        dense.search([Query("fine", text="a dog"), query], 5)


def test_a_collection_of_one_picture_can_be_searched_in_every_way(encoder):
    """Its mean is the picture itself, so nothing is left of it after centring."""
    one = Pictures(random_unit(1, DIM))
    dense = Dense(encoder, one, Exact(one.rows()))
    queries = [Query("t", text="a"), Query("i", image_id="p00"), Query("c", text="a", image_id="p00")]
    assert [ranking.ids for ranking in dense.search(queries, 3)] == [["p00"]] * 3


def test_an_empty_collection_gives_empty_rankings(encoder):
    empty = Pictures(np.empty((0, DIM)), ids=[])
    dense = Dense(encoder, empty, Exact(empty.rows()))
    assert [r.ids for r in dense.search([Query("t", text="a"), Query("c", text="a", image=PICTURE)], 3)] == [[], []]


def test_restrictions_hold_and_are_exact(dense, collection, encoder):
    within, exclude = frozenset({"p01", "p02", "p09"}), frozenset({"p02"})
    (ranking,) = dense.search([Query("q", text="a dog", within=within, exclude=exclude)], 9)
    assert_ranked(ranking, slow(collection, encoder.encode_texts(["a dog"])[0], exclude, within), 9)
    assert dense.search([Query("q", text="a dog", within=frozenset())], 9)[0].ids == []


def test_unknown_ids_in_restrictions_are_told(dense):
    query = Query("q7", text="a dog", within=frozenset({"p01", "zz", "yy"}), exclude=frozenset({"gone"}))
    (ranking,) = dense.search([query], 9)
    assert ranking.ids == ["p01"]
    assert ranking.warnings == (
        "query 'q7': 2 of the ids to search within are not in this collection, such as 'yy'",
        "query 'q7': 1 of the ids to leave out are not in this collection, such as 'gone'",
    )


def test_a_text_that_is_cut_off_is_told_on_its_own_ranking_alone(dense):
    short, long, unread = dense.search(
        [
            Query("a", text="a dog"),
            Query("b", text="a dog and two cats on a sofa"),
            Query("c", text="a dog and two cats on a sofa", image_id="p01", weights={"text": 0}),
        ],
        3,
    )
    assert short.warnings == unread.warnings == ()
    assert long.warnings == ("query 'b': the text is longer than the model can read, and its end was left out",)


def test_mixed_queries_together_equal_each_alone_and_are_encoded_in_one_go(dense, encoder):
    queries = [
        Query("a", text="a dog"),
        Query("b", image=PICTURE),
        Query("c", text="a cat", image_id="p03"),
        Query("d", text="a dog", within=frozenset({"p01", "p05"})),
        Query("e", image_id="p09"),
        Query("f", text="a dog", image=PICTURE.rotate(90, expand=True), exclude=frozenset({"p01"})),
    ]
    together = dense.search(queries, 6)
    assert encoder.texts == [["a cat", "a dog"]]
    assert encoder.images == [2]
    assert [ranking.query for ranking in together] == queries
    assert together == [dense.search([query], 6)[0] for query in queries]


def test_an_unknown_id_is_named_with_its_query(dense):
    with pytest.raises(NotFound, match=r"query 'q3'.*'nobody'"):
        dense.search([Query("q3", image_id="nobody")], 5)


def test_pictures_that_cannot_be_read_are_named(dense, tmp_path):
    with pytest.raises(NotFound, match=r"missing\.jpg"):
        dense.search([Query("q", image=tmp_path / "missing.jpg")], 5)
    PICTURE.resize((300, 300)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:2000])
    with pytest.raises(UnreadableImage, match=r"cut\.png"):
        dense.search([Query("q", image=tmp_path / "cut.png")], 5)
    with Image.open(tmp_path / "cut.png") as lazy, pytest.raises(UnreadableImage, match="the picture of query 'lazy'"):
        dense.search([Query("lazy", image=lazy)], 5)
