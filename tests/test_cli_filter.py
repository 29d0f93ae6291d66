"""Filters, the cutoff and folded duplicates through the command line."""

import json

import pytest
from store_samples import picture

import mmretrieval as mm
from mmretrieval.cli.entry import run

COUNT = 24


@pytest.fixture(scope="module")
def work(tmp_path_factory, tiny_clip_dir):
    """Pictures with years and kinds, the last two copies of the first, queries, judgements, and the index."""
    base = tmp_path_factory.mktemp("filters")
    (base / "pictures").mkdir()
    lines = []
    for number in range(COUNT):
        picture(number if number < COUNT - 2 else 0).save(base / "pictures" / f"{number}.png")
        meta = {"year": 2000 + number, "kind": "even" if number % 2 == 0 else "odd", "tags": [f"t{number % 3}"]}
        lines.append({"id": f"r{number:02}", "path": f"{number}.png", "caption": f"number {number}", **meta})
    (base / "pictures" / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mm.index(base / "pictures", base / "index", f"local-dir:{tiny_clip_dir}")
    rows = [{"qid": f"q{n}", "reference": f"r{n:02}"} for n in range(4)]
    (base / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (base / "qrels.tsv").write_text("".join(f"q{n}\t0\tr{m:02}\t1\n" for n in range(4) for m in (n + 4, n + 5)))
    return base


def told(capsys, *arguments):
    """Exit status, and stdout as one JSON object."""
    code = run([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def ids(report):
    return [hit["id"] for hit in report["hits"]]


def test_only_records_that_the_filter_keeps_come_back(work, capsys):
    expression = "year >= 2010 AND NOT kind = 'odd' AND tags IN ('t0', 't1')"
    code, report = told(
        capsys, "search", "--image", "id:r03", "--index", work / "index", "--filter", expression, "-k", 30
    )
    assert code == 0
    assert sorted(ids(report)) == [f"r{n}" for n in range(10, COUNT, 2) if n % 3 < 2]
    assert report["warnings"] == ["query 'q': only 5 records match the filter, fewer than the 30 asked for"]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("year >= ", "the filter is not understood at its end: a value was expected"),
        ("yaer = 2000", "no record has the field yaer, perhaps year is meant; the fields are: id, path, caption, kind"),
        ("year = 2000; DROP TABLE records", "not understood at character 12, ';'"),
    ],
)
def test_a_filter_that_is_none_exits_2_with_its_place_or_the_fields(work, capsys, expression, said):
    code, report = told(capsys, "search", "--image", "id:r03", "--index", work / "index", "--filter", expression)
    assert code == 2
    assert said in report["errors"][0]


def test_a_filter_that_keeps_nothing_gives_no_hit_and_says_so(work, capsys):
    code, report = told(capsys, "search", "--image", "id:r03", "--index", work / "index", "--filter", "year = 'x'")
    assert (code, report["hits"]) == (0, [])
    assert report["warnings"] == [
        "query 'q': no record matches the filter year = 'x'",
        "query 'q': year holds numbers, which is never compared with text",
    ]


def test_folded_copies_stand_in_the_json(work, capsys):
    code, report = told(
        capsys, "search", "--image", "id:r00", "--index", work / "index", "--collapse", "--alike", "0.99999", "-k", 5
    )
    assert code == 0
    assert len(report["hits"]) == 5
    assert (report["hits"][0]["id"], report["hits"][0]["duplicates"][:2]) == ("r00", ["r22", "r23"])
    _, plain = told(capsys, "search", "--image", "id:r00", "--index", work / "index", "-k", 5)
    assert ids(plain)[:3] == ["r00", "r22", "r23"]


def test_a_cutoff_leaves_its_step_also_where_it_cannot_tell(work, capsys):
    """To a model of random weights all pictures are near-duplicates, so there are no unrelated ones."""
    code, report = told(
        capsys, "search", "--image", "id:r00", "--index", work / "index", "--cutoff", "--strictness", "0.5", "-k", COUNT
    )
    assert code == 0
    assert ids(report)[:3] == ["r00", "r22", "r23"]
    assert report["steps"][-1]["name"] == "cutoff"
    assert report["steps"][-1]["status"] == "fallback"
    assert "too few pictures to tell matches from the rest" in report["warnings"][0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--strictness", "0.5"], "--strictness needs --cutoff"),
        (["--alike", "0.9"], "--alike needs --collapse"),
        (["--cutoff", "--strictness", "2"], "the strictness of a cutoff is above 0 and below 1"),
        (["--collapse", "--alike", "2"], "a cosine above 0 and at most 1"),
        (["--cutoff", "--hybrid", "rrf"], "there is no cutoff for 'hybrid'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_cut_or_folded_exits_2(work, capsys, more, said):
    code, report = told(capsys, "search", "--image", "id:r00", "--index", work / "index", *more)
    assert code == 2
    assert said in report["errors"][0]


def test_eval_measures_what_the_filter_keeps_as_if_nothing_else_were_there(work, capsys):
    asked = ["eval", "--index", work / "index", "--queries", work / "queries.jsonl", "--qrels", work / "qrels.tsv"]
    code, report = told(capsys, *asked, "--filter", "kind = 'even'", "--measures", "R@1 Recall@24")
    assert code == 0
    assert report["measures"]["Recall@24"] == 1.0
    assert report["queries"] == 4
    assert "the filter leaves 4 of 8 judgements" in report["warnings"]
    code, report = told(capsys, *asked, "--filter", "kind = 'none'")
    assert code == 5
    assert "no record matches the filter kind = 'none'" in report["errors"][0]
