"""A drawn collection whose texts and pictures have directions of their own, and the sums they make, in plain NumPy."""

from __future__ import annotations

import hashlib

import numpy as np
from example_rows import unit
from example_stages import HashEncoder, MemoryCollection
from PIL import Image

from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact

DIM, SIZE = 24, 60


class Seeded(HashEncoder):
    """Every text and picture has a direction of its own, round the common one of its kind."""

    dim = DIM

    def encode_texts(self, texts):
        return unit([self.seeded(text.encode(), 3) for text in texts]).reshape(-1, DIM)

    def encode_images(self, images):
        return unit([self.seeded(image.tobytes(), 5) for image in images]).reshape(-1, DIM)

    def seeded(self, data, kind):
        seed = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")
        common = np.random.default_rng(kind).normal(size=DIM)
        return np.random.default_rng(seed).normal(size=DIM) + 0.7 * common


def collection_of(size=SIZE, seed=0):
    common = np.random.default_rng(5).normal(size=DIM)
    collection = MemoryCollection(size, DIM, np.random.default_rng(seed).normal(size=(size, DIM)) + 0.7 * common)
    collection.text_mean = unit([np.random.default_rng(3).normal(size=DIM)])[0] * np.float32(0.5)
    return collection


COLLECTION, ENCODER = collection_of(), Seeded()
ROWS = COLLECTION.matrix.astype(np.float16).astype(np.float64)
PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (30, 20, 3), dtype=np.uint8))


def dense(**settings):
    return Dense(ENCODER, COLLECTION, Exact(COLLECTION.rows()), **settings)


def search(query, top_k=SIZE, **settings):
    return dense(**settings).search([query], top_k)[0]


# The slow twin


def u(vector):
    return np.asarray(vector, float) / np.linalg.norm(vector)


def text(words):
    return u(ENCODER.encode_texts([words])[0].astype(float) - COLLECTION.text_mean)


def stored(name):
    return u(u(ROWS[COLLECTION.ids.index(name)]) - COLLECTION.image_mean)


def picture():
    return u(ENCODER.encode_images([PICTURE])[0].astype(float) - COLLECTION.image_mean)


def mean(names):
    return np.mean([stored(name) for name in names], axis=0)


def arc(a, b, share):
    angle = np.arccos(a @ b)
    return (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)


def assert_ranked(ranking, scores, left_out=()):
    allowed = [at for at, name in enumerate(COLLECTION.ids) if name not in left_out]
    expected = sorted(allowed, key=lambda at: (-scores[at], at))
    assert ranking.ids == [COLLECTION.ids[at] for at in expected]
    np.testing.assert_allclose([hit.score for hit in ranking.hits], scores[expected], atol=1e-5)
