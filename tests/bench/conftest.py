"""A small benchmark of real picture files, an encoder that counts, and a reranker of another package."""

import sys

import pytest
from store_samples import SketchEncoder, save

from mmretrieval.asks import MLLM, ChoiceScores, ScoreChoices
from mmretrieval.benchmarks import Benchmark
from mmretrieval.types import Query

NAMES = ["red", "green", "blue", "dark", "pale"]

RERANKER = """
from mmretrieval.asks import ScoreChoices
from mmretrieval.stages import Reranker
from mmretrieval.types import Hit

class Asker(Reranker):
    "Asks for each candidate, and puts the larger number first."
    needs = frozenset({ScoreChoices})
    def __init__(self, depth: int = 4):
        self.depth = depth
    def rerank(self, query, candidates):
        replies = yield [ScoreChoices((query.text, c.record.id), ("yes", "no")) for c in candidates]
        order = sorted(range(len(candidates)), key=lambda n: (-replies[n].log_probs[0], n))
        return [Hit(candidates[n].record.id, "asker", replies[n].log_probs[0]) for n in order]
"""


@pytest.fixture
def asker(tmp_path_factory, monkeypatch):
    """The reranker "asker", installed as another package would be."""
    place = tmp_path_factory.mktemp("package")
    (place / "asker_method.py").write_text(RERANKER)
    info = place / "asker_method-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asker-method\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mmretrieval.rerankers]\nasker = asker_method:Asker\n")
    monkeypatch.syspath_prepend(str(place))
    yield "asker"
    sys.modules.pop("asker_method", None)


class Judge(MLLM):
    """A model that likes the candidate whose id ends as the query's words do; it counts its asks."""

    def __init__(self):
        self.spec = "judge"
        self.answers = frozenset({ScoreChoices})
        self.asked = 0

    def answer(self, asks):
        self.asked += len(asks)
        return [
            ChoiceScores((0.0 if ask.parts[0].split()[-1] == ask.parts[1][-1] else -5.0, -1.0), tokens=7)
            for ask in asks
        ]


@pytest.fixture
def judge():
    return Judge()


class Counting(SketchEncoder):
    """Counts what it is asked to encode."""

    def __init__(self):
        super().__init__(dim=24)
        self.pictures = self.texts = 0

    def encode_images(self, images):
        self.pictures += len(images)
        return super().encode_images(images)

    def encode_texts(self, texts):
        self.texts += len(texts)
        return super().encode_texts(texts)


@pytest.fixture
def encoder():
    return Counting()


@pytest.fixture
def data(tmp_path):
    for number in range(12):
        save(tmp_path / "data" / "pictures" / f"p{number:02d}.png", number)
    return tmp_path / "data"


def small(**changes):
    """Twelve pictures with two captions each; text queries, a composed one and one within a pool."""
    images = {f"p{number:02d}": f"pictures/p{number:02d}.png" for number in range(12)}
    texts = {each: f"a {NAMES[n % 5]} thing {each}\nthe {NAMES[n % 3]} one" for n, each in enumerate(images)}
    queries = (
        Query("q1", "a red thing 5"),
        Query("q2", "the green one 7"),
        Query("q3", "but blue 3", image_id="p01", exclude=frozenset({"p01"})),
        Query("pool", "the dark one 8", within=frozenset({"p02", "p03", "p08"})),
        Query("silent", "nobody judged this 1"),
    )
    fields = {
        "name": "small",
        "split": "test",
        "queries": queries,
        "qrels": {"q1": {"p05": 1, "p10": 2}, "q2": {"p07": 1}, "q3": {"p03": 1}, "pool": {"p08": 1, "p02": 0}},
        "categories": {"q1": "plain", "q2": "plain", "q3": "composed", "pool": "plain"},
        "texts": texts,
        "images": images,
        "measures": ("nDCG@5", "R@1", "R@5"),
        "notes": ("twelve pictures",),
        "licence": "free",
    }
    return Benchmark(**(fields | changes))


@pytest.fixture
def benchmark_of():
    return small
