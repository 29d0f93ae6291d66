"""Published recordings of language models: SugarCrepe's cells, and the structure of CoTRR's CIRR rankings."""

import gzip
import json
import os
from pathlib import Path

import pytest

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation import agreement, cirr
from mmretrieval.evaluation.choices import Cell, by_category, cells, steadiness

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[3] / "shared" / "data"))

# --- two choices --------------------------------------------------------------------------------------------------

PUBLISHED = {
    ("swap_att", "positive-first"): (607, 666), ("swap_att", "negative-first"): (593, 666),
    ("swap_obj", "positive-first"): (211, 246), ("swap_obj", "negative-first"): (198, 246),
    ("add_att", "positive-first"): (604, 692), ("add_att", "negative-first"): (666, 692),
    ("add_obj", "positive-first"): (1859, 2062), ("add_obj", "negative-first"): (1918, 2062),
    ("replace_att", "positive-first"): (734, 788), ("replace_att", "negative-first"): (740, 788),
    ("replace_obj", "positive-first"): (1578, 1652), ("replace_obj", "negative-first"): (1604, 1652),
    ("replace_rel", "positive-first"): (1240, 1406), ("replace_rel", "negative-first"): (1298, 1406),
}  # fmt: skip
AVERAGES = {
    "swap_att": 0.9009, "swap_obj": 0.8313, "add_att": 0.9176, "add_obj": 0.9159, "replace_att": 0.9353,
    "replace_obj": 0.9631, "replace_rel": 0.9026,
}  # fmt: skip
OF_THE_FIRST_HALF = {
    ("add_att", "positive-first"): (266, 306), ("add_att", "negative-first"): (291, 306),
    ("add_obj", "positive-first"): (867, 966), ("add_obj", "negative-first"): (894, 966),
    ("replace_att", "positive-first"): (340, 363), ("replace_att", "negative-first"): (347, 363),
    ("replace_obj", "positive-first"): (685, 722), ("replace_obj", "negative-first"): (697, 722),
    ("replace_rel", "positive-first"): (563, 641), ("replace_rel", "negative-first"): (582, 641),
    ("swap_att", "positive-first"): (298, 322), ("swap_att", "negative-first"): (284, 322),
    ("swap_obj", "positive-first"): (105, 126), ("swap_obj", "negative-first"): (103, 126),
}  # fmt: skip


def test_answers_are_counted_by_category_and_order():
    answers = [("a", "first", True), ("a", "first", False), ("a", "second", True), ("b", "first", False)]
    table = cells(answers)
    assert table == {("a", "first"): Cell(1, 2), ("a", "second"): Cell(1, 1), ("b", "first"): Cell(0, 1)}
    assert by_category(table) == {"a": 0.75, "b": 0}
    assert Cell().accuracy == 0


def test_a_model_that_always_takes_the_first_is_steady_in_nothing():
    answers = [(f"t{n}", order, order == "first") for n in range(4) for order in ("first", "second")]
    assert by_category(cells(("all", order, ok) for _, order, ok in answers)) == {"all": 0.5}
    assert steadiness(answers) == (0, 1)
    assert steadiness([]) == (0, 0)


