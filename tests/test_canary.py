"""Canaries notice another encoder, and only another encoder."""

import hashlib
import json
from types import MappingProxyType

import numpy as np
import pytest
from example_rows import unit

from mmretrieval import canary
from mmretrieval.errors import FingerprintMismatch, InvalidData
from mmretrieval.protocols import Encoder


class Hashed(Encoder):
    """Vectors drawn from the hash of what is encoded, and a seed that stands for the weights."""

    spec, dim, input_size = "hashed", 16, 8
    fingerprint = MappingProxyType({})

    def __init__(self, seed=0, noise=0.0):
        self.seed, self.noise = seed, noise

    def vector(self, data: bytes):
        digest = hashlib.sha256(data + bytes([self.seed])).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        return rng.normal(size=self.dim) + self.noise * np.arange(self.dim)

    def encode_images(self, images):
        return unit([self.vector(image.tobytes()) for image in images])

    def encode_texts(self, texts):
        return unit([self.vector(text.encode()) for text in texts])

    def too_long(self, texts):
        return [False] * len(texts)


def test_canary_pictures_are_the_same_every_time_and_differ_from_each_other():
    first, second = canary.canary_images(), canary.canary_images()
    assert [image.tobytes() for image in first] == [image.tobytes() for image in second]
    assert {image.mode for image in first} == {"RGB"}
    assert len({image.tobytes() for image in first}) == len(first)
    digest = hashlib.sha256(b"".join(image.tobytes() for image in first)).hexdigest()
    assert digest.startswith("1a9bee1d3a65"), "changed pictures would make every stored index fail its check"


def test_the_same_encoder_passes_after_a_journey_through_json():
    stored = json.loads(json.dumps(canary.measure(Hashed())))
    canary.check(stored, Hashed())
    canary.check(stored, Hashed(noise=1e-3))


def test_another_encoder_is_noticed_and_the_canary_named():
    stored = canary.measure(Hashed())
    with pytest.raises(FingerprintMismatch, match=r"'hashed'.*test image 'waves' is only .*new folder"):
        canary.check(stored, Hashed(seed=1))


def test_another_text_side_alone_is_noticed():
    stored = canary.measure(Hashed())
    stored["texts"] = canary.measure(Hashed(seed=1))["texts"]
    with pytest.raises(FingerprintMismatch, match="test text 'a photo of a dog"):
        canary.check(stored, Hashed())


def test_one_side_can_be_looked_at_without_the_other():
    stored = canary.measure(Hashed())
    stored["texts"] = canary.measure(Hashed(seed=1))["texts"]
    canary.check(stored, Hashed(), ["images"])
    with pytest.raises(FingerprintMismatch, match="test text"):
        canary.check(stored, Hashed(), ["texts"])


@pytest.mark.parametrize("damage", [{}, {"images": []}, {"images": [[0.0] * 16] * 4}, {"images": [[1.0] * 8] * 4}])
def test_damaged_canaries_are_data_errors(damage):
    with pytest.raises(InvalidData, match="the images that this index keeps"):
        canary.check(damage, Hashed())
