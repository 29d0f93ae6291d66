"""What models really wrote, through our parsers and through published ones, against a slow reading."""

import gzip
import json
from collections import Counter

import pytest
from published_parsers import cotrr, mm_r5, rank_llm, rerankers
from recorded_answers import CHOICES, COTRR, DATA, LISTWISE, PROSE, authors_choice, rows, slow_order

from mmretrieval.parsing import STATUSES, choice, permutation

REASON = f"no recorded answers in {DATA}; name their folder in MMRETRIEVAL_DATA"
listwise = pytest.mark.skipif(not LISTWISE.is_file(), reason=REASON)
choices = pytest.mark.skipif(not CHOICES.is_file(), reason=REASON)
prose = pytest.mark.skipif(not PROSE.is_file(), reason=REASON)
lists = pytest.mark.skipif(not COTRR.is_dir(), reason=REASON)


@listwise
def test_every_recorded_ranking_is_a_permutation_with_the_status_of_a_slow_reading():
    for row in rows(LISTWISE):
        n = row["n_candidates"]
        order, status = permutation(row["response"], n)
        assert sorted(order) == list(range(n))
        ids, expected = slow_order(row["response"], n)
        assert status == expected, row["response"]
        first = [number - 1 for number in dict.fromkeys(ids or ()) if 1 <= number <= n]
        assert order == [*first, *(place for place in range(n) if place not in first)]


@listwise
def test_statuses_agree_with_the_kinds_that_were_noted_beside_the_recording():
    found = Counter((row["kind"], permutation(row["response"], row["n_candidates"])[1]) for row in rows(LISTWISE))
    assert {pair for pair in found if pair[0] != "other_syntax"} == {
        ("clean", "ok"),
        ("duplicate_ids", "repaired"),
        ("missing_ids", "repaired"),
    }


@listwise
def test_published_parsers_take_a_remark_on_twenty_passages_for_a_ranking():
    remark = next(row["response"] for row in rows(LISTWISE) if row["response"].startswith("20 passages are provided."))
    assert rank_llm(remark, 20)[0] == rerankers(remark, 20)[0] == 19
    assert permutation(remark, 20) == (list(range(20)), "failed")


@choices
def test_recorded_choices_are_those_that_the_authors_read_or_none():
    told = Counter()
    for row in rows(CHOICES):
        expected = authors_choice(row)
        found, status = choice(row["free_form_answer"], ["1", "2"])
        told[expected == found, expected is None] += 1
        assert expected is None or found in (expected, None)
        assert (status == "failed") == (found is None)
    agreed = sum(count for (is_same, _), count in told.items() if is_same)
    assert agreed >= 0.999 * told.total()
    assert told[False, True] <= 2  # "2", which they left blank, and a forced choice, which they read elsewhere


@prose
def test_what_models_write_about_pictures_is_no_ranking():
    found = Counter()
    for row in rows(PROSE):
        for n in (3, 20):
            order, status = permutation(row["output"], n)
            assert sorted(order) == list(range(n))
            found[status] += 1
    assert found["failed"] >= 0.99 * found.total()
    assert set(found) <= set(STATUSES)


def positions(file):
    """The lists of one run that hold a name twice, and where the second copies stand, from 1."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        told = {key: value for key, value in json.load(text).items() if key not in ("version", "metric")}
    seconds = {qid: [at for at, name in enumerate(names, 1) if name in names[: at - 1]] for qid, names in told.items()}
    return told, {qid: at for qid, at in seconds.items() if at}


@lists
@pytest.mark.parametrize("file", sorted(COTRR.glob("*.json.gz")) or [None], ids=lambda file: file.name if file else "")
def test_cotrrs_published_lists_hold_names_twice_where_no_permutation_was_made(file):
    told, twice = positions(file)
    assert len(told) == 4148
    assert {len(names) for names in told.values()} == {50}
    expected = {"gpt4o": 25, "QWEN_VL_Max": 31, "gemini2_5_flash": 0, "gemini2_5_pro": 0}
    assert len(twice) == next(count for model, count in expected.items() if model in file.name)
    assert all(3 <= place <= 10 for at in twice.values() for place in at)  # so they are of the model's answer


def test_cotrrs_rule_makes_such_lists_of_such_answers_and_ours_does_not():
    answer = '{"ranking": [2, 5, 2, 1, 9]}'
    assert cotrr(answer, 6) == [1, 4, 1, 0, 2, 3, 5]
    assert permutation(answer, 6) == ([1, 4, 0, 2, 3, 5], "repaired")
    assert cotrr('{"a": 1} {"ranking": [2]}', 3) is None
    assert cotrr('{"ranking": [true, 2]}', 3) == [0, 1, 2]
    assert mm_r5("<answer>[2, 2, 9]</answer>", 3) == [1, 1, 0, 2]
    assert mm_r5("<answer>[3,\n2]</answer>", 3) == [0, 1, 2]
