"""What the command line understands, refuses and prints, without any index."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mmretrieval.cli.entry import run
from mmretrieval.cli.failures import explain
from mmretrieval.cli.interrupt import stoppable
from mmretrieval.cli.options import parse_image, parse_weights
from mmretrieval.cli.report import Report, row, show
from mmretrieval.errors import InvalidData, MissingPrerequisite, NotFound, StorageError, UsageError


def told(capsys, *arguments):
    """Exit status, and stdout as one JSON object."""
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "No such option: --json"),
        (["train"], "No such option: --json"),
        (["fly"], "No such command 'fly'"),
        (["index"], "Missing option '--index'"),
        (["index", "--index", "i"], "there is nothing to index: give a folder of pictures, or --vectors with --ids"),
        (["index", "--index", "i", "--vectors", "F.npy"], "ready vectors need both --vectors F.npy and --ids F.txt"),
        (["index", "p", "--index", "i", "--memory", "much"], "--memory 'much' is no size: write it as 2GB or 512MB"),
        (["index", "p", "--index", "i", "--recall", "2"], "--recall 2.0: the recall to reach lies above 0"),
        (["index", "p", "--index", "i", "--index-kind", "magic"], "there is no 'magic' among the indexes"),
        (["search", "a", "--index", "i", "--filter", " "], "--filter is blank"),
        (["list", "cat"], "datasets, presets"),
        (["index", "photos"], "Missing option '--index'"),
        (["search", "a", "--index", "i", "-k", "0"], "greater than or equal to 1"),
        (["search", "a", "--index", "i", "-k", "many"], "integer"),
        (["search", "--index", "i"], "there is nothing to search for"),
        (["search", "  ", "--index", "i"], "there is nothing to search for"),
        (["search", "a", "--index", "i", "--weight", "text=1"], "give both, or leave it out"),
        (["search", "a", "--index", "i", "--weight", "txt=1"], "is not understood at 'txt=1'"),
        (["search", "a", "--index", "i", "--image", "id:"], "names no picture"),
        (["search", "a", "--index", "i", "--image", "id:x", "--weight", "words=1"], "write it as text=1,image=0.5"),
        (["search", "a", "--index", "i", "--index-kind", "magic"], "there is no 'magic' among the indexes"),
        (["search", "a", "b", "--index", "i"], "unexpected extra argument"),
        (["index", "photos", "--index", "i", "--batch-size", "0"], "greater than or equal to 1"),
        (["index", "photos", "--index", "i", "--precision", "fp8"], "fp8"),
        (["world", "w", "--seed", "1", "--images", "0"], "greater than or equal to 1"),
        (["world", "w", "--seed", "1", "--images", "3", "--domain", "cars"], "cars"),
        (["eval", "--index", "i", "--queries", "q", "--qrels", "r", "--measures", "mAP"], "there is no measure 'mAP'"),
        (["list", "cats"], "there is no kind 'cats'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_exit_2_with_one_sentence_in_one_object(capsys, arguments, message):
    code, report = told(capsys, *arguments)
    assert code == 2
    assert report["status"] == "error"
    [error] = report["errors"]
    assert message in error
    assert "\n" not in error
    assert set(report) == {"schema_version", "command", "status", "warnings", "errors"}
    assert report["schema_version"] == 1


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["search"], "search"), (["train", "clip"], "train clip"), (["--debug", "eval"], "eval"), (["nothing"], "")],
    ids=str,
)
def test_the_object_names_the_command_even_when_its_words_were_wrong(capsys, arguments, command):
    assert told(capsys, *arguments)[1]["command"] == command


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "a", "--index", "nowhere"], 4),
        (["info", "--index", "nowhere"], 4),
        (["index", "nowhere", "--index", "i"], 4),
        (["eval", "--index", "nowhere", "--queries", "nowhere.jsonl", "--qrels", "nowhere.tsv"], 4),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_missing_exits_4(capsys, monkeypatch, tmp_path, arguments, code):
    monkeypatch.chdir(tmp_path)
    got, report = told(capsys, *arguments)
    assert got == code
    assert "nowhere" in report["errors"][0]
    assert list(tmp_path.iterdir()) == []


def test_without_json_an_error_is_one_line_on_stderr(capsys):
    assert run(["search", "a", "--index", "nowhere"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["train"]], ids=str)
def test_no_command_at_all_exits_2_and_points_to_help(capsys, arguments):
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"error: Missing command (see: {' '.join(['mmretrieval', *arguments])} --help)\n"


def test_json_behind_two_dashes_is_text(capsys):
    assert run(["search", "--index", "nowhere", "--", "--json"]) == 4
    assert capsys.readouterr().out == ""


def test_debug_prints_the_traceback_wherever_it_stands(capsys):
    for arguments in (["--debug", "info", "--index", "nowhere"], ["info", "--index", "nowhere", "--debug"]):
        assert run(arguments) == 4
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["search", "--help"], ["train", "clip", "--help"]], ids=str)
def test_help_goes_to_stdout_and_exits_0(capsys, arguments):
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: mmretrieval")
    assert err == ""


def test_the_version_is_shown(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "mmretrieval 0.1.0\n"


def test_list_names_every_method_with_what_it_does(capsys):
    assert run(["list", "indexes"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert {"exact", "pq"} <= {name for _, name, *_ in lines}
    assert all(kind == "indexes" and about for kind, _, about, *_ in lines)


def test_list_tells_what_can_be_set_as_it_is_written(capsys):
    assert run(["list", "rerankers"]) == 0
    settings = {line.split("\t")[1]: line.split("\t")[4] for line in capsys.readouterr().out.splitlines()}
    assert settings["setwise"] == "depth=20,size=4,top=3,both_ways=no,alpha=0.5,join=z"


# --- the small languages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("text=1,image=0.5", {"text": 1.0, "image": 0.5}),
        (" image = -2 ", {"image": -2.0}),
        ("text=1e-1", {"text": 0.1}),
    ],
)
def test_weights_are_read(text, weights):
    assert parse_weights(text) == weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "write it as text=1,image=0.5"),
        ("text", "write it as text=1,image=0.5"),
        ("text=1,,image=1", "write it as text=1,image=0.5"),
        ("caption=1", "not understood at 'caption=1'"),
        ("text=1,text=2", "gives text twice"),
        ("text=much", "gives text 'much', which is no number"),
        ("text=", "gives text '', which is no number"),
    ],
)
def test_wrong_weights_are_told_apart(text, message):
    with pytest.raises(UsageError, match=message):
        parse_weights(text)


def test_an_image_is_a_file_or_an_id(tmp_path):
    assert parse_image(str(tmp_path)) == (tmp_path, None)
    assert parse_image("id:holiday/0042") == (None, "holiday/0042")
    assert parse_image("id:id:x") == (None, "id:x")


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NotFound("no index"), 4, "no index"),
        (InvalidData("bad"), 5, "bad"),
        (MissingPrerequisite("get it"), 3, "get it"),
        (StorageError("full"), 6, "full"),
        (OSError(errno.ENOSPC, "No space left on device", "i/x"), 6, "the disk is full, at i/x"),
        (OSError(errno.ENOSPC, "No space left on device"), 6, "the disk is full, at writing"),
        (OSError(errno.EROFS, "Read-only file system", "i/x"), 6, "read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "i/x"), 6, "no permission for i/x"),
        (FileNotFoundError(errno.ENOENT, "No such file", "i/x"), 4, "there is no file or folder i/x"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "i/x"), 2, "Not a directory: i/x"),
        (OSError(errno.EMFILE, "Too many open files"), 6, "Too many open files"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (typer.Abort(), 130, "interrupted"),
        (MemoryError(), 6, "not enough memory"),
        (ZeroDivisionError("by zero"), 6, "ZeroDivisionError: by zero; run it again with --debug"),
        (typer.BadParameter("no"), 2, "no"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_failure_is_one_sentence_with_its_status(error, code, message):
    sentence, exit_code = explain(error)
    assert exit_code == code
    assert message in sentence
    assert "\n" not in sentence


@pytest.fixture
def usual_interrupt():
    """Ctrl-C as in a terminal; a job in the background is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_interrupt")
