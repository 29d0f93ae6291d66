"""TREC files in and out; what is written must mean the same to trec_eval."""

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData, NotFound
from mmretrieval.evaluation.measures import parse_measure
from mmretrieval.evaluation.runs import read_qrels, read_run, without_blanks, write_qrels, write_run

ID = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8).filter(
    lambda text: len(text.split()) == 1 and text == text.strip() and not text.startswith("\ufeff")
)


def test_between_tabs_a_query_id_may_hold_blanks(tmp_path):
    (tmp_path / "qrels.tsv").write_text("object:dining table\t0\ta\t1\nq2 0 b 1\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"object:dining table": {"a": 1}, "q2": {"b": 1}}


def test_for_a_run_blanks_in_query_ids_become_underscores():
    assert without_blanks({"dining table": ["a"], "q2": ["b"]}) == (
        {"dining_table": ["a"], "q2": ["b"]},
        ["dining table"],
    )
    with pytest.raises(InvalidData, match="differ in blanks alone"):
        without_blanks({"a b": [], "a_b": []})


@pytest.mark.parametrize("separator", ["\t", " ", "  \t "], ids=["tab", "blank", "mixed"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["unix", "windows"])
def test_qrels_may_be_parted_by_tabs_or_blanks(tmp_path, separator, ending):
    rows = [("q1", "0", "a", "1"), ("q1", "0", "b", "-1"), ("q2", "0", "a", "3")]
    file = tmp_path / "qrels.tsv"
    file.write_bytes((ending.join(separator.join(row) for row in rows) + ending + ending).encode())
    assert read_qrels(file) == {"q1": {"a": 1, "b": -1}, "q2": {"a": 3}}


def test_a_byte_order_mark_is_no_part_of_the_first_query(tmp_path):
    (tmp_path / "qrels.tsv").write_bytes(b"\xef\xbb\xbfq1 0 a 1\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"q1": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 0 a 1\nq1 a 1\n", r"line 2: 3 columns where `qid 0 docid grade` has 4"),
        ("q1\t0\t\t1\n", "line 1: 3 columns"),
        ("q1 0 a high\n", "line 1: the grade 'high' is no whole number"),
        ("q1 0 a 1.5\n", "line 1: the grade '1.5' is no whole number"),
        ("q1 0 a 1\nq1 0 a 2\n", "line 2: image 'a' is judged 1 and 2 for query 'q1'"),
        ("\n \n", "holds no judgement"),
    ],
)
def test_broken_qrels_name_file_and_line(tmp_path, text, message):
    file = tmp_path / "qrels.tsv"
    file.write_text(text)
    with pytest.raises(InvalidData, match=message) as caught:
        read_qrels(file)
    assert str(file) in str(caught.value)


def test_a_judgement_said_twice_alike_counts_once(tmp_path):
    (tmp_path / "qrels.tsv").write_text("q1 0 a 1\nq1 0 a 1\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"q1": {"a": 1}}


def test_a_missing_file_and_bytes_that_are_no_text_are_told_apart(tmp_path):
    with pytest.raises(NotFound, match=r"there is no file .*nowhere\.tsv"):
        read_qrels(tmp_path / "nowhere.tsv")
    (tmp_path / "bytes.tsv").write_bytes(b"q1 0 \xff 1\n")
    with pytest.raises(InvalidData, match=r"bytes\.tsv is not UTF-8"):
        read_qrels(tmp_path / "bytes.tsv")


@given(st.dictionaries(ID, st.dictionaries(ID, st.integers(-2, 5), min_size=1), min_size=1))
def test_qrels_come_back_as_they_were_written(tmp_path_factory, qrels):
    file = tmp_path_factory.mktemp("qrels") / "qrels.tsv"
    write_qrels(file, qrels)
    assert read_qrels(file) == qrels


@given(st.dictionaries(ID, st.lists(ID, unique=True, min_size=1), min_size=1))
def test_runs_come_back_as_they_were_written(tmp_path_factory, run):
    file = tmp_path_factory.mktemp("run") / "run.trec"
    write_run(file, run)
    assert read_run(file) == run


def test_written_scores_fall_strictly_even_in_single_precision(tmp_path):
    write_run(tmp_path / "run.trec", {"q": [f"i{number}" for number in range(20_000)]})
    scores = [float(line.split()[4]) for line in (tmp_path / "run.trec").read_text().splitlines()]
    assert np.all(np.diff(np.array(scores, dtype=np.float32)) < 0)


def test_another_program_measures_our_files_as_we_do(tmp_path):
    run = {"q1": ["c", "a", "b"], "q2": ["b", "c"]}
    qrels = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1, "a": 1}}
    write_run(tmp_path / "run.trec", run)
    write_qrels(tmp_path / "qrels.tsv", qrels)
    theirs = ir_measures.calc_aggregate(
        [ir_measures.parse_measure("nDCG@10")],
        ir_measures.read_trec_qrels(str(tmp_path / "qrels.tsv")),
        ir_measures.read_trec_run(str(tmp_path / "run.trec")),
    )
    ours = sum(parse_measure("nDCG@10")(ranked, qrels[qid]) for qid, ranked in run.items()) / 2
    assert next(iter(theirs.values())) == pytest.approx(ours)


def test_a_foreign_run_is_ordered_by_score_and_ties_by_id(tmp_path):
    (tmp_path / "run.trec").write_text("q Q0 b 1 0.5 x\nq Q0 c 2 7e-1 x\nq Q0 a 3 0.5 x\n")
    assert read_run(tmp_path / "run.trec") == {"q": ["c", "a", "b"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 a 1 0.5\n", "line 1: 5 columns"),
        ("q Q0 a 1 best x\n", "line 1: the score 'best' is no finite number"),
        ("q Q0 a 1 nan x\n", "line 1: the score 'nan' is no finite number"),
        ("q Q0 a 1 2 x\nq Q0 a 2 1 x\n", "line 2: image 'a' stands twice in the ranking of query 'q'"),
    ],
)
def test_a_broken_run_names_file_and_line(tmp_path, text, message):
    (tmp_path / "run.trec").write_text(text)
    with pytest.raises(InvalidData, match=message):
        read_run(tmp_path / "run.trec")


@pytest.mark.parametrize("name", ["", "two words", "tab\there", " edge"], ids=repr)
def test_an_id_that_would_break_the_columns_is_refused(tmp_path, name):
    with pytest.raises(InvalidData, match="cannot stand in a TREC file"):
        write_run(tmp_path / "run.trec", {"q": [name]})
    assert not (tmp_path / "run.trec").exists()
