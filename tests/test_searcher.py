"""The façade: what it refuses, what it warns of, and that it loads no model before it must."""

import dataclasses
import shutil
import threading

import numpy as np
import pytest
from example_stages import HashEncoder
from PIL import Image

import mmretrieval as mm
from mmretrieval.errors import FingerprintMismatch, NotFound, UsageError
from mmretrieval.types import Query


class Counting(HashEncoder):
    """Counts how many pictures and texts it has encoded."""

    def __init__(self):
        self.pictures = self.texts = 0

    def encode_images(self, images):
        self.pictures += len(images)
        return super().encode_images(images)

    def encode_texts(self, texts):
        self.texts += len(texts)
        return super().encode_texts(texts)


class Named(HashEncoder):
    """The same numbers under another name."""

    def __init__(self, spec):
        self.spec = spec


class Drifted(HashEncoder):
    """Claims to be the same, and computes otherwise."""

    def encode_images(self, images):
        return super().encode_images(images)[:, ::-1]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(2)
    for number in range(6):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(folder / f"p{number}.png")
    return folder


@pytest.fixture(scope="module")
def index(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("index") / "idx"
    report = mm.index(photos, folder, HashEncoder())
    assert report.indexed == 6
    return folder


def test_words_a_picture_and_both_are_searched(index, photos):
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:
        assert len(searcher.search("a red bowl", top_k=3).hits) == 3
        assert searcher.search(image=photos / "p2.png").ids[0] == "p2"
        assert searcher.search(image=str(photos / "p2.png")).ids[0] == "p2"
        with Image.open(photos / "p2.png") as opened:
            assert searcher.search(image=opened.convert("RGB")).ids[0] == "p2"
        assert searcher.search(image_id="p2").ids[0] == "p2"
        assert len(searcher.search("but redder", image_id="p2").ids) == 6


def test_many_queries_together_find_what_each_finds_alone(index):
    queries = [Query(f"q{number}", text=f"word {number}") for number in range(5)]
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:
        together = searcher.search_all(queries, 4)
        assert [ranking.hits for ranking in together] == [searcher.search(query, top_k=4).hits for query in queries]


@pytest.mark.parametrize("extra", [{"image_id": "p1"}, {"weights": {"text": 1}}, {"image": "p1.png"}], ids=str)
def test_a_query_and_its_parts_cannot_be_given_together(index, extra):
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher, pytest.raises(UsageError, match="either a Query"):
        searcher.search(Query(text="a"), **extra)


def test_nothing_to_search_for_is_refused(index):
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher, pytest.raises(UsageError, match="is empty"):
        searcher.search()


def test_no_model_is_used_until_words_or_a_file_must_be_encoded(index, photos):
    encoder = Counting()
    with mm.Searcher.open(index, encoder=encoder) as searcher:
        searcher.search(image_id="p1")
        assert (encoder.pictures, encoder.texts) == (0, 0)
        searcher.search("words")
        assert encoder.pictures == 0  # words need no look at what the encoder makes of pictures
        assert encoder.texts > 1
        searcher.search(image=photos / "p0.png")
        checked = encoder.pictures
        assert checked > 1
        searcher.search(image=photos / "p0.png")
        assert encoder.pictures == checked + 1


def test_another_encoder_is_refused_with_what_differs(index):
    encoder = Named("other")
    with mm.Searcher.open(index, encoder=encoder) as searcher:
        with pytest.raises(FingerprintMismatch, match=r"encoder other instead of hash.*new folder"):
            searcher.search("words")
        assert searcher.search(image_id="p1").ids[0] == "p1"


def test_an_encoder_that_computes_otherwise_is_refused(index, photos):
    with mm.Searcher.open(index, encoder=Drifted()) as searcher:
        for _ in range(2):  # once refused, it is not trusted the next time
            with pytest.raises(FingerprintMismatch, match="no longer"):
                searcher.search(image=photos / "p0.png")


def test_the_demo_model_on_photographs_is_said_on_every_ranking(photos, tmp_path):
    mm.index(photos, tmp_path / "idx", Named("demo"))
    with mm.Searcher.open(tmp_path / "idx", encoder=Named("demo")) as searcher:
        for ranking in searcher.search_all([Query("a", text="a"), Query("b", image_id="p1")]):
            assert any("knows nothing but the drawn demo pictures" in warning for warning in ranking.warnings)


def test_another_model_on_photographs_needs_no_warning(index):
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:
        assert searcher.search("words").warnings == ()


def test_no_index_and_no_folder_are_told_before_a_model_is_opened(tmp_path):
    with pytest.raises(NotFound, match="there is no index"):
        mm.Searcher.open(tmp_path / "nowhere", encoder="no-such-model")
    with pytest.raises(NotFound, match="there is no folder"):
        mm.index(tmp_path / "nowhere", tmp_path / "idx", "no-such-model")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_of_index_is_told_with_the_known_ones(index):
    with pytest.raises(UsageError, match=r"choose one of: .*exact"):
        mm.Searcher.open(index, index_kind="magic")


def test_a_batch_below_one_is_refused(photos, tmp_path):
    with pytest.raises(UsageError, match="the batch size is 0"):
        mm.index(photos, tmp_path / "idx", HashEncoder(), batch_size=0)


def test_results_are_frozen_and_turn_into_json(index):
    import json

    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:
        ranking = searcher.search("words", top_k=2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ranking.hits = ()
    told = json.loads(json.dumps(ranking.to_dict()))
    assert [hit["rank"] for hit in told["hits"]] == [1, 2]
    assert [hit["id"] for hit in told["hits"]] == ranking.ids


# Going over to a newer snapshot


@pytest.fixture
def growing(photos, tmp_path):
    """An index of a copy of the photographs, and how a picture is added to it."""
    folder = shutil.copytree(photos, tmp_path / "photos")
    mm.index(folder, tmp_path / "idx", HashEncoder())

    def add(name, seed):
        pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(folder / f"{name}.png")
        mm.index(folder, tmp_path / "idx", HashEncoder())

    return tmp_path / "idx", add


def test_refresh_goes_over_to_what_was_added_and_keeps_the_encoder(growing):
    index, add = growing
    encoder = Counting()
    with mm.Searcher.open(index, encoder=encoder) as searcher:
        before = searcher.search("words")
        assert not searcher.refresh()
        encoded = encoder.pictures, encoder.texts
        add("q", 77)
        assert "q" not in searcher.search("words").ids
        assert searcher.refresh()
        after = searcher.search("words", top_k=20)
        assert set(after.ids) == {*before.ids, "q"}
        assert encoder.pictures == encoded[0]  # neither loaded nor checked again
        add("r", 78)
        add("s", 79)
        assert searcher.refresh()
        assert not searcher.refresh()
        with mm.Searcher.open(index, encoder=HashEncoder()) as anew:
            assert searcher.search("words", top_k=20).hits == anew.search("words", top_k=20).hits


def test_searches_in_other_threads_survive_a_refresh(growing):
    index, add = growing
    wrong, over = [], threading.Event()
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:

        def look():
            while not over.is_set():
                try:
                    if len(searcher.search(image_id="p1", top_k=3).hits) != 3:
                        wrong.append("fewer hits than there are")
                except Exception as error:  # noqa: BLE001 - whatever it is, the test fails by it
                    wrong.append(error)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(4):
            add(f"t{number}", 100 + number)
            assert searcher.refresh()
        over.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_searcher_with_a_pipeline_of_its_own_cannot_be_refreshed(index):
    with mm.Searcher.open(index, encoder=HashEncoder()) as searcher:
        own = mm.Searcher(searcher.collection, searcher.pipeline)
        with pytest.raises(UsageError, match="has a pipeline of its own"):
            own.refresh()


def test_another_encoder_by_name_is_refused_before_it_is_looked_for(photos, tmp_path):
    mm.index(photos, tmp_path / "idx", Named("ViT-B-32/openai"))
    for other in ("ViT-B-16/openai", "demo"):
        with pytest.raises(FingerprintMismatch, match=f"made with the encoder 'ViT-B-32/openai', and '{other}' is"):
            mm.index(photos, tmp_path / "idx", other)
        with mm.Searcher.open(tmp_path / "idx", encoder=other) as searcher, pytest.raises(FingerprintMismatch):
            searcher.search("words")
