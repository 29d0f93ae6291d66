"""Two runs side by side, and tables by category."""

import json

import pytest

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.categories import by_category
from mmretrieval.evaluation.comparison import compare, difference
from mmretrieval.evaluation.measures import parse_measures

QRELS = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}, "q4": {"a": 0}}
A = {"q1": ["a", "b"], "q2": ["b", "a"], "q3": ["b", "a"], "q4": ["a"]}
B = {"q1": ["b", "a"], "q2": ["a", "b"], "q3": ["a", "b"], "q4": ["a"]}


def test_two_runs_are_compared_query_by_query():
    result = compare(A, B, QRELS, parse_measures("R@1 RR"))
    hits, ranks = result.differences
    assert (hits.measure, hits.first, hits.second) == ("R@1", pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert hits.by_query == {"q1": -1, "q2": 1, "q3": 1}
    assert (hits.wins, hits.losses, hits.ties) == (2, 1, 0)
    assert (hits.best, hits.worst) == ([("q2", 1), ("q3", 1)], [("q1", -1)])
    assert (ranks.delta.mean, ranks.p) == (pytest.approx(1 / 6), 1.0)
    assert (ranks.delta.low, ranks.delta.high) == (-0.5, 0.5)
    assert result.queries == 3
    assert result.warnings == ("queries without a relevant image are left out: 1 (q4)",)
    assert json.loads(json.dumps(hits.to_dict()))["interval"] == [-1.0, 1.0]


def test_a_run_against_itself_has_no_difference():
    [same] = compare(A, A, QRELS, parse_measures("RR")).differences
    assert (same.delta.low, same.delta.high, same.p, same.wins, same.ties) == (0, 0, 1, 0, 3)
    assert same.best == same.worst == []


def test_a_query_that_a_run_lacks_counts_zero_there_and_is_told():
    result = compare({"q1": ["a"]}, {"q2": ["a"]}, QRELS, parse_measures("R@1"))
    assert result.differences[0].by_query == {"q1": -1, "q2": 1}
    assert result.warnings == (
        "judged queries that neither run has are left out: 1 (q3)",
        "queries that the first run lacks count 0 there: 1 (q2)",
        "queries that the second run lacks count 0 there: 1 (q1)",
    )


def test_runs_of_other_queries_are_refused():
    with pytest.raises(InvalidData, match="do they belong together"):
        compare({"z": ["a"]}, {"z": ["a"]}, QRELS, parse_measures("R@1"))
    with pytest.raises(InvalidData, match="different queries"):
        difference("R@1", {"q1": 1.0}, {"q2": 1.0})


VALUES = {"q1": 1.0, "q2": 1.0, "q3": 1.0, "q4": 0.0, "q5": 0.5}


def test_categories_groups_and_all_have_their_own_rows():
    categories = {"q1": "dress", "q2": "dress", "q3": "dress", "q4": "shirt"}
    rows = by_category(VALUES, categories, {"hard": {"q4", "q5", "q9"}, "gone": {"q9"}})
    assert [(row.category, row.queries, row.value.mean) for row in rows] == [
        ("all", 5, 0.7), ("dress", 3, 1.0), ("shirt", 1, 0.0), ("hard", 2, 0.25),
    ]  # fmt: skip
    assert rows[1].value.low == rows[1].value.high == 1


def test_a_mean_over_categories_counts_each_alike():
    values = {query: value for query, value in VALUES.items() if query != "q5"}
    categories = {"q1": "dress", "q2": "dress", "q3": "dress", "q4": "shirt"}
    assert by_category(values, categories, average="categories")[0].value.mean == 0.5
    assert by_category(values, categories)[0].value.mean == 0.75
    with pytest.raises(InvalidData, match="a category for every query"):
        by_category(VALUES, categories, average="categories")
