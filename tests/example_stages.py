"""Small honest stages, a collection in memory and a model that is a function: all through the public protocols."""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image
from slow_bm25 import bm25

from mmretrieval.asks import MLLM, Ask, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text
from mmretrieval.errors import NotFound
from mmretrieval.lexicon import Word
from mmretrieval.protocols import Encoder, Index
from mmretrieval.stages import Candidate, FirstStage, Refiner, Reranker, Rewriter
from mmretrieval.types import Hit, ImageRecord, Query, Ranking


class MemoryRows:
    """Unit rows in memory."""

    key = "memory"

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix = matrix.astype(np.float16)
        self.n, self.dim = matrix.shape

    def blocks(self, rows_per_block: int = 5) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, self.n, rows_per_block):
            part = self.matrix[start : start + rows_per_block]
            yield np.arange(start, start + len(part), dtype=np.int64), part

    def take(self, positions: np.ndarray) -> np.ndarray:
        return self.matrix[np.asarray(positions, dtype=np.int64)].astype(np.float32)

    # Row p lies in slot p.

    @property
    def stored(self) -> int:
        return self.n

    @property
    def owners(self) -> np.ndarray:
        return np.arange(self.n, dtype=np.int32)

    def storage_key(self, slots: int) -> str:
        return hashlib.sha256(self.matrix[:slots].tobytes()).hexdigest()

    def slots(self, positions: np.ndarray) -> np.ndarray:
        return np.asarray(positions, dtype=np.int64)

    def take_slots(self, slots: np.ndarray) -> np.ndarray:
        return self.matrix[slots]

    def stored_blocks(self, first: int = 0, rows_per_block: int = 5) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(first, self.n, rows_per_block):
            yield start, self.matrix[start : start + rows_per_block]


COLOURS = ("red", "blue", "green")


class MemoryLexicon:
    """Words of captions, scored by the slow BM25; words are compared as they stand, in small letters."""

    def __init__(self, captions: Sequence[str]) -> None:
        self.texts = {
            str(position): re.findall("[a-z0-9]+", caption.lower())
            for position, caption in enumerate(captions)
            if caption
        }
        self.records = len(self.texts)

    def words(self, text: str) -> list[Word]:
        words = dict.fromkeys(re.findall("[a-z0-9]+", text.lower()))
        having = {word: sum(word in own for own in self.texts.values()) for word in words}
        return [Word(word, self._weight(count) if count else 0.0) for word, count in having.items()]

    def _weight(self, having: int) -> float:
        return max(math.log((self.records - having + 0.5) / (having + 0.5)), 1e-6)

    def find(self, words, top_k=None, *, within=None, exclude=None):
        scores = bm25(self.texts, [word.text for word in words if word.weight])
        left_out = set() if exclude is None else set(exclude.tolist())
        found = {int(p): score for p, score in scores.items() if within is None or int(p) in within.tolist()}
        ranked = sorted(found.keys() - left_out, key=lambda p: (-found[p], p))[:top_k]
        return np.array(ranked, dtype=np.int64), np.array([found[p] for p in ranked])


class MemoryCollection:
    """Records named img0, img1, … with unit vectors in one channel; random ones unless given."""

    channels = frozenset({"image"})
    encoder_spec = "hash"
    is_drawn = True

    def __init__(self, size: int, dim: int = 16, matrix: np.ndarray | None = None) -> None:
        self.ids = [f"img{number}" for number in range(size)]
        rows = np.random.default_rng(7).normal(size=(size, dim)).astype(np.float32) if matrix is None else matrix
        self.matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        self.count = size
        self.image_mean = self.matrix.mean(axis=0) if size else np.zeros(dim, np.float32)
        self.text_mean = np.zeros(dim, np.float32)
        # each a word longer than the one before, so that no two of them score the same
        self.captions = [" ".join(["a", COLOURS[n % 3], "soup", "but", *["hot"] * n]) for n in range(size)]

    @property
    def lexicon(self) -> MemoryLexicon:
        return MemoryLexicon(self.captions)

    def rows(self, channel: str = "image") -> MemoryRows:
        assert channel in self.channels
        return MemoryRows(self.matrix)  # row p belongs to ids[p]

    def members(self, channel: str) -> np.ndarray:
        return np.arange(self.count)

    def position(self, record_id: str) -> int:
        return self.ids.index(self.record(record_id).id)

    def records(self, ids: Sequence[str]) -> list[ImageRecord]:
        return [self.record(record_id) for record_id in ids]

    def records_at(self, positions: np.ndarray) -> list[ImageRecord]:
        return [self.record(self.ids[position]) for position in positions]

    def record(self, record_id: str) -> ImageRecord:
        if record_id not in self.ids:
            raise NotFound(f"there is no image '{record_id}'")
        return ImageRecord(record_id, f"{record_id}.png", caption=self.captions[self.ids.index(record_id)])

    def features(self, record_id: str) -> dict[str, str]:
        return {"caption": self.record(record_id).caption, "ingredients": "soup, noodles"}

    def open_image(self, record_id: str) -> Image.Image:
        return Image.new("RGB", (8, 8), (self.ids.index(record_id) % 256, 0, 0))

    def vectors(self, channel: str, ids: Sequence[str]) -> np.ndarray:
        assert channel in self.channels
        return self.matrix[[self.ids.index(record_id) for record_id in ids]].reshape(len(ids), -1)


