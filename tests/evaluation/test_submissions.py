"""Submission files for the servers of CIRR and CIRCO: written from runs, and every fault named with its query."""

import gzip
import json
import os
from pathlib import Path

import official_files as official
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval import registry
from mmretrieval.benchmarks import Benchmark
from mmretrieval.cli.entry import run as command
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.evaluation.runs import write_run
from mmretrieval.evaluation.submissions import faults, read, written
from mmretrieval.types import Query

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
NAMES = [f"test1-{n}-0-img0" for n in range(60)]


def cirr():
    queries = [Query(str(100 + n), "x", image_id=NAMES[n], exclude=frozenset({NAMES[n]})) for n in range(3)]
    subsets = {str(100 + n): frozenset(NAMES[n + 1 : n + 6]) for n in range(3)}
    return Benchmark("cirr", "test1", tuple(queries), {}, images={name: name for name in NAMES}, subsets=subsets)


def circo():
    queries = tuple(Query(str(n), "x", image_id=str(n)) for n in range(3))
    return Benchmark("circo", "test", queries, {}, images={str(n): str(n) for n in range(60)})


CIRR_RUN = {str(100 + n): NAMES for n in range(3)}
CIRCO_RUN = {str(n): [str(59 - place) for place in range(60)] for n in range(3)}


def test_recall_holds_the_first_fifty_without_the_reference():
    found = written(cirr(), CIRR_RUN)
    assert list(found) == ["version", "metric", "100", "101", "102"]
    assert (found["version"], found["metric"]) == ("rc2", "recall")
    assert found["101"] == [NAMES[0], *NAMES[2:51]]


def test_recall_subset_holds_the_first_three_of_the_own_set():
    found = written(cirr(), CIRR_RUN | {"102": NAMES[::-1]}, "recall_subset")
    assert found["metric"] == "recall_subset"
    assert found["100"] == NAMES[1:4]
    assert found["102"] == [NAMES[7], NAMES[6], NAMES[5]]


def test_circo_holds_fifty_numbers_and_keeps_the_reference():
    found = written(circo(), CIRCO_RUN)
    assert found["1"] == list(range(59, 9, -1))
    assert faults(circo(), found) == []


@pytest.mark.parametrize(
    ("benchmark", "run", "metric", "sentence"),
    [
        (cirr(), {k: v for k, v in CIRR_RUN.items() if k != "101"}, "recall", "query '101' has no ranking in the run"),
        (cirr(), CIRR_RUN | {"101": NAMES[:50]}, "recall", "query '101' ranks 49 candidates besides its reference"),
        (cirr(), CIRR_RUN | {"101": NAMES[:4]}, "recall_subset", "query '101' ranks 2 members of its set"),
        (cirr(), CIRR_RUN | {"101": ["elsewhere", *NAMES]}, "recall", "query '101': 'elsewhere' is not among"),
        (cirr(), CIRR_RUN | {"101": [NAMES[5], *NAMES]}, "recall", "query '101' has 'test1-5-0-img0' 2 times"),
        (circo(), CIRCO_RUN | {"2": ["7", "7", *CIRCO_RUN["2"]]}, "recall", "query '2' has '7' 2 times"),
        (circo(), CIRCO_RUN | {"2": ["1"]}, "recall", "query '2' ranks 1 candidates"),
    ],
)  # fmt: skip
def test_a_run_that_does_not_do_is_refused_with_its_query(benchmark, run, metric, sentence):
    with pytest.raises(InvalidData, match=sentence):
        written(benchmark, run, metric)


def test_another_benchmark_has_no_server():
    with pytest.raises(UsageError, match="there is no server for coco"):
        written(Benchmark("coco", "test", (), {}), {})


def changed(**fields):
    return {**written(cirr(), CIRR_RUN), **fields}