def answers():
    files = sorted((DATA / "out-sugarcrepe-gpt4v").glob("*/gpt4v_answers.jsonl.gz"))
    if not files:
        pytest.skip(f"no out-sugarcrepe-gpt4v in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return [json.loads(line) for file in files for line in gzip.open(file, "rt", encoding="utf-8")]


def test_the_recorded_answers_of_gpt_4v_count_to_the_cells_that_were_published():
    rows = answers()
    table = cells((row["type"], row["order"], row["correct"]) for row in rows)
    whole = len(rows) == sum(total for _, total in PUBLISHED.values())
    expected = PUBLISHED if whole else OF_THE_FIRST_HALF
    assert {key: (cell.correct, cell.total) for key, cell in table.items()} == expected
    if whole:
        assert by_category(table) == pytest.approx(AVERAGES, abs=1e-4)
    else:
        assert all(table[key].total < total and table[key].correct < right for key, (right, total) in PUBLISHED.items())


def test_the_recorded_verdict_is_whether_the_chosen_caption_is_the_right_one():
    """So an answer that names neither caption counts as wrong."""
    rows = answers()
    assert [row for row in rows if row["correct"] != (row["multiple_choice_answer"] == row["caption"])] == []
    assert any(row["multiple_choice_answer"] == "" for row in rows)


# --- rankings -----------------------------------------------------------------------------------------------------


def test_agreement_of_two_small_runs_worked_by_hand():
    one = {"q1": ["a", "b", "c"], "q2": ["a", "b", "c"], "q3": ["a", "b", "b"]}
    other = {"q1": ["a", "c", "b"], "q2": ["b", "a", "d"], "q3": ["a", "b", "b"], "q4": ["z"]}
    assert agreement.same_first(one, other) == pytest.approx(2 / 3)
    assert agreement.overlap(one, other, 2) == pytest.approx((0.5 + 1 + 1) / 3)
    assert agreement.same_set(one, other, 3) == pytest.approx(2 / 3)
    assert agreement.kendall(one, other, 3) == (pytest.approx(1 / 3), 1)  # q2 has another set, q3 names b twice
    assert agreement.kendall(one, {"q1": ["c", "b", "a"]}, 3) == (-1, 1)
    assert agreement.kendall(one, other, 1) == (0, 0)
    assert agreement.doubled(one) == ["q3"]
    assert agreement.distinct_counts(one) == {3: 2, 2: 1}
    with pytest.raises(InvalidData, match="no query in common"):
        agreement.same_first(one, {"z": []})


NAMES = {"gpt4o": "gpt4o", "qwen": "QWEN_VL_Max", "flash": "gemini2_5_flash", "pro": "gemini2_5_pro"}
DISTINCT = {
    "gpt4o": {50: 4123, 49: 21, 48: 1, 47: 3}, "qwen": {50: 4117, 49: 29, 47: 1, 46: 1},
    "flash": {50: 4148}, "pro": {50: 4148},
}  # fmt: skip
BOUNDS = {  # percent, at 1, 5, 10, 15, 50
    "gpt4o": (56.87, 79.73, 86.55, 89.46, 97.13), "qwen": (57.93, 79.97, 86.84, 89.44, 97.13),
    "flash": (56.85, 80.23, 86.91, 89.46, 97.13), "pro": (58.29, 80.88, 87.13, 89.46, 97.13),
}  # fmt: skip
PAIRS = {  # same first, overlap at 3, 5, 10, Kendall's tau over 15, its queries
    ("gpt4o", "qwen"): (0.640, 0.639, 0.684, 0.819, 0.552, 4092),
    ("gpt4o", "flash"): (0.587, 0.604, 0.663, 0.812, 0.521, 4123),
    ("gpt4o", "pro"): (0.571, 0.597, 0.661, 0.812, 0.511, 4123),
    ("qwen", "flash"): (0.615, 0.639, 0.693, 0.839, 0.585, 4117),
    ("qwen", "pro"): (0.593, 0.632, 0.686, 0.833, 0.563, 4117),
    ("flash", "pro"): (0.673, 0.711, 0.755, 0.872, 0.663, 4148),
}


@pytest.fixture(scope="module")
def recorded():
    runs = {}
    for name, told in NAMES.items():
        for file in (DATA / "out-cotrr-cirr").glob(f"*/*_{told}.json.gz"):
            entries = json.loads(gzip.decompress(file.read_bytes()))
            assert (entries.pop("version"), entries.pop("metric")) == ("rc2", "recall")
            runs[name] = entries
    if not runs:
        pytest.skip(f"no out-cotrr-cirr in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return runs


@pytest.fixture(scope="module")
def queries():
    file = DATA / "ann-cirr" / "shared" / "cap.rc2.test1.json"
    if not file.is_file():
        pytest.skip(f"no ann-cirr in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return {str(entry["pairid"]): entry for entry in json.loads(file.read_text())}


def test_the_recorded_rankings_have_the_structure_that_was_found_in_them(recorded, queries):
    split = json.loads((DATA / "ann-cirr" / "shared" / "split.rc2.test1.json").read_text())
    for name, run in recorded.items():
        assert agreement.distinct_counts(run) == DISTINCT[name], name
        assert len(agreement.doubled(run)) == 4148 - DISTINCT[name][50]
        assert run.keys() == queries.keys()
        assert not any(queries[query]["reference"] in ranked for query, ranked in run.items())
        assert {image for ranked in run.values() for image in ranked} <= split.keys()


def test_the_recorded_rankings_have_the_upper_bounds_that_follow_from_the_sets(recorded, queries):
    references = {query: entry["reference"] for query, entry in queries.items()}
    members = {query: entry["img_set"]["members"] for query, entry in queries.items()}
    for name, run in recorded.items():
        bounds = tuple(round(100 * cirr.upper_bound(run, references, members, k), 2) for k in (1, 5, 10, 15, 50))
        assert bounds == BOUNDS[name], name


def test_the_recorded_rankings_agree_as_far_as_was_found(recorded):
    pairs = {pair: told for pair, told in PAIRS.items() if set(pair) <= recorded.keys()}
    assert pairs
    for (a, b), (first, at_3, at_5, at_10, tau, counted) in pairs.items():
        one, other = recorded[a], recorded[b]
        assert agreement.same_first(one, other) == pytest.approx(first, abs=6e-4)
        overlaps = [agreement.overlap(one, other, k) for k in (3, 5, 10)]
        assert overlaps == pytest.approx([at_3, at_5, at_10], abs=6e-4)
        assert agreement.kendall(one, other, 15) == (pytest.approx(tau, abs=6e-4), counted)
        assert agreement.same_set(one, other, 15) >= 0.986  # the depth that was reranked is 15
