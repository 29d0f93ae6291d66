"""Reports: the same bytes for the same inputs, escaped, readable back."""

import json
import re
from html.parser import HTMLParser

import pytest

from mmretrieval.bench import plots
from mmretrieval.bench.markdown import markdown
from mmretrieval.bench.page import page
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.report import report
from mmretrieval.bench.writing import file_name, write
from mmretrieval.evaluation.measures import parse_measure
from mmretrieval.evaluation.runs import read_qrels, read_run
from mmretrieval.presets.preset import Preset, StageSpec, read_preset
from mmretrieval.types import Query

EVIL = "<script>alert(1)</script> | a *b* $x$"


@pytest.fixture
def told(benchmark_of, data, encoder, tmp_path):
    """Benchmark, results and report; names that would like to be more than names are among them."""
    benchmark = benchmark_of(name=EVIL, notes=(EVIL,), categories={"q1": EVIL, "q2": "plain"}, licence=EVIL)
    evil = Preset(EVIL, EVIL, (StageSpec("search", "dense", {}),))
    results = Bench(data, tmp_path / "out", encoder).run(benchmark, [evil, read_preset("bm25")])
    return benchmark, results, report(benchmark, results, data)


class Page(HTMLParser):
    """Which tags a page opens, and that it closes them in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.wrong = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def test_the_page_needs_nothing_else_and_no_name_becomes_a_tag(told):
    _, _, facts = told
    text = page(facts, plots.by_category(facts))
    parsed = Page(text)
    assert "script" not in parsed.tags
    assert (parsed.open, parsed.wrong) == ([], [])
    assert "&lt;script&gt;" in text
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', text.replace('xlink:href="#', "")) == []
    assert text.count("<svg") == len(facts["measures"]) == 3
    assert 'id="times"' in text


def test_a_name_cannot_break_a_table_of_the_markdown(told):
    _, _, facts = told
    text = markdown(facts)
    assert "<script" not in text
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(columns) == 1, block
    assert text.index("## Times") > text.index("## Data and versions")


def test_all_but_the_times_is_the_same_twice(told, tmp_path):
    benchmark, results, facts = told
    later = {**facts, "times": {name: dict.fromkeys(times, 9.0) for name, times in facts["times"].items()}}
    write(tmp_path / "one", facts, benchmark, results)
    write(tmp_path / "two", later, benchmark, results)
    for file in sorted((tmp_path / "one").rglob("*.*")):
        other = tmp_path / "two" / file.relative_to(tmp_path / "one")
        first, second = file.read_text("utf-8"), other.read_text("utf-8")
        marks = {"report.md": "## Times", "report.html": 'id="times"', "report.json": ' "times": {'}
        if file.name in marks:
            first, second = (each.partition(marks[file.name])[0] for each in (first, second))
            assert len(first) > 1000
        assert first == second, file.name


def test_what_is_written_can_be_measured_again(told, tmp_path):
    benchmark, results, facts = told
    write(tmp_path / "out", facts, benchmark, results)
    qrels = read_qrels(tmp_path / "out" / "qrels.tsv")
    assert qrels == benchmark.qrels
    for result in results:
        run = read_run(tmp_path / "out" / "runs" / f"{file_name(result.name)}.trec")
        values = {q: parse_measure("nDCG@5")(run.get(q, ()), grades) for q, grades in qrels.items()}
        assert values == result.by_query["nDCG@5"]
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == facts


def test_blanks_in_query_ids_are_replaced_in_runs_and_qrels_alike(benchmark_of, data, encoder, tmp_path):
    benchmark = benchmark_of(queries=(Query("a b", "red"),), qrels={"a b": {"p05": 1}}, categories={})
    results = Bench(data, tmp_path / "out", encoder).run(benchmark, [read_preset("dense")])
    [warning] = write(tmp_path / "out", report(benchmark, results, data), benchmark, results)
    assert "written as _, as in 'a b'" in warning
    assert read_qrels(tmp_path / "out" / "qrels.tsv") == {"a_b": {"p05": 1}}
    assert list(read_run(tmp_path / "out" / "runs" / "dense.trec")) == ["a_b"]


def test_queries_that_are_their_own_answers_text_are_told(benchmark_of, data, encoder, tmp_path):
    queries = (Query("q1", "the blue one"), Query("q2", "blue"))
    benchmark = benchmark_of(queries=queries, qrels={"q1": {"p05": 1}, "q2": {"p05": 1}}, categories={})
    results = Bench(data, tmp_path / "out", encoder).run(benchmark, [read_preset("dense")])
    notes = report(benchmark, results, data)["benchmark"]["notes"]
    assert [note for note in notes if note.startswith("1 queries are, word for word")]


def test_a_report_without_judgements_says_so(benchmark_of, data, encoder, tmp_path):
    benchmark = benchmark_of(qrels={}, categories={})
    results = Bench(data, tmp_path / "out", encoder).run(benchmark, [read_preset("dense")])
    facts = report(benchmark, results, data)
    assert write(tmp_path / "out", facts, benchmark, results) == ()
    for name in ("report.md", "report.html"):
        assert "nothing to measure" in (tmp_path / "out" / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("system", "file"),
    [("dense", "dense"), ("f4-its: first stage", "f4-its-first-stage"), ("oracle@20 of a/b", "oracle@20-of-a-b")],
)
def test_the_name_of_a_system_becomes_that_of_a_file(system, file):
    assert file_name(system) == file
