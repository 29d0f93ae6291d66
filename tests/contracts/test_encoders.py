"""Any encoder: unit rows of one space that do not depend on their neighbours, pinned by a fingerprint."""

import json

import numpy as np
import pytest
from PIL import Image

from mmretrieval.protocols import Encoder, TextEncoder

TEXTS = ["a red bowl of soup", "two herons in the reeds at dusk", "", "soup"]


def pictures(count=5):
    rng = np.random.default_rng(5)
    return [Image.fromarray(rng.integers(0, 255, (20 + 7 * n, 33, 3), dtype=np.uint8)) for n in range(count)]


@pytest.fixture
def encoder(make):
    return make()


@pytest.fixture
def sees(subject):
    """Whether it encodes pictures, too; one that does not is left out where pictures are encoded."""
    if not issubclass(subject, Encoder):
        pytest.skip(f"{subject.name} encodes texts only")


def test_it_is_an_encoder_that_says_what_it_does(subject):
    assert issubclass(subject, TextEncoder)
    assert (subject.__doc__ or "").strip()


@pytest.mark.usefixtures("sees")
def test_pictures_become_unit_rows(encoder):
    rows = encoder.encode_images(pictures())
    assert (rows.shape, rows.dtype) == ((5, encoder.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def test_words_become_unit_rows_of_the_same_space(encoder):
    rows = encoder.encode_texts(TEXTS)
    assert (rows.shape, rows.dtype) == ((4, encoder.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


def test_nothing_becomes_no_rows(encoder):
    if isinstance(encoder, Encoder):
        assert encoder.encode_images([]).shape == (0, encoder.dim)
    assert encoder.encode_texts([]).shape == (0, encoder.dim)
    assert encoder.too_long([]) == []


def test_a_row_does_not_depend_on_its_neighbours(encoder):
    if isinstance(encoder, Encoder):
        alone = np.concatenate([encoder.encode_images([picture]) for picture in pictures()])
        np.testing.assert_allclose(encoder.encode_images(pictures()), alone, atol=1e-5)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), alone, atol=1e-5)


def test_different_pictures_and_words_have_different_rows(encoder):
    images = [encoder.encode_images(pictures())] if isinstance(encoder, Encoder) else []
    for rows in [*images, encoder.encode_texts(TEXTS)]:
        assert len(np.unique(rows.round(6), axis=0)) == len(rows)


def test_two_of_the_same_make_have_one_fingerprint_that_is_json(make):
    first, second = dict(make().fingerprint), dict(make().fingerprint)
    assert first == second
    assert json.loads(json.dumps(first)) == first


def test_only_a_long_text_is_too_long(encoder):
    assert encoder.too_long(["soup", "word " * 3000]) == [False, True]


def test_its_size_facts_are_true(encoder):
    assert encoder.dim >= 1
    assert not isinstance(encoder, Encoder) or encoder.input_size >= 1
    assert encoder.spec