def test_two_wishes_to_stop_are_a_stop():
    with stoppable() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- printing -----------------------------------------------------------------------------------------------------


def test_a_name_cannot_break_the_columns():
    assert row("a\tb", "c\nd\re", 3) == "a\\tb\tc\\nd\\re\t3"


def test_in_lines_the_warnings_go_to_stderr_and_in_json_into_the_object(capsys):
    report = Report({"hits": []}, ["one", "two"], warnings=["careful"])
    show(report, "search", as_json=False)
    assert capsys.readouterr() == ("one\ntwo\n", "warning: careful\n")
    show(report, "search", as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema_version": 1,
        "command": "search",
        "status": "ok",
        "warnings": ["careful"],
        "errors": [],
        "hits": [],
    }
    assert out.count("\n") == 1


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **options)


def test_a_reader_that_stops_early_causes_no_complaint():
    done = subprocess.run(
        f"{sys.executable} -m mmretrieval list | head -n 0", shell=True, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which takes nothing, as on Linux")
@pytest.mark.parametrize("form", [[], ["--json"]], ids=["lines", "json"])
def test_a_full_disk_behind_stdout_is_told_and_exits_6(form):
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "mmretrieval", "list", *form]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 6
    assert done.stderr.startswith("error: the result could not be written: the disk is full")
    assert done.stderr.count("\n") == 1


def test_what_a_library_prints_does_not_reach_stdout():
    code = (
        "import mmretrieval.cli.listing as listing, mmretrieval.cli.entry as entry\n"
        "from mmretrieval.cli.report import Report\n"
        "def noisy(kind: str = '') -> Report:\n"
        "    print('noise')\n"
        "    return Report({'methods': []})\n"
        "listing.listing = noisy\n"
        "entry.run(['list', '--json'])\n"
    )
    done = python("-c", code.replace("kind: str = ''", "json: bool = False"))
    assert "noise" in done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["list", "indexes"]], ids=str)
def test_starting_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom mmretrieval.cli.entry import run\n"
        f"run({arguments!r})\nsys.stderr.write(' '.join(sys.modules))"
    )
    loaded = set(python("-c", code).stderr.split())
    assert "mmretrieval.cli.entry" in loaded
    assert loaded & {"torch", "open_clip", "transformers", "faiss", "gradio", "pyarrow"} == set()
