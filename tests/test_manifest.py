import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.manifest import read_manifest


def written(folder, text, name="manifest.jsonl"):
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def entries(file):
    return [(entry.id, entry.path, entry.caption, json.loads(entry.meta), entry.line) for entry in read_manifest(file)]


def test_json_lines_keep_json_values_and_ignore_blank_lines(tmp_path):
    file = written(
        tmp_path,
        '\ufeff{"id": "a", "path": "x/a.jpg", "caption": "a cat", "n": 3, "tags": ["é", null], "o": {"deep": 1.5}}\n'
        "\n"
        '{"id": 7, "path": "./b.jpg"}\r\n'
        '{"path": "c//d.jpg", "id": "鳥", "caption": null, "live": true}',
    )
    assert entries(file) == [
        ("a", "x/a.jpg", "a cat", {"n": 3, "tags": ["é", None], "o": {"deep": 1.5}}, 1),
        ("7", "b.jpg", "", {}, 3),
        ("鳥", "c/d.jpg", "", {"live": True}, 4),
    ]


def test_csv_and_tsv_give_text(tmp_path):
    text = 'id,path,caption,year\na,a.jpg,"two, or ""three""",1999\nb,"b\n.jpg",,\n'
    expected = [("a", "a.jpg", 'two, or "three"', {"year": "1999"}, 2), ("b", "b\n.jpg", "", {"year": ""}, 4)]
    assert entries(written(tmp_path, text, "m.csv")) == expected
    assert entries(written(tmp_path, "id\tpath\na\tx,y.jpg\n", "m.tsv")) == [("a", "x,y.jpg", "", {}, 2)]


