"""What makes two asks the same, and that replies survive being written down."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmretrieval.asks import Attend, Attention, ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.errors import InvalidData
from mmretrieval.transcript import (
    Pictures,
    ask_facts,
    first_words,
    key_of,
    picture_hash,
    reply_facts,
    reply_of,
    to_line,
)

NOISE = np.random.default_rng(3).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def picture(pixels=NOISE):
    return Image.fromarray(pixels)


def key(ask):
    return key_of(ask_facts(ask, Pictures()))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_picture_is_the_same_from_a_file_and_from_memory(kind, tmp_path):
    picture().save(tmp_path / "noise", kind, lossless=True)
    with Image.open(tmp_path / "noise") as opened:
        assert picture_hash(opened) == picture_hash(picture())


def test_one_other_pixel_another_size_or_another_order_is_another_picture():
    other = NOISE.copy()
    other[3, 4, 1] ^= 1
    same_bytes = NOISE.reshape(20, 12, 3)
    assert len({picture_hash(picture(each)) for each in (NOISE, other, same_bytes)}) == 3
    first, second = picture(), picture(other)
    assert key(Generate((first, second))) != key(Generate((second, first)))


def test_grey_and_transparent_pictures_count_as_what_a_model_sees_of_them():
    grey = picture().convert("L")
    assert picture_hash(grey) == picture_hash(grey.convert("RGB"))
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert picture_hash(clear) == picture_hash(Image.new("RGB", (4, 4), "white"))


def test_each_picture_object_is_hashed_once_in_a_batch():
    class Counted(Image.Image):
        read = 0

        def tobytes(self, *args, **more):
            type(self).read += 1
            return super().tobytes(*args, **more)

    reference = picture()
    reference.__class__ = Counted
    pictures = Pictures()
    facts = [ask_facts(Generate((f"question {n}", reference)), pictures) for n in range(5)]
    assert Counted.read == 1
    assert len({fact["parts"][1]["picture"] for fact in facts}) == 1


BASE = ScoreChoices(("one", "two"), ("yes", "no"))


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, parts=("two", "one")),
        replace(BASE, parts=("onetwo",)),
        replace(BASE, choices=("no", "yes")),
        replace(BASE, prefill="["),
        Attend(("one", "two")),
        Generate(("one", "two")),
        Generate(("one", "two"), max_tokens=9),
        Generate(("one", "two"), schema={"type": "object"}),
    ],
)
def test_everything_that_decides_a_reply_makes_another_key(other):
    assert key(other) != key(BASE)
    assert len({key(other), key(replace(other)), key(BASE), key(replace(BASE))}) == 2


def test_words_that_look_like_a_picture_are_words():
    facts = ask_facts(Generate((picture(),)), Pictures())
    assert key(Generate((to_line(facts["parts"][0]),))) != key(Generate((picture(),)))


numbers = st.floats(allow_nan=False)
replies = st.one_of(
    st.builds(Text, st.text(), st.integers(0, 10**9), cut=st.booleans()),
    st.builds(ChoiceScores, st.tuples(numbers, numbers), st.integers(0, 99), bounded=st.integers(0, 2)),
    st.builds(Attention, st.lists(numbers).map(tuple), st.integers(0, 99)),
    st.builds(Failed, st.text(), st.integers(0, 99)),
)


@given(replies)
def test_a_reply_survives_one_line_of_strict_json(reply):
    import json

    line = to_line(reply_facts(reply))
    assert "\n" not in line

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert reply_of(json.loads(line, parse_constant=refuse)) == reply
    assert reply_of(json.loads(line), cached=True) == replace(reply, cached=True)


def test_infinite_scores_are_kept():
    reply = ChoiceScores((-math.inf, -0.1), 3)
    assert reply_of(reply_facts(reply)) == reply


@pytest.mark.parametrize(
    "facts", [{}, {"text": "x"}, {"tokens": 1}, {"tokens": 1, "log_probs": ["many"], "bounded": 0}]
)
def test_what_is_no_reply_is_refused(facts):
    with pytest.raises(InvalidData, match="no reply of a language model"):
        reply_of(facts)


def test_the_first_words_of_an_ask_are_short_and_in_one_line():
    assert first_words(Generate(("What\nis ", picture(), "this?"))) == "'What is this?'"
    assert first_words(Generate((picture(),))) == "only pictures"
    told = first_words(Generate(("word " * 50,)))
    assert len(told) < 70
    assert told.endswith("…'")


def test_a_picture_that_was_not_read_yet_is_read():
    file = io.BytesIO()
    picture().save(file, "PNG")
    assert picture_hash(Image.open(file)) == picture_hash(picture())
