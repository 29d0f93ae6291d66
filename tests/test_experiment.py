"""Query files, and what an experiment counts and leaves out."""

import json

import pytest

from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.types import Hit, Query, Ranking


class Fixed:
    """Ranks its ids in one order, whatever is asked."""

    def __init__(self, ids, warnings=()):
        self.ids = ids
        self.warnings = warnings
        self.asked = []

    def search_all(self, queries, top_k):
        self.asked.append((len(queries), top_k))
        return [
            Ranking(q, tuple(Hit(i, "fixed") for i in self.ids if i not in q.exclude)[:top_k], warnings=self.warnings)
            for q in queries
        ]


def rows(*specs):
    return [QueryRow(Query(qid, text="words"), "plain") for qid in specs]


def composed(qid, reference):
    return QueryRow(Query(qid, text="but blue", image_id=reference), "composed")


# --- query files --------------------------------------------------------------------------------------------------


def write(tmp_path, *lines):
    file = tmp_path / "queries.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n", "utf-8")
    return file


def test_words_a_reference_and_both_are_read(tmp_path):
    file = write(
        tmp_path,
        {"qid": "q1", "type": "caption", "text": "a bowl\u2028of soup", "more": [1]},
        "",
        {"qid": "q2", "reference": "img7", "text": "but with rice"},
        {"qid": 3, "reference": 12},
        {"qid": "dining table", "text": "a dining table"},
    )
    assert read_queries(file) == [
        QueryRow(Query("q1", "a bowl\u2028of soup"), "caption"),
        QueryRow(Query("q2", "but with rice", image_id="img7", exclude=frozenset({"img7"}))),
        QueryRow(Query("3", image_id="12", exclude=frozenset({"12"}))),
        QueryRow(Query("dining table", "a dining table")),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON object"),
        ("[1]", "line 2: a JSON object was expected, and list stands there"),
        ({"text": "a"}, "line 2: the qid '' is empty"),
        ({"qid": " a", "text": "a"}, "line 2: the qid ' a' is empty, or holds tabs or blanks at its ends"),
        ({"qid": "a\tb", "text": "a"}, "is empty, or holds tabs or blanks at its ends"),
        ({"qid": "q", "text": "  "}, "line 2: query 'q' has neither a text nor a reference"),
        ({"qid": "q", "text": ["a"]}, r'line 2: text is \["a"\], and it should be a text'),
        ({"qid": "q0", "text": "again"}, "holds the query 'q0' twice"),
    ],
    ids=str,
)
def test_a_broken_query_file_names_the_line(tmp_path, line, message):
    with pytest.raises(InvalidData, match=message):
        read_queries(write(tmp_path, {"qid": "q0", "text": "fine"}, line))


