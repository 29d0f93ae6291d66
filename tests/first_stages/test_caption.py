"""Search by the sense of captions, and why its scores are calibrated before they stand beside those of pictures."""

import numpy as np
import pytest
from example_stages import Brute, MemoryCollection, MemoryRows

from mmretrieval.first_stages.bm25 import Bm25
from mmretrieval.first_stages.caption import Caption
from mmretrieval.first_stages.dense import Dense
from mmretrieval.first_stages.hybrid import Hybrid
from mmretrieval.protocols import Encoder
from mmretrieval.types import Query

DIM, LATENT, SIZE = 128, 32, 1500


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class World(MemoryCollection):
    """Pictures and captions of hidden meanings, in one space with a gap between the two kinds, as CLIP has.

    Pictures share one mean and captions another, which is longer than all that tells them apart. Every second record
    has a caption.
    """

    channels = frozenset({"image", "caption"})

    def __init__(self, seed=0, size=SIZE):
        super().__init__(size, DIM)
        self.ids = [f"w{number:05}" for number in range(size)]
        self.captions = [""] * size
        rng = np.random.default_rng(seed)
        self.rng, self.lift = rng, rng.normal(size=(LATENT, DIM)) / np.sqrt(DIM)
        self.means = {"image": unit(rng.normal(size=DIM)), "caption": unit(rng.normal(size=DIM))}
        self.meanings = unit(rng.normal(size=(size, LATENT)))
        self.matrix = self.seen(self.meanings, "image").astype(np.float32)
        self.image_mean, self.text_mean = self.matrix.mean(axis=0), self.means["caption"].astype(np.float32)
        self.written = np.arange(0, size, 2)
        self.texts = self.seen(self.meanings[self.written], "caption").astype(np.float32)

    def seen(self, meanings, kind, rng=None):
        noise = (rng or self.rng).normal(size=(len(meanings), DIM)) * 0.4 / np.sqrt(DIM)
        return unit(self.means[kind] * 0.8 + 0.6 * unit(meanings @ self.lift + noise))

    def rows(self, channel="image"):
        return MemoryRows(self.matrix if channel == "image" else self.texts)

    def members(self, channel):
        return np.arange(self.count) if channel == "image" else self.written


class Writer(Encoder):
    """Encodes "w00012" as a text about the meaning of that record."""

    spec, dim, input_size, fingerprint = "writer", DIM, 8, {}

    def __init__(self, world):
        self.world = world

    def encode_images(self, images):
        raise NotImplementedError

    def encode_texts(self, texts):
        about = [
            self.world.seen(self.world.meanings[[int(text[1:])]], "caption", np.random.default_rng(int(text[1:])))
            for text in texts
        ]
        return np.concatenate(about).astype(np.float32)

    def too_long(self, texts):
        return [False] * len(texts)


def search_of(world):
    writer = Writer(world)
    caption = Caption(writer, world, Brute(world.rows("caption")))
    dense = Dense(writer, world, Brute(world.rows()))
    return caption, dense, Hybrid(world, dense, Bm25(world), caption, method="blend")


def without_captions(world, count=60):
    """Queries about records that have a picture and no caption."""
    return [Query(world.ids[at], text=world.ids[at]) for at in range(1, 2 * count, 2)]


def test_raw_cosines_return_captions_whatever_is_sought():
    """One index of both kinds, ranked by cosine: more than 95 % of the first ten are captions."""
    world = World()
    both = np.concatenate([world.matrix, world.texts])
    queries = Writer(world).encode_texts([query.text for query in without_captions(world)])
    tops = np.argsort(-(queries @ both.T), axis=1)[:, :10]
    assert (tops >= SIZE).mean() > 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_calibrated_merge_finds_the_picture_behind_the_gap(seed):
    world = World(seed)
    _, _, hybrid = search_of(world)
    rankings = hybrid.search(without_captions(world), 10)
    found = [ranking.query.id in ranking.ids for ranking in rankings]
    assert np.mean(found) >= 0.9


def test_the_merge_equals_calibrated_scores_of_each_kind_added_by_hand():
    world = World(size=200)
    caption, dense, hybrid = search_of(world)
    query = Query("w00007", text="w00007")
    z = {}
    for name, stage in (("image", dense), ("caption", caption)):
        scores = {hit.id: hit.score for hit in stage.search([query], 200)[0].hits}
        values = np.array(list(scores.values()))
        unit_of = values.std() * np.sqrt(2 * np.log(200))
        z[name] = {record: (score - values.mean()) / unit_of for record, score in scores.items()}
    ranking = hybrid.search([query], 200)[0]
    weights = np.array([hybrid.weights[name] for name in ("image", "bm25", "caption")])
    image, _, text = weights / weights.sum()
    for hit in ranking.hits:
        if hit.id in z["caption"]:
            assert hit.scores["image"] == pytest.approx(image * z["image"][hit.id], abs=1e-4)
            assert hit.scores["caption"] == pytest.approx(text * z["caption"][hit.id], abs=1e-4)
        else:  # the weight of captions goes to its looks
            assert hit.scores["image"] == pytest.approx((image + text) * z["image"][hit.id], abs=1e-4)
            assert hit.scores["caption"] == 0


def test_hits_are_the_nearest_captions_within_what_is_allowed():
    world = World(size=300)
    caption, _, _ = search_of(world)
    allowed = frozenset(world.ids[10:100])
    queries = [
        Query("a", text="w00012"),
        Query("b", text="w00012", within=allowed),
        Query("c", text="w00012", exclude=allowed),
        Query("d", text="w00012", within=frozenset({"w00001"})),
    ]
    [vector] = Writer(world).encode_texts(["w00012"])
    free, inside, outside, nothing = caption.search(queries, 20)
    scores = dict(
        zip(world.written.tolist(), (MemoryRows(world.texts).matrix.astype(np.float32) @ vector).tolist(), strict=True)
    )
    for ranking, keep in (
        (free, lambda _: True),
        (inside, allowed.__contains__),
        (outside, lambda i: i not in allowed),
    ):
        order = sorted((p for p in scores if keep(world.ids[p])), key=lambda p: (-scores[p], p))[:20]
        assert ranking.ids == [world.ids[p] for p in order]
        assert [hit.score for hit in ranking.hits] == pytest.approx([scores[p] for p in order], abs=1e-5)
    assert nothing.ids == []


def test_a_query_without_words_finds_nothing_and_says_so():
    caption, _, _ = search_of(World(size=50))
    [ranking, worded] = caption.search([Query("q", image_id="w00001"), Query("r", text="w00001")], 5)
    assert ranking.hits == ()
    assert "'caption' searches by words" in ranking.warnings[0]
    assert len(worded.hits) == 5
