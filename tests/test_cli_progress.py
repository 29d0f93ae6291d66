"""Progress: a bar in a terminal, a line now and then elsewhere, never on stdout."""

import os
import pty
import subprocess
import sys

from mmretrieval.cli import progress

CODE = "from mmretrieval.cli.progress import Bar\nwith Bar('pictures') as bar:\n    bar(1, 4)\n    bar(4, 4)\n"


def test_in_a_terminal_a_bar_shows_how_many_of_how_many():
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=theirs)
        out, _ = process.communicate(timeout=120)
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(theirs)
        os.close(ours)
    assert (process.returncode, out) == (0, b"")
    assert "pictures" in shown
    assert "4/4" in shown


def test_elsewhere_a_short_run_says_nothing(capsys):
    with progress.Bar("pictures") as bar:
        bar(1, 2)
        bar(2, 2)
    assert capsys.readouterr() == ("", "")


def test_elsewhere_a_long_run_says_how_much_is_left_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with progress.Bar("pictures") as bar:
        bar(0, 9)
        bar(3, 9)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "pictures: 3 of 9, about 0 s left\n")


def test_the_time_left_counts_only_what_this_run_did(monkeypatch, capsys):
    """A resumed work begins far on, and says nothing of the pace of now."""
    clock = iter((100.0, 100.0, 120.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.Bar("steps") as bar:
        bar(900, 1000)
        bar(910, 1000)
    assert capsys.readouterr().err == "steps: 910 of 1000, about 180 s left\n"


def test_a_bar_that_counts_something_else_begins_anew(monkeypatch, capsys):
    clock = iter((100.0, 100.0, 110.0, 110.0, 130.0))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.Bar("looks") as bar:
        bar(900, 900)
        bar(0, 100)
        bar(10, 100)
    assert capsys.readouterr().err == "looks: 10 of 100, about 180 s left\n"