@pytest.mark.parametrize(
    ("submission", "sentences"),
    [
        ([1], ["a submission is a JSON object with a list for each query, and this is list"]),
        (changed(version="rc1"), ['\'version\' must be "rc2", and is "rc1"']),
        (changed(metric="mAP"), ["'metric' must be one of recall, recall_subset, and is \"mAP\""]),
        (changed(**{"100": None}), ["query '100' has no list"]),
        (changed(**{"100": "a"}), ["query '100': its value is no list"]),
        (changed(**{"100": [3]}), ["query '100': 3 is no name of an image"]),
        (changed(**{"100": NAMES[1:50]}), ["query '100' has 49 images, and 50 are wanted"]),
        (changed(**{"100": NAMES[:50]}), ["query '100' has its reference 'test1-0-0-img0' in its list"]),
        (changed(**{"100": [*NAMES[1:50], NAMES[9]]}), ["query '100' has 'test1-9-0-img0' 2 times"]),
        (changed(**{"100": [*NAMES[1:50], "x"]}), ["query '100' has 'x', which is not among the images of the split"]),
        (changed(**{"999": NAMES[:50]}), ["query '999' is not in cirr test1"]),
        (
            changed(metric="recall_subset", **{"100": NAMES[1:4], "101": NAMES[2:5], "102": [*NAMES[3:5], NAMES[20]]}),
            ["query '102' has 'test1-20-0-img0', which is not in its set"],
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[0] if isinstance(value[0], str) else "list",
)
def test_each_fault_is_a_sentence_with_its_query(submission, sentences):
    assert faults(cirr(), submission) == sentences


def test_numbers_of_circo_are_numbers():
    found = written(circo(), CIRCO_RUN)
    assert faults(circo(), found | {"1": [str(each) for each in found["1"]]}) == [
        "query '1': \"59\" is no number of an image"
    ]
    assert faults(circo(), found | {"1": [True, *found["1"][1:]]}) == ["query '1': true is no number of an image"]
    assert faults(circo(), {k: v for k, v in found.items() if k != "2"}) == ["query '2' has no list"]


@given(st.data())
def test_what_is_written_from_any_permutation_has_no_fault_and_keeps_the_order(data):
    run = {query: data.draw(st.permutations(NAMES)) for query in CIRR_RUN}
    for metric, wanted in (("recall", 50), ("recall_subset", 3)):
        found = written(cirr(), run, metric)
        assert faults(cirr(), found) == []
        for query in cirr().queries:
            assert len(found[query.id]) == wanted
            places = [run[query.id].index(name) for name in found[query.id]]
            assert places == sorted(places)


def test_a_query_that_stands_twice_in_a_file_is_refused(tmp_path):
    (tmp_path / "s.json").write_text('{"100": [], "100": []}')
    with pytest.raises(InvalidData, match="query '100' stands twice"):
        read(tmp_path / "s.json")


def test_the_command_writes_from_a_run_and_checks_what_it_wrote(tmp_path, capsys):
    folder = official.write(tmp_path / "data", official.circo(split="test") | gallery_of_circo(60))
    write_run(tmp_path / "run.trec", {str(n): [str(each) for each in range(60, 5, -1)] for n in range(3)})
    out = tmp_path / "out.json"
    words = ["submit", "circo", str(tmp_path / "run.trec"), "--data", str(folder), "--out", str(out)]
    assert command(words) == 0
    assert capsys.readouterr().out == f"queries\t3\nfile\t{out}\n"
    assert json.loads(out.read_text())["2"] == list(range(60, 10, -1))
    assert command(["submit", "circo", str(out), "--data", str(folder)]) == 0
    out.write_text(out.read_text().replace("[60, 59", "[60, 60", 1))
    assert command(["submit", "circo", str(out), "--data", str(folder)]) == 5
    assert "query '0' has '60' 2 times" in capsys.readouterr().err


def gallery_of_circo(images):
    files = official.circo(split="test")
    [name] = [each for each in files if "image_info" in each]
    return {name: {"images": [{"id": n} for n in range(1, images + 1)]}}


def test_the_command_refuses_what_it_does_not_understand(tmp_path, capsys):
    for words, sentence in (
        (["submit", "coco", "run.trec", "--data", "d", "--out", "o.json"], "no server for 'coco'"),
        (["submit", "cirr", "run.trec", "--data", "d"], "a .json file is checked"),
        (["submit", "cirr", "s.json", "--data", "d", "--out", "o.json"], "a .json file is checked"),
        (["submit", "cirr", "run.trec", "--data", "d", "--out", "o.json", "--metric", "mAP"], "--metric 'mAP'"),
    ):
        assert command(words) == 2
        assert sentence in capsys.readouterr().err


def real(name, *path):
    file = DATA.joinpath(name, *path)
    if not file.exists():
        pytest.skip(f"no {name}/{'/'.join(path)} in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return file


def content(file):
    return json.loads(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())


@pytest.mark.parametrize("file", ["demo_test1_pred_ranks_recall.json.gz", "demo_test1_pred_ranks_recall_subset.json"])
def test_the_publishers_own_example_files_of_cirr_have_no_fault(file):
    benchmark = registry.load("datasets", "cirr")().load(real("ann-cirr"), "test1")
    assert faults(benchmark, content(real("ann-cirr", "shared", file))) == []


def test_the_publishers_own_example_file_of_circo_has_no_fault():
    benchmark = registry.load("datasets", "circo")().load(real("ann-circo"), "test")
    assert faults(benchmark, content(real("ann-circo", "shared", "submission_test.json.gz"))) == []


@pytest.mark.parametrize(("model", "doubled"), [("gpt4o", 25), ("gemini2_5_flash", 0)])
def test_the_published_rankings_of_cotrr_have_so_many_faulty_queries(model, doubled):
    """Lists with a name twice are all that is wrong with them; the numbers are those of the data's own description."""
    benchmark = registry.load("datasets", "cirr")().load(real("ann-cirr"), "test1")
    file = real("out-cotrr-cirr", "dev", f"retrieval_results_cirr_B12_CLIP_normal_rerank_{model}.json.gz")
    told = faults(benchmark, content(file))
    assert len({sentence.split("'")[1] for sentence in told}) == doubled
    assert all(sentence.endswith("times") for sentence in told)


def test_the_example_of_cirr_is_written_again_from_its_own_run():
    benchmark = registry.load("datasets", "cirr")().load(real("ann-cirr"), "test1")
    example = content(real("ann-cirr", "shared", "demo_test1_pred_ranks_recall.json.gz"))
    run = {query: ids for query, ids in example.items() if query not in ("version", "metric")}
    again = written(benchmark, run)
    assert again == example
