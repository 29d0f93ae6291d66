"""Log-probabilities of choices from those of tokens: spellings, several tokens, choices that begin other choices."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.mllms._choices import plan, spellings


def letters(word):
    """A tokenizer with a token for each letter."""
    return [ord(letter) for letter in word]


def words(word):
    """A tokenizer with a token for each word, in which a blank before it makes another."""
    return [hash(word) % 10_000] if word.strip() else []


def test_a_free_answer_may_be_spelled_in_several_ways():
    assert spellings("yes") == ("yes", "Yes", "YES", " yes", " Yes", " YES")
    assert spellings("12") == ("12", " 12")
    assert spellings("A", prefill="[") == ("A",)


def test_spellings_of_one_token_are_added_up():
    made = plan(("yes", "no"), "", words)
    chance = {sequence: math.log(0.01 * n) for n, sequence in enumerate(sum(made.of, ()), start=1)}
    expected = [math.log(sum(math.exp(chance[t]) for t in sequences)) for sequences in made.of]
    np.testing.assert_allclose(made.scores(chance), expected)
    assert [len(sequences) for sequences in made.of] == [6, 6]
    assert made.continuations == [()]


def test_a_spelling_that_is_another_choice_counts_for_that_one_alone():
    made = plan(("a", "A"), "", words)
    assert [sequences[0] for sequences in made.of] == [tuple(words("a")), tuple(words("A"))]
    assert not set(made.of[0]) & set(made.of[1])


def test_choices_that_share_a_beginning_share_a_forward_pass():
    assert plan(("1", "2", "10", "11", "12"), "[", letters).continuations == [(ord("1"),)]
    assert plan(("ab", "abc", "x"), "[", letters).continuations == [(ord("a"), ord("b"))]


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ((), "nothing to choose from"),
        (("a", ""), "'' is nothing to this model"),
        (("a", "a"), "'a' and 'a' are the same"),
    ],
)
def test_choices_that_cannot_be_told_apart_are_refused(choices, why):
    with pytest.raises(UsageError, match=why):
        plan(choices, "", letters)


@given(st.sets(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_choices_exclude_each_other_as_in_all_texts_there_are(choices, seed):
    """Against all texts of three letters over {a, b, end}: each counts for the longest choice that begins it."""
    choices = tuple(sorted(choices))
    rng = np.random.default_rng(seed)
    step = {before: rng.dirichlet(np.ones(3)) for n in range(3) for before in itertools.product("ab", repeat=n)}

    def chance(text):
        found = 1.0
        for at, letter in enumerate(text):
            found *= step[text[:at]]["ab.".index(letter)]
        return found

    def texts(before=()):
        if len(before) == 3 or before[-1:] == (".",):
            yield before
        else:
            for letter in "ab.":
                yield from texts((*before, letter))

    slow = dict.fromkeys(choices, 0.0)
    for text in texts():
        begun = [choice for choice in choices if tuple(choice) == text[: len(choice)]]
        if begun:
            slow[max(begun, key=len)] += chance(text)

    made = plan(choices, "[", letters)
    of_sequence = {
        sequence: math.log(chance(tuple(map(chr, sequence)))) for sequences in made.of for sequence in sequences
    }
    for choice, score in zip(choices, made.scores(of_sequence), strict=True):
        assert math.exp(score) == pytest.approx(slow[choice], rel=1e-6, abs=2e-6)