def test_a_missing_an_empty_and_an_undecodable_query_file_are_told_apart(tmp_path):
    with pytest.raises(NotFound, match="there is no query file"):
        read_queries(tmp_path / "nowhere.jsonl")
    with pytest.raises(InvalidData, match="holds no query"):
        read_queries(write(tmp_path, ""))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe{")
    with pytest.raises(InvalidData, match="is not UTF-8"):
        read_queries(tmp_path / "bytes.jsonl")


# --- experiments --------------------------------------------------------------------------------------------------


def test_each_query_is_measured_and_the_mean_is_taken():
    result = evaluate(Fixed(["a", "b", "c"]), rows("q1", "q2"), {"q1": {"a": 1}, "q2": {"c": 1}}, "R@1 RR R@3")
    assert result.measures == {"R@1": 0.5, "RR": pytest.approx(2 / 3), "R@3": 1.0}
    assert result.by_query == {"q1": {"R@1": 1, "RR": 1, "R@3": 1}, "q2": {"R@1": 0, "RR": 1 / 3, "R@3": 1}}
    assert (result.queries, result.left_out, result.warnings) == (2, (), ())
    assert result.run == {"q1": ["a", "b", "c"], "q2": ["a", "b", "c"]}


def test_the_reference_of_a_composed_query_is_never_in_its_ranking():
    result = evaluate(Fixed(["a", "b", "c"]), [composed("q1", "a")], {"q1": {"b": 1}}, "R@1 R@3")
    assert result.run == {"q1": ["b", "c"]}
    assert result.measures == {"R@1": 1.0, "R@3": 1.0}


def test_queries_without_a_relevant_image_are_left_out_and_reported():
    qrels = {"q1": {"a": 1}, "q2": {"a": 0}}
    result = evaluate(Fixed(["a"]), rows("q1", "q2", "q3"), qrels, "R@1")
    assert (result.measures, result.queries, result.left_out) == ({"R@1": 1.0}, 1, ("q2", "q3"))
    assert result.warnings == ("queries without a relevant image in the qrels are left out: 2 (q2, q3)",)


def test_a_judged_query_that_the_query_file_lacks_is_reported():
    result = evaluate(Fixed(["a"]), rows("q1"), {"q1": {"a": 1}, "q9": {"a": 1}}, "R@1")
    assert result.warnings == ("queries of the qrels that the query file lacks are left out: 1 (q9)",)


def test_a_reference_outside_the_index_counts_zero_and_is_reported():
    result = evaluate(Fixed(["a"]), [*rows("q1"), composed("q2", "gone")], {"q1": {"a": 1}, "q2": {"a": 1}}, "R@1")
    assert (result.measures, result.queries) == ({"R@1": 0.5}, 2)
    assert result.run["q2"] == []
    assert result.warnings == ("queries with a reference that is not in the index count 0: 1 (q2)",)


def test_relevant_images_outside_the_index_are_reported():
    qrels = {"q1": {"a": 1, **{f"x{n}": 1 for n in range(7)}}}
    result = evaluate(Fixed(["a"]), rows("q1"), qrels, "Recall@10")
    assert result.measures == {"Recall@10": 1 / 8}
    assert result.warnings == ("relevant images that are not in the index cannot be found: 7 (x0, x1, x2, x3, x4, …)",)


def test_qrels_of_other_queries_and_qrels_of_another_index_are_refused():
    with pytest.raises(InvalidData, match="are these the qrels of these queries"):
        evaluate(Fixed(["a"]), rows("q1"), {"q2": {"a": 1}}, "R@1")
    with pytest.raises(InvalidData, match=r"'a\.jpg' for one: do the ids fit"):
        evaluate(Fixed(["a"]), rows("q1"), {"q1": {"a.jpg": 1}}, "R@1")


def test_values_are_told_by_type_too():
    result = evaluate(Fixed(["a", "b"]), [*rows("q1"), composed("q2", "a")], {"q1": {"b": 1}, "q2": {"b": 1}}, "R@1")
    assert result.by_type == {"plain": {"R@1": 0.0}, "composed": {"R@1": 1.0}}


def test_rankings_are_as_deep_as_the_deepest_cutoff_and_queries_go_in_parts():
    searcher, seen = Fixed(["a"]), []
    many = [f"q{number}" for number in range(130)]
    evaluate(searcher, rows(*many), {qid: {"a": 1} for qid in many}, "R@5 P@20", lambda *done: seen.append(done))
    assert searcher.asked == [(64, 20), (64, 20), (2, 20)]
    assert seen == [(64, 130), (128, 130), (130, 130)]


def test_a_measure_without_cutoff_looks_a_thousand_deep():
    searcher = Fixed(["a"])
    evaluate(searcher, rows("q1"), {"q1": {"a": 1}}, "AP R@1")
    assert searcher.asked == [(1, 1000)]


def test_warnings_of_rankings_are_handed_on_once():
    result = evaluate(Fixed(["a"], ("demo model",)), rows("q1", "q2"), {"q1": {"a": 1}, "q2": {"a": 1}}, "R@1")
    assert result.warnings == ("demo model",)


def test_an_unknown_measure_is_refused_before_any_search():
    searcher = Fixed(["a"])
    with pytest.raises(UsageError):
        evaluate(searcher, rows("q1"), {"q1": {"a": 1}}, "R@one")
    assert searcher.asked == []
