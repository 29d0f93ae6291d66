"""Measures against cases worked by hand, and against ir_measures on random rankings."""

import math

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.evaluation.measures import Measure, parse_measure, parse_measures

RANKED = ["a", "b", "c", "d", "e"]
GRADES = {"b": 1, "d": 3, "z": 2, "a": 0, "e": -1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("P@1", 0),
        ("P@2", 1 / 2),
        ("P@10", 2 / 10),
        ("R@1", 0),
        ("R@2", 1),
        ("Recall@2", 1 / 3),
        ("Recall@4", 2 / 3),
        ("RR", 1 / 2),
        ("RR@1", 0),
        ("AP", (1 / 2 + 2 / 4) / 3),
        ("AP@3", (1 / 2) / 3),
        ("APmin@2", (1 / 2) / 2),
        ("APmin@10", (1 / 2 + 2 / 4) / 3),
        ("nDCG@2", (1 / math.log2(3)) / (3 / math.log2(2) + 2 / math.log2(3))),
        ("nDCG", (1 / math.log2(3) + 3 / math.log2(5)) / (3 + 2 / math.log2(3) + 1 / math.log2(4))),
    ],
)
def test_a_case_worked_by_hand(name, value):
    assert parse_measure(name)(RANKED, GRADES) == pytest.approx(value)


@pytest.mark.parametrize("name", ["nDCG", "AP", "RR", "P@5", "R@5", "Recall@5"])
def test_a_perfect_order_is_one_and_an_empty_one_is_zero(name):
    grades = dict.fromkeys(RANKED, 1)
    assert parse_measure(name)(RANKED, grades) == 1
    assert parse_measure(name)([], grades) == 0


@pytest.mark.parametrize("name", ["nDCG", "AP", "RR", "P@5", "R@5", "Recall@5"])
@pytest.mark.parametrize("grades", [{}, {"a": 0, "b": -2}], ids=["unjudged", "nothing relevant"])
def test_without_a_relevant_image_every_measure_is_zero(name, grades):
    assert parse_measure(name)(RANKED, grades) == 0


THEIRS = {
    "nDCG@1": "nDCG@1",
    "nDCG@5": "nDCG@5",
    "nDCG@10": "nDCG@10",
    "nDCG": "nDCG",
    "AP": "AP",
    "AP@5": "AP@5",
    "RR": "RR",
    "P@1": "P@1",
    "P@5": "P@5",
    "R@1": "Success@1",
    "R@10": "Success@10",
    "Recall@5": "R@5",
}
IMAGES = [f"i{number}" for number in range(15)]


@given(
    rankings=st.lists(st.permutations(IMAGES).flatmap(lambda p: st.integers(0, 15).map(lambda n: p[:n])), min_size=1),
    data=st.data(),
)
def test_random_rankings_score_as_in_ir_measures(rankings, data):
    grades = [
        data.draw(st.dictionaries(st.sampled_from(IMAGES), st.integers(0, 3), min_size=1)) | {"x": 1} for _ in rankings
    ]
    qrels = {f"q{number}": judged for number, judged in enumerate(grades)}
    run = {f"q{n}": {image: 1 / rank for rank, image in enumerate(r, start=1)} for n, r in enumerate(rankings)}
    measures = [ir_measures.parse_measure(name) for name in THEIRS.values()]
    expected = {(m.query_id, str(m.measure)): m.value for m in ir_measures.iter_calc(measures, qrels, run)}
    for number, ranked in enumerate(rankings):
        for ours, theirs in THEIRS.items():
            value = parse_measure(ours)(ranked, grades[number])
            assert value == pytest.approx(expected[f"q{number}", theirs], abs=1e-9), (ours, ranked, grades[number])


@given(st.permutations(IMAGES), st.dictionaries(st.sampled_from(IMAGES), st.integers(0, 3)), st.integers(1, 15))
def test_a_measure_that_only_ir_measures_knows_is_its_value(ranked, grades, depth):
    grades, ranked = grades | {"x": 2}, ranked[:depth]
    run = {"q": {image: 1 / rank for rank, image in enumerate(ranked, start=1)}}
    theirs = {"P(rel=2)@5": "P(rel=2)@5", "Rprec": "Rprec", "Bpref": "Bpref", "R(rel=2)@5": "Success(rel=2)@5",
              "Recall(rel=2)@3": "R(rel=2)@3"}  # fmt: skip
    for ours, name in theirs.items():
        [metric] = ir_measures.iter_calc([ir_measures.parse_measure(name)], {"q": grades}, run)
        assert parse_measure(ours)(ranked, grades) == pytest.approx(metric.value), ours


def test_a_measure_of_ir_measures_knows_its_cutoff_and_an_empty_ranking_is_zero():
    measure = parse_measure("P(rel=2)@5")
    assert (measure.cutoff, str(measure)) == (5, "P(rel=2)@5")
    assert measure([], {"a": 2}) == 0
    assert measure(["a"], {"a": 1}) == 0


@given(st.lists(st.sampled_from(IMAGES), unique=True), st.data())
def test_runs_with_ties_score_as_in_ir_measures_once_they_are_ordered_as_trec_eval_does(images, data):
    """trec_eval breaks a tie by the larger id first; a ranking here is an order, so the order is what must agree."""
    scores = {image: data.draw(st.integers(0, 3)) for image in images}
    grades = data.draw(st.dictionaries(st.sampled_from(IMAGES), st.integers(0, 3))) | {"x": 1}
    ranked = sorted(sorted(images, reverse=True), key=lambda image: -scores[image])
    run = {"q": {image: float(score) for image, score in scores.items()}} if scores else {"q": {"none": 0.0}}
    measures = [ir_measures.parse_measure(name) for name in THEIRS.values()]
    expected = {str(m.measure): m.value for m in ir_measures.iter_calc(measures, {"q": grades}, run)}
    for ours, theirs in THEIRS.items():
        assert parse_measure(ours)(ranked, grades) == pytest.approx(expected[theirs], abs=1e-9), ours


@pytest.mark.parametrize("text", ["nDCG@10", "AP", "RR@3", "R@1", "Recall@100"])
def test_a_measure_is_printed_as_it_is_written(text):
    assert str(parse_measure(text)) == text


def test_the_case_of_letters_does_not_matter():
    assert parse_measure("NDCG@10") == Measure("nDCG", 10)


@pytest.mark.parametrize("text", ["", "nDCG@", "nDCG@0", "nDCG@-1", "nDCG@1.5", "mAP", "R10", "R@٣"])
def test_an_unknown_name_is_refused_with_the_known_ones(text):
    with pytest.raises(UsageError, match=r"there is no measure .*nDCG, AP, RR, P, R, Recall"):
        parse_measure(text)


@pytest.mark.parametrize("text", ["P", "R", "recall", "APmin"])
def test_a_measure_that_needs_a_cutoff_says_so(text):
    with pytest.raises(UsageError, match="needs a cutoff"):
        parse_measure(text)


def test_several_names_are_parted_by_blanks_or_commas_and_counted_once():
    names = [str(measure) for measure in parse_measures(" nDCG@10, R@1  R@1,AP ")]
    assert names == ["nDCG@10", "R@1", "AP"]


def test_no_name_at_all_is_refused():
    with pytest.raises(UsageError, match="no measure is named"):
        parse_measures(" , ")
