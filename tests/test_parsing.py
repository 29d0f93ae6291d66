"""Orders, choices and grades out of texts: a table of cases, senseless texts, and how long it may take."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmretrieval.parsing import STATUSES, choice, grades, permutation

RATE_LIMIT = (
    "Error code: 429 - {'error': {'message': 'Rate limit reached for gpt-4 in organization org-3 on tokens per min. "
    "Limit: 2 / min. Please try again in 6ms. Visit https://example.com/1/3/5.', 'type': 'tokens', 'code': 4}}"
)

# The answer, how many things there are, the order from 1 on, and how it was read.
ORDERS = {
    "an object": ('{"ranking":[3,1,2,5,4]}', [3, 1, 2, 5, 4], "ok"),
    "a fence in prose": ('Sure!\n```json\n{"ranking":[3,1,2,5,4]}\n```\n2 good, 1 bad.', [3, 1, 2, 5, 4], "ok"),
    "braces before it": ('I take {all} of {"a": {1}}: {"ranking":[3,1,2,5,4]}', [3, 1, 2, 5, 4], "ok"),
    "an open brace before it": ('Let me see {first: {"ranking":[3,1,2,5,4]}', [3, 1, 2, 5, 4], "ok"),
    "a draft": ('{"ranking":[1,2,3,4,5]} or rather {"ranking":[3,1,2,5,4]}', [3, 1, 2, 5, 4], "ok"),
    "reasons inside": ('{"why": "1 > 2, {4}", "ranking": [3,1,2,5,4], "n": 5}', [3, 1, 2, 5, 4], "ok"),
    "reasons as objects": (
        '{"evaluations":[{"picture":1,"verdict":"no"},{"picture":2}],"ranking":[3,1,2,5,4]}',
        [3, 1, 2, 5, 4],
        "ok",
    ),
    "an inner object": ('{"answer": {"order": [3,1,2,5,4]}}', [3, 1, 2, 5, 4], "ok"),
    "twice the same": ("[3,3,1]", [3, 1, 2, 4, 5], "repaired"),
    "out of range": ("[7,2]", [2, 1, 3, 4, 5], "repaired"),
    "words": ('["Image 4","2"]', [4, 2, 1, 3, 5], "repaired"),
    "from zero": ("[0,1,2,3,4]", [1, 2, 3, 4, 5], "repaired"),
    "from zero, another order": ("[4,0,1,3,2]", [5, 1, 2, 4, 3], "repaired"),
    "a zero too many": ("[0,2]", [2, 1, 3, 4, 5], "repaired"),
    "broken off": ('{"ranking":[3,1,', [3, 1, 2, 4, 5], "partial"),
    "broken off in a number": ('{"ranking":[3,1', [3, 1, 2, 4, 5], "partial"),
    "another key": ('{"top_10_indices":[3,1]}', [3, 1, 2, 4, 5], "repaired"),
    "a text as order": ('{"ranking":"3 > 1 > 2"}', [3, 1, 2, 4, 5], "repaired"),
    "a broken text as order": ('{"reasons": "2 fits", "ranking": "3 > 1 > ', [3, 1, 2, 4, 5], "partial"),
    "true is no number": ("[true,2]", [2, 1, 3, 4, 5], "repaired"),
    "whole floats": ("[1.0, 3.0]", [1, 3, 2, 4, 5], "repaired"),
    "no whole floats": ("[1.5, 3.2, NaN]", [1, 2, 3, 4, 5], "failed"),
    "negative numbers": ("[-1, -2, -3]", [1, 2, 3, 4, 5], "failed"),
    "a comma too many": ('{"ranking": [3,1,2,5,4,],}', [3, 1, 2, 5, 4], "repaired"),
    "single quotes": ("{'ranking': [3,1,2,5,4]}", [3, 1, 2, 5, 4], "repaired"),
    "curly quotes": ("{\u201cranking\u201d: [3,1,2,5,4]}", [3, 1, 2, 5, 4], "ok"),
    "objects": ('[{"index":3,"score":0.1},{"index":1,"score":0.9}]', [3, 1, 2, 4, 5], "repaired"),
    "brackets": ("[3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "ok"),
    "bare numbers": ("3 > 1 > 2 > 5 > 4", [3, 1, 2, 5, 4], "ok"),
    "words before numbers": ("Picture 3 > picture 1 > Picture 2 > Picture 5 > #4", [3, 1, 2, 5, 4], "ok"),
    "other arrows": ("[3] → [1] ≻ [2] -> [5] => [4]", [3, 1, 2, 5, 4], "ok"),
    "other digits": ("［３］ > ① > ２ > ٥ > [4]", [3, 1, 2, 5, 4], "repaired"),
    "a first bracket lost": ("3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "repaired"),
    "cut in a bracket": ("[3] > [1] > [2", [3, 1, 2, 4, 5], "partial"),
    "cut behind a sign": ("[3] > [1] >", [3, 1, 2, 4, 5], "partial"),
    "behind a word": ("Final ranking: 3, 1, 2, 5, 4", [3, 1, 2, 5, 4], "ok"),
    "on the next line": ("The final ranking is:\n\n3, 1, 2, 5, 4.", [3, 1, 2, 5, 4], "ok"),
    "in bold": ("**Answer:** [3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "ok"),
    "numbers alone": ("3 1 2 5 4", [3, 1, 2, 5, 4], "ok"),
    "a number a line": ("3\n1\n2\n5\n4\n", [3, 1, 2, 5, 4], "ok"),
    "a numbered list": ("1. [3]\n2. [1]\n3. [2]\n4. [5]\n5. [4]", [3, 1, 2, 5, 4], "ok"),
    "a numbered list of bare numbers": ("1. 3\n2. 1\n3. 2\n4. 5\n5. 4", [3, 1, 2, 5, 4], "ok"),
    "a numbered list in prose": (
        "1. **Image 3** - a heron in 2 trees\n2. Image 1 - near\n3. Image 2\n4. Image 5\n5. Image 4",
        [3, 1, 2, 5, 4],
        "ok",
    ),
    "a draft chain": ("At first [1] > [2] > [3] > [4] > [5]. Now: [3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "ok"),
    "a remark behind": ("[3] > [1] > [2] > [5] > [4]. Note that [1] > [2] is close.", [3, 1, 2, 5, 4], "ok"),
    "thoughts": ("<think>[1] > [2]</think>[3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "ok"),
    "thoughts begun elsewhere": ("so [1] > [2]</think>[3] > [1] > [2] > [5] > [4]", [3, 1, 2, 5, 4], "ok"),
    "answer tags": ("<think>5</think><answer>[3, 1, 2, 5, 4]</answer> or [1, 2]", [3, 1, 2, 5, 4], "ok"),
    "one alone": ("[2]", [2, 1, 3, 4, 5], "repaired"),
    "one alone, in words": ("Picture 2.", [2, 1, 3, 4, 5], "repaired"),
    # No answers.
    "nothing": ("", [1, 2, 3, 4, 5], "failed"),
    "an empty object": ("{}", [1, 2, 3, 4, 5], "failed"),
    "an empty order": ('{"ranking": []}', [1, 2, 3, 4, 5], "failed"),
    "a refusal": ("I'm sorry, but I can't rank these 5 people.", [1, 2, 3, 4, 5], "failed"),
    "numbers in prose": ("There are 5 images. 2 of them show dogs.", [1, 2, 3, 4, 5], "failed"),
    "one id in prose": ("Of the 10 images, [4] matches.", [1, 2, 3, 4, 5], "failed"),
    "ids in prose": ("Both [4] and [2] show dogs, [1], [3] do not.", [1, 2, 3, 4, 5], "failed"),
    "a grid": ("row 2 col 1", [1, 2, 3, 4, 5], "failed"),
    "an error": (RATE_LIMIT, [1, 2, 3, 4, 5], "failed"),
    "a server's error": ("500 Internal Server Error, 3 retries, 2 left", [1, 2, 3, 4, 5], "failed"),
    "a time": ("2024-05-01 12:03:04,555", [1, 2, 3, 4, 5], "failed"),
    "a large number": ("3,642,039,031,055", [1, 2, 3, 4, 5], "failed"),
    "a comparison": ("The score is 4 > 3, so it is fine.", [1, 2, 3, 4, 5], "failed"),
    "unended thoughts": ("<think>[3] > [1] > [2] > [5] > [4]", [1, 2, 3, 4, 5], "failed"),
    "each in turn": ("1. Image 1 shows a dog\n2. Image 2 shows a cat", [1, 2, 3, 4, 5], "failed"),
    "pages": ("20 passages are provided, so the ranking should be from 1 to 20.", [1, 2, 3, 4, 5], "failed"),
    "a list of things": ('{"ranking": ["heron", "fox"]}', [1, 2, 3, 4, 5], "failed"),
    "a list of true and false": ("[true, false, true]", [1, 2, 3, 4, 5], "failed"),
}


@pytest.mark.parametrize(("text", "expected", "status"), ORDERS.values(), ids=ORDERS.keys())
def test_orders_are_read_as_the_table_says(text, expected, status):
    order, told = permutation(text, 5)
    assert ([place + 1 for place in order], told) == (expected, status)


def test_of_too_many_numbers_the_first_valid_ones_count():
    numbers = [*range(16, 0, -1), *range(17, 41)]
    assert permutation(json.dumps(numbers), 16) == (list(range(15, -1, -1)), "repaired")


def test_the_first_few_are_enough_where_only_they_were_asked_for():
    text = '{"top_3_indices": [4, 2, 5]}'
    assert permutation(text, 5, top=3) == ([3, 1, 4, 0, 2], "ok")
    assert permutation(text, 5, top=4) == ([3, 1, 4, 0, 2], "repaired")
    assert permutation(text, 5) == ([3, 1, 4, 0, 2], "repaired")


@pytest.mark.parametrize("text", ["C > A > B", "[C] > [A] > [B]", '{"ranking": ["C","A","B"]}', "c, a, b", "C\nA\nB"])
def test_things_may_have_other_names_than_numbers(text):
    assert permutation(text, 3, labels="ABC") == ([2, 0, 1], "ok")


@pytest.mark.parametrize("text", ["A picture of a dog", "3 > 1 > 2", "A dog, a cat and B", "Picture D", ""])
def test_names_in_prose_and_other_names_are_no_order(text):
    assert permutation(text, 3, labels="ABC") == ([0, 1, 2], "failed")


def test_of_nothing_and_of_one_there_is_one_order():
    assert permutation("[1] > [2]", 0) == ([], "failed")
    assert permutation("[1]", 1) == ([0], "ok")
    assert permutation("no", 1) == ([0], "failed")


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("(1)", "12", ("1", "ok")),
        ("Output (2).", "12", ("2", "ok")),
        ("**2**", "12", ("2", "ok")),
        ('{"reason": "1 is blurred", "answer": 2}', "12", ("2", "ok")),
        ("<think>(1) or (2)?</think> (2)", "12", ("2", "ok")),
        ("The correct caption is:\n(2) A street sign.", "12", ("2", "repaired")),
        ("(2) A bear yawns", "12", ("2", "repaired")),
        ("Picture 2 shows the heron.", "12", ("2", "repaired")),
        ("Picture 1 shows a dog. Picture 2 shows the heron. The answer is 2.", "12", ("2", "repaired")),
        ("Neither fits. If I had to choose, it would be (2).", "12", ("2", "repaired")),
        ("Neither (1) nor (2)", "12", (None, "failed")),
        ("Both (1) and (2) are incorrect.", "12", (None, "failed")),
        ("I cannot output either (1) or (2).", "12", (None, "failed")),
        ("(3) Two elephants", "12", (None, "failed")),
        ("2 of them show dogs", "12", (None, "failed")),
        ("Yes", ("yes", "no"), ("yes", "ok")),
        ("NO.", ("yes", "no"), ("no", "ok")),
        ("Yes, it shows a heron, not a crane.", ("yes", "no"), ("yes", "repaired")),
        ("No, there is no heron.", ("yes", "no"), ("no", "repaired")),
        ("It is hard to say.", ("yes", "no"), (None, "failed")),
        ("I'm sorry, I can't assist with that request.", ("yes", "no"), (None, "failed")),
        ("yesterday", ("yes", "no"), (None, "failed")),
        ("B", ("A", "B"), ("B", "ok")),
        ("A heron stands there.", ("A", "B"), (None, "failed")),
        ("", ("A", "B"), (None, "failed")),
        ("<think>it is (1)", "12", (None, "failed")),
        ("Answer: (B)", ["(A)", "(B)"], ("(B)", "ok")),
    ],
)
def test_choices_are_read_as_the_table_says(text, options, expected):
    assert choice(text, options) == expected


@pytest.mark.parametrize(
    ("text", "expected", "status"),
    [
        ('{"grades":{"1":7,"2":3}}', {"1": 7, "2": 3}, "ok"),
        ('{"1":7,"2":"3/10"}', {"1": 7, "2": 3}, "ok"),
        ('[{"id":1,"grade":7},{"id":"2","grade":0.5}]', {"1": 7, "2": 0.5}, "ok"),
        ('{"picture 1": {"grade": 7, "why": "it is"}, "picture 2": {"grade": 3}}', {"1": 7, "2": 3}, "ok"),
        ("Picture 1: 7/10\nPicture 2: 3", {"1": 7, "2": 3}, "ok"),
        ("1: 7, 2: 3", {"1": 7, "2": 3}, "ok"),
        ("[1] = 7\n[2] = -2.5", {"1": 7, "2": -2.5}, "ok"),
        ('{"grades":{"1":7,"2":3,"9":1}}', {"1": 7, "2": 3}, "repaired"),
        ("1: 7\n2: 3\n1: 9", {"1": 7, "2": 3}, "repaired"),
        ("[1] = 7\n[2] = good", {"1": 7}, "partial"),
        ('{"grades":{"1":7,"2":null}}', {"1": 7}, "partial"),
        ('{"grades":{"1":true,"2":NaN}}', {}, "failed"),
        ("All are fine, 10 of 10.", {}, "failed"),
        (RATE_LIMIT, {}, "failed"),
        ("", {}, "failed"),
    ],
)
def test_grades_are_read_as_the_table_says(text, expected, status):
    assert grades(text, ["1", "2"]) == (expected, status)


MARKS = ["[", "]", "{", "}", "(", ")", "<", ">", ",", ":", '"', "'", "\\", "\n", " ", ".", "-", "```"]
MORE = ["1", "2", "12", "0", "1e999", "٣", "①", "ranking", '"ranking"', "picture ", "A", "no", "true", "null"]
PIECES = st.sampled_from([*MARKS, *MORE, "<think>", "</think>", "<answer>"])
TEXTS = st.text(max_size=60) | st.lists(PIECES, max_size=60).map("".join)


@settings(max_examples=150)
@given(TEXTS, st.integers(0, 30))
def test_any_text_gives_a_permutation_with_a_status(text, n):
    order, status = permutation(text, n)
    assert sorted(order) == list(range(n))
    assert status in STATUSES
    if status == "failed":
        assert order == list(range(n))


@settings(max_examples=100)
@given(TEXTS)
def test_any_text_gives_a_choice_among_the_options_or_none(text):
    for options in (["yes", "no"], ["1", "2", "12"], ["A"], [".", "(B)"]):
        found, status = choice(text, options)
        assert (found in options) if found is not None else status == "failed"
        given_grades, status = grades(text, options)
        assert set(given_grades) <= set(options)
        assert all(abs(grade) < float("inf") for grade in given_grades.values())
        assert (status == "failed") == (not given_grades)


@given(st.integers(2, 40).flatmap(lambda n: st.permutations(range(1, n + 1))), st.sampled_from([5, 50]))
def test_every_way_to_write_an_order_says_the_same(order, filler):
    n, places = len(order), [number - 1 for number in order]
    prose = "It shows a heron, which fits. " * filler
    for text in (
        json.dumps({"ranking": order}),
        json.dumps(order),
        " > ".join(f"[{number}]" for number in order),
        " > ".join(map(str, order)),
        "ranking: " + ", ".join(map(str, order)),
        prose + json.dumps({"reasons": prose, "ranking": order}) + prose,
        "<think>" + json.dumps(order[::-1]) + "</think>" + " > ".join(f"[{number}]" for number in order),
    ):
        assert permutation(text, n) == (places, "ok")


@given(st.integers(3, 20).flatmap(lambda n: st.permutations(range(1, n + 1))), st.data())
def test_an_answer_that_breaks_off_anywhere_is_never_called_whole(order, data):
    text = " > ".join(f"[{number}]" for number in order)
    cut = data.draw(st.integers(0, len(text) - 1))
    told, status = permutation(text[:cut], len(order))
    assert status != "ok"
    known = [number - 1 for number in order][: text[:cut].count("]")]
    if status != "failed":
        assert told[: len(known)] == known


SIGNS = ["[", "{", "[1", "[1]>", "1,", "1.", "(1)", '"', "'", "\\", "1" * 26, "{}", "[]", "1:2,", ">", "**"]
UNITS = [*SIGNS, '{"ranking":', "picture", "<think>", '{"a":[1,2]}', "ab", "</answer>", "ranking:", "yes,"]


@pytest.mark.parametrize("unit", [*UNITS, " ", "\n", "\n1. ", "[1] > ", "final answer is ", "no, ", "1 . "])
def test_a_long_text_is_read_too(unit):
    """Were the time quadratic, one of these would take minutes; assets/reports/parsers.md measures it."""
    text = unit * (40_000 // len(unit))
    assert permutation(text, 20)[1] in STATUSES
    assert choice(text, ["1", "2"])[1] in STATUSES
    assert grades(text, ["1", "2"])[1] in STATUSES


def test_numbers_that_python_refuses_to_read_are_no_numbers():
    huge = "9" * (sys.get_int_max_str_digits() + 1)
    assert permutation(f"[{huge}, 2]", 3)[1] == "failed"
    assert permutation(f"{huge} > 2", 3)[1] == "failed"
    assert grades(f'{{"1": {huge}}}', ["1"]) == ({}, "failed")


@pytest.mark.parametrize("text", ["no idea", "yes or no", "no one can tell", "both yes and no", "yes, no, maybe"])
def test_words_that_choose_nothing_are_no_choice(text):
    assert choice(text, ("yes", "no")) == (None, "failed")


@pytest.mark.parametrize("text", ["Yes it is", "yes, there is a fox", "Yes.\nIt shows a fox", "yes!"])
def test_an_answer_that_begins_with_its_word_chooses_it(text):
    assert choice(text, ("yes", "no"))[0] == "yes"