def test_parquet_keeps_the_values_of_its_columns(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = arrow.table({
        "id": [1, 2],
        "path": ["a.jpg", "b.jpg"],
        "caption": ["a", None],
        "score": [0.5, float("nan")],
        "tags": [["x", "y"], []],
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "m.parquet")
    assert entries(tmp_path / "m.parquet") == [
        ("1", "a.jpg", "a", {"score": 0.5, "tags": ["x", "y"]}, 1),
        ("2", "b.jpg", "", {"score": None, "tags": []}, 2),
    ]
    parquet.write_table(table.append_column("raw", arrow.array([b"x", b"y"])), tmp_path / "n.parquet")
    with pytest.raises(InvalidData, match=r"n\.parquet:1: the column 'raw' holds bytes"):
        read_manifest(tmp_path / "n.parquet")
    with pytest.raises(InvalidData, match=r"o\.parquet: not a Parquet file"):
        read_manifest(written(tmp_path, "nothing", "o.parquet"))


def test_without_pyarrow_the_extra_is_named(tmp_path):
    written(tmp_path, "", "m.parquet")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from mmretrieval.errors import MissingExtra\n"
        "from mmretrieval.manifest import read_manifest\n"
        "try: read_manifest(Path(sys.argv[1]))\n"
        "except MissingExtra as error: sys.stdout.write(str(error))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "m.parquet"], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "reading m.parquet needs the package 'pyarrow', which is not installed: pip install 'mmretrieval[scale]'"
    )


GOOD = '{"id": "good", "path": "good.jpg"}\n'


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"path": "a.jpg", "name": 1}', "there is no 'id'; the fields are: name, path"),
        ('{"id": "a"}', "there is no 'path'"),
        ('{"id": "good", "path": "b.jpg"}', "the id 'good' stands in line 1 already"),
        ('{"id": "a", "path": "b.jpg"', "not JSON"),
        ('["a", "b.jpg"]', "a JSON object is needed on every line, and this is a list"),
        ('{"id": "a", "path": "b.jpg", "x": NaN}', "NaN is not a JSON number"),
        ("[" * 100_000, "not JSON"),
        ('{"id": "a", "path": "../b.jpg"}', "leaves the folder of pictures"),
        ('{"id": "a", "path": "x/../../b.jpg"}', "leaves the folder of pictures"),
        ('{"id": "a", "path": "x\\\\..\\\\b.jpg"}', "leaves the folder of pictures"),
        ('{"id": "a", "path": "/etc/b.jpg"}', "is absolute"),
        ('{"id": "a", "path": "C:\\\\b.jpg"}', "is absolute"),
        ('{"id": "a", "path": "\\\\\\\\host\\\\b.jpg"}', "is absolute"),
        ('{"id": "a", "path": "."}', "names no file"),
        ('{"id": "a", "path": "b\\u0000.jpg"}', "names no file"),
        ('{"id": "a", "path": ""}', "'path' must be text, and is empty text"),
        ('{"id": "a", "path": 3}', "'path' must be text, and is the number 3"),
        ('{"id": "a", "path": null}', "'path' must be text, and is null"),
        ('{"id": "", "path": "b.jpg"}', "'id' must be text or a whole number, and is empty text"),
        ('{"id": true, "path": "b.jpg"}', "'id' must be text or a whole number, and is true or false"),
        ('{"id": 1.5, "path": "b.jpg"}', "'id' must be text or a whole number, and is the number 1.5"),
        ('{"id": "a b", "path": "b.jpg"}', "holds blanks or control characters"),
        ('{"id": "a\\n", "path": "b.jpg"}', "holds blanks or control characters"),
        ('{"id": "' + "a" * 600 + '", "path": "b.jpg"}', "the id has 600 characters"),
        ('{"id": "a", "path": "b.jpg", "caption": ["x"]}', "'caption' must be text, not a list"),
        ('{"id": "a", "path": "b.jpg", "caption": "\\ud800"}', "half a surrogate pair"),
        (b'{"id": "a", "path": "\xff.jpg"}', "not UTF-8 text"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "bytes",
)
def test_whatever_is_wrong_is_told_with_file_and_line(tmp_path, line, complaint):
    line = line if isinstance(line, bytes) else line.encode()
    file = written(tmp_path, GOOD.encode() + b"\n" + line + b"\n")
    with pytest.raises(InvalidData) as caught:
        read_manifest(file)
    assert str(caught.value).startswith(f"{file}:3: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,name\na,b\n", ":2: there is no 'path'; the fields are: id, name"),
        ("id,path\na,b.jpg,c\n", ":2: the row does not have the 2 columns of the header"),
        ("id,path\na\n", ":2: the row does not have the 2 columns of the header"),
        ("id,path\na,a.jpg\na,b.jpg\n", ":3: the id 'a' stands in line 2 already"),
        ('id,path\na,"b.jpg\n', "not CSV"),
        (b"id,path\n\xff,b.jpg\n", "not UTF-8"),
    ],
)
def test_csv_errors_are_told_with_file_and_line(tmp_path, text, complaint):
    with pytest.raises(InvalidData) as caught:
        read_manifest(written(tmp_path, text, "m.csv"))
    assert complaint in str(caught.value)
    assert str(tmp_path / "m.csv") in str(caught.value)


def test_a_line_beyond_the_limit_is_refused_without_reading_it_whole(tmp_path):
    file = written(tmp_path, GOOD + '{"id": "a", "path": "b.jpg", "caption": "' + "x" * 3000 + '"}\n')
    with pytest.raises(InvalidData, match=r":2: the line is longer than 2000 bytes"):
        read_manifest(file, max_line_bytes=2000)
    assert len(read_manifest(file)) == 2


def test_a_missing_manifest_and_an_unknown_kind(tmp_path):
    with pytest.raises(NotFound, match="no such manifest"):
        read_manifest(tmp_path / "m.jsonl")
    with pytest.raises(UsageError, match=r"a manifest is a file ending in \.jsonl"):
        read_manifest(written(tmp_path, "", "m.xml"))


def test_an_empty_manifest_has_no_entries(tmp_path):
    assert read_manifest(written(tmp_path, "")) == []
    assert read_manifest(written(tmp_path, "", "m.csv")) == []


@given(st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), max_size=5))
def test_any_bytes_give_entries_or_one_clear_error(tmp_path_factory, lines):
    file = written(tmp_path_factory.mktemp("m"), b"\n".join(lines))
    complaint = f"{file}:"
    try:
        read_manifest(file)
    except InvalidData as error:
        complaint = str(error)
    assert complaint.startswith(f"{file}:")
