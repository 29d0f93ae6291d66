"""Texts that do not fit: told, cut off as open_clip does, or averaged over pieces that do."""

from itertools import pairwise

import numpy as np
import pytest
from example_rows import unit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmretrieval.encoders.open_clip import OpenClip

WORDS = (
    "two",
    "slices",
    "of",
    "lime",
    "on",
    "rice",
    "with",
    "red",
    "beans",
    "by",
    "the",
    "lake",
    "in",
    "rain",
    "herons",
)


@pytest.fixture(scope="module")
def averaging(folder):
    return OpenClip(f"local-dir:{folder}", device="cpu", long_text="average")


def test_a_text_is_too_long_exactly_when_its_end_changes_nothing(encoder):
    """Found by trying: as long as a further word changes the vector, the text was not yet cut off."""
    for count in range(1, 120):
        shorter = " ".join(WORDS[n % len(WORDS)] for n in range(count))
        longer = f"{shorter} snow bird fox"
        if np.allclose(*encoder.encode_texts([shorter, longer]), atol=1e-6):
            assert encoder.too_long([longer]) == [True]
            break
        if encoder.too_long([shorter])[0]:  # a cut that ends with the same word would look the same
            pytest.fail(f"{count} words are said to be too long, yet what follows them counts")
    else:
        pytest.fail("no text was ever too long")


def test_cutting_off_keeps_the_beginning(encoder):
    text = " ".join(WORDS * 10)
    changed_end = " ".join([*WORDS * 9, *reversed(WORDS)])
    changed_start = " ".join([*reversed(WORDS), *WORDS * 9])
    whole, end, start = encoder.encode_texts([text, changed_end, changed_start])
    np.testing.assert_allclose(whole, end, atol=1e-6)
    assert not np.allclose(whole, start, atol=1e-3)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from([*WORDS, "x" * 150, "汤" * 90, "1,000.5"]), min_size=1, max_size=60))
def test_pieces_fit_and_lose_nothing(encoder, words):
    text = " ".join(words)
    pieces = encoder.words.pieces(text)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(encoder.words.fits(piece) for piece in pieces)
    assert len(pieces) == 1 or not encoder.words.fits(text)
    for piece, following in pairwise(pieces):  # each piece is as long as it can be
        first = following.split()[0]  # a part of a word that does not fit may begin a piece of its own
        assert not encoder.words.fits(f"{piece} {first}") or first not in words


def test_averaging_is_the_mean_of_the_pieces_unit_vectors(encoder, averaging):
    text = " ".join(WORDS * 8)
    pieces = averaging.words.pieces(text)
    assert len(pieces) > 1
    expected = unit(encoder.encode_texts(pieces).mean(axis=0))
    rows = averaging.encode_texts(["a dog", text, ""])
    np.testing.assert_allclose(rows[1], expected, atol=2e-6)
    np.testing.assert_allclose(rows[[0, 2]], encoder.encode_texts(["a dog", ""]), atol=2e-6)
    assert averaging.encode_texts([]).shape == (0, averaging.dim)


def test_nothing_is_cut_off_when_texts_are_averaged(encoder, averaging):
    text = " ".join(WORDS * 8)
    assert encoder.too_long([text]) == [True]
    assert averaging.too_long([text]) == [False]
    assert averaging.fingerprint["long_text"] == "average"
    assert averaging.fingerprint != encoder.fingerprint


def test_the_beginning_of_the_text_has_less_weight_than_when_the_end_is_cut_off(averaging):
    text = " ".join(WORDS * 10)
    changed_end = " ".join([*WORDS * 9, *reversed(WORDS)])
    assert not np.allclose(*averaging.encode_texts([text, changed_end]), atol=1e-4)
