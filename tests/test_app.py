"""The entries under apps/ as a user starts them: files that hand their options to the command line."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

APP = Path(__file__).parents[1] / "apps" / "gradio_app.py"
DEMO = ["--index", "demo/index"]


def started(folder: Path, *arguments: str) -> Any:
    command = [sys.executable, str(APP), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.parametrize(
    ("arguments", "handed_on"),
    [
        ([], DEMO),
        (["--port", "0"], [*DEMO, "--port", "0"]),
        (["--index", "mine", "--port", "0"], ["--index", "mine", "--port", "0"]),
        (["--index=mine"], ["--index=mine"]),
        (["--help"], ["--help"]),
    ],
)
def test_the_page_is_that_of_the_demo_where_no_index_is_named(arguments: list[str], handed_on: list[str]) -> None:
    assert runpy.run_path(str(APP))["with_index"](arguments) == handed_on


def test_without_the_demo_collection_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = started(tmp_path)
    assert done.returncode == 4
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_index_that_is_not_there_is_told_as_by_the_command_line(tmp_path: Path) -> None:
    done = started(tmp_path, "--index", "nowhere")
    assert done.returncode == 4
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