class Brute(Index):
    """Every row against every query, sorted by (-score, position)."""

    def search(self, queries, top_k, *, within=None, exclude=None):
        allowed = set(range(self.rows.n)) if within is None else set(within.tolist())
        allowed -= set() if exclude is None else set(exclude.tolist())
        positions = np.array(sorted(allowed), dtype=np.int64)
        found = []
        for query in queries:
            scores = self.rows.take(positions) @ query
            order = np.lexsort((positions, -scores))[:top_k]
            found.append((positions[order], scores[order].astype(np.float32)))
        return found


class Listing(FirstStage):
    """The collection's order, from the first to the last, with falling scores."""

    def __init__(self, collection: MemoryCollection) -> None:
        self.collection = collection

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        return [Ranking(query, tuple(self.hits(query)[:top_k])) for query in queries]

    def hits(self, query: Query) -> list[Hit]:
        allowed = [
            name
            for name in self.collection.ids
            if name not in query.exclude and (query.within is None or name in query.within)
        ]
        return [
            Hit(name, self.name, score=-float(rank), path=f"{name}.png", scores={"image": -float(rank)})
            for rank, name in enumerate(allowed)
        ]


class Scripted(MLLM):
    """A model whose replies are a function of the ask; it keeps what it was asked, call by call."""

    def __init__(self, reply: Callable[[Ask], Reply], *, compact: bool = False) -> None:
        self.spec = "scripted"
        self.answers = frozenset({Generate, ScoreChoices})
        self.compact = compact
        self.reply = reply
        self.calls: list[list[Ask]] = []

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        self.calls.append(list(asks))
        return [self.reply(ask) for ask in asks]


def words(ask: Ask) -> str:
    return " ".join(part for part in ask.parts if isinstance(part, str))


def seeded_reply(ask: Ask) -> Reply:
    """A reply that depends on the words of the ask alone, so that batching cannot change it."""
    digest = hashlib.blake2b(words(ask).encode(), digest_size=8).digest()
    if isinstance(ask, ScoreChoices):
        return ChoiceScores(tuple(-float(byte) for byte in digest[: len(ask.choices)]), tokens=3)
    if digest[0] < 40:
        return Failed("no answer today", tokens=1)
    return Text(" ".join(str(byte % 12) for byte in digest), tokens=5, cached=digest[0] % 2 == 0)


class Windows(Reranker):
    """Back-to-front sliding windows; each window is put into the order of the numbers in the reply."""

    needs = frozenset({Generate})

    def __init__(self, depth: int = 20, window: int = 4, stride: int = 2) -> None:
        self.depth, self.window, self.stride = depth, window, stride

    def rerank(self, query: Query, candidates: Sequence[Candidate]):
        order = list(candidates)
        end = len(order)
        while end > 0:
            start = max(0, end - self.window)
            part = order[start:end]
            [reply] = yield [Generate((f"{query.text}: " + " ".join(c.record.id for c in part),))]
            if isinstance(reply, Text):
                wanted = [int(word) for word in re.findall("[0-9]+", reply.text) if int(word) < len(part)]
                places = list(dict.fromkeys([*wanted, *range(len(part))]))
                order[start:end] = [part[place] for place in places]
            end = 0 if start == 0 else end - self.stride
        return [Hit(candidate.record.id, self.name) for candidate in order]


class Pointwise(Reranker):
    """One ask per candidate, all in one round; sorted by the first log-probability."""

    needs = frozenset({ScoreChoices})

    def rerank(self, query: Query, candidates: Sequence[Candidate]):
        replies = yield [ScoreChoices((query.text, c.record.id), ("yes", "no")) for c in candidates]
        scores = [reply.log_probs[0] if isinstance(reply, ChoiceScores) else -1e9 for reply in replies]
        places = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
        return [Hit(candidates[place].record.id, self.name, scores[place]) for place in places]


class Backwards(Reranker):
    """Asks nothing: the opposite order."""

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> list[Hit]:
        return [Hit(candidate.record.id, self.name) for candidate in reversed(candidates)]


class Shout(Rewriter):
    """The words in capitals."""

    needs = frozenset({Generate})

    def rewrite(self, query: Query):
        yield [Generate((query.text,))]
        return Query(query.id, text=query.text.upper(), exclude=query.exclude, within=query.within)


class BringLast(Refiner):
    """Puts the collection's last image in front."""

    reads = frozenset({"image"})

    def refine(self, ranking: Ranking, collection: MemoryCollection) -> Ranking:
        last = collection.ids[-1]
        others = [hit for hit in ranking.hits if hit.id != last]
        return Ranking(ranking.query, (Hit(last, self.name, path=f"{last}.png"), *others))


class HashEncoder(Encoder):
    """Letters and colours counted into a few numbers: an encoder without weights."""

    spec = "hash"
    dim = 16
    input_size = 8

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._unit([np.asarray(image.resize((8, 8))).reshape(-1, 12).mean(axis=0) for image in images], 12)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        counted = [
            np.bincount([ord(letter) % self.dim for letter in text] or [0], minlength=self.dim) for text in texts
        ]
        return self._unit(counted, self.dim)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [len(text) > 200 for text in texts]

    @property
    def fingerprint(self) -> dict[str, object]:
        return {"encoder": self.spec, "dim": self.dim}

    def _unit(self, rows: list[np.ndarray], width: int) -> np.ndarray:
        matrix = np.zeros((len(rows), self.dim), np.float32)
        for number, row in enumerate(rows):
            matrix[number, :width] = row + 1
        return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
