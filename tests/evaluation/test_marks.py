"""Marks of one's own: what counts, what was changed, and how deep to look."""

import json

import pytest

from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.evaluation.marks import read_marks, write_queries
from mmretrieval.evaluation.measures import parse_measure
from mmretrieval.evaluation.queries import read_queries
from mmretrieval.evaluation.reach import oracle, reach


def write(tmp_path, *lines):
    file = tmp_path / "marks.jsonl"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return file


def mark(query, image, value=1, **more):
    return {"query": query, "id": image, "mark": value, **more}


def test_marks_become_queries_and_judgements(tmp_path):
    marks = read_marks(
        write(
            tmp_path,
            mark("a red bowl", "p1"),
            "",
            mark("a  red bowl ", "p2", False, time="later"),
            mark("but blue", "p3", 3, reference="p1"),
            mark("a red bowl", "p4", -1),
            {"reference": "p9", "id": "p8", "mark": True},
        )
    )
    assert [(row.query.id, row.query.text, row.query.image_id) for row in marks.rows] == [
        ("a red bowl", "a red bowl", None), ("but blue + p1", "but blue", "p1"), ("like p9", "", "p9"),
    ]  # fmt: skip
    assert marks.rows[1].query.exclude == {"p1"}
    assert marks.qrels == {
        "a red bowl": {"p1": 1, "p2": 0, "p4": -1}, "but blue + p1": {"p3": 3}, "like p9": {"p8": 1},
    }  # fmt: skip
    assert (marks.repeated, marks.changed, marks.notes) == (0, (), [])


def test_the_same_mark_again_counts_once_and_a_later_one_holds(tmp_path):
    given = [mark("a", "p1"), mark("a", "p1"), mark("a", "p2"), mark("a", "p1", 0), mark("b", "p1", 0)]
    marks = read_marks(write(tmp_path, *given))
    assert marks.qrels == {"a": {"p1": 0, "p2": 1}, "b": {"p1": 0}}
    assert (marks.repeated, marks.changed) == (1, ("a: p1",))
    assert marks.notes == [
        "1 marks were given again and count once",
        "1 marks were changed later, and the later ones hold: a: p1",
        "1 queries have no right picture and measure nothing: b",
    ]


def test_queries_can_be_written_for_eval(tmp_path):
    marks = read_marks(write(tmp_path, mark("a bowl", "p1"), mark("but blue", "p3", reference="p1")))
    write_queries(tmp_path / "queries.jsonl", marks)
    assert tuple(read_queries(tmp_path / "queries.jsonl")) == marks.rows


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON object"),
        ("[]", "line 2: a JSON object was expected, and list stands there"),
        ({"query": "a", "mark": 1}, "line 2: there is no id of the picture"),
        ({"query": "a", "id": "p"}, "line 2: the mark is null"),
        (mark("a", "p", 4), "line 2: the mark is 4: give true, false, or a number from -3 to 3"),
        (mark("a", "p", "good"), 'line 2: the mark is "good"'),
        (mark("a", "p", 0.5), "line 2: the mark is 0.5"),
        (mark(["a"], "p"), r'line 2: query is \["a"\], and it should be a text'),
        (mark(" ", "p"), "line 2: there is neither a query nor a reference"),
    ],
    ids=str,
)
def test_what_is_no_mark_names_its_line(tmp_path, line, message):
    with pytest.raises(InvalidData, match=message):
        read_marks(write(tmp_path, mark("fine", "p"), line))


def test_no_file_and_no_mark_are_told_apart(tmp_path):
    with pytest.raises(NotFound, match="there is no file of marks"):
        read_marks(tmp_path / "nowhere.jsonl")
    with pytest.raises(InvalidData, match="holds no mark"):
        read_marks(write(tmp_path, ""))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff")
    with pytest.raises(InvalidData, match="is not UTF-8"):
        read_marks(tmp_path / "bytes.jsonl")


RUN = {
    f"q{n}": [f"x{place}" for place in range(n)] + ["right"] + [f"y{place}" for place in range(20)] for n in range(10)
}
QRELS = {query: {"right": 2, "x0": 0, "y3": 1} for query in RUN}


def test_an_oracle_puts_the_best_grades_first_and_keeps_the_rest():
    assert oracle({"q": ["a", "b", "c", "d"]}, {"q": {"c": 1, "d": 3, "a": -1}}, 3) == {"q": ["c", "a", "b", "d"]}
    assert oracle({"q": ["a", "b"]}, {}, 2) == {"q": ["a", "b"]}


def test_a_depth_is_enough_when_more_brings_little():
    found = reach(RUN, QRELS, parse_measure("R@1"), depths=(20, 1, 5, 8, 10))
    assert {depth: value.mean for depth, value in found.at.items()} == {1: 0.1, 5: 0.5, 8: 0.8, 10: 1.0, 20: 1.0}
    assert (found.depth, found.queries, found.now.mean) == (10, 10, 0.1)
    assert json.loads(json.dumps(found.to_dict()))["at"]["5"]["mean"] == 0.5


def test_without_a_relevant_image_there_is_no_depth():
    with pytest.raises(InvalidData, match="nothing to rerank for"):
        reach(RUN, {"q0": {"right": 0}}, parse_measure("R@1"))
