"""What the README says is so: commands and flags, exit codes, methods, and its Python, run as it stands."""

import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmretrieval as mm
from mmretrieval import errors, registry
from mmretrieval.cli.commands import COMMANDS, build
from mmretrieval.encoders import DEFAULT_ENCODER, DEFAULT_ENCODER_MB
from mmretrieval.specs import usual

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BEGIN, END = "<!-- methods: made by the registry, checked by tests/test_docs.py -->", "<!-- end of methods -->"


def flags(command):
    """All flags of a command, but for help and the --json that nearly all have."""
    found = build()
    for word in command.split():
        found = found.commands[word]
    return {flag for option in found.params for flag in option.opts if flag.startswith("-")} - {"--json"}


def told_flags(command):
    """The flags in the README's table row of the command."""
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([a-z ]+)[^`]*`", cells[0]) if line.startswith("|") else []
        if command in [name.strip() for name in names]:
            return set(re.findall(r"`(-[^`]+)`", cells[1]))
    raise AssertionError(f"the README has no row for {command}")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_has_every_flag_of_every_command_and_no_other(command):
    assert told_flags(command) == flags(command)


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def shell_lines():
    lines = [line.partition("#")[0] for block in blocks("") for line in block.splitlines()]
    return [f"mmretrieval {rest.strip()}" for line in lines for rest in line.split("mmretrieval ")[1:]]


def test_there_are_command_lines_in_the_readme():
    assert len(shell_lines()) >= 9


@pytest.mark.parametrize("line", shell_lines())
def test_a_command_line_of_the_readme_is_understood(line):
    work = build().main(shlex.split(line)[1:], standalone_mode=False)
    assert callable(work)


def test_the_readme_tells_every_exit_code():
    codes = {thing.exit_code for thing in vars(errors).values() if inspect.isclass(thing)} | {0, 7}
    [told] = re.findall(r"Exit codes: (.*?)\.\s", README, flags=re.DOTALL)
    assert {int(number) for number in re.findall(r"\b(\d) ", told)} == codes


def test_the_readme_names_the_default_model_and_its_size():
    assert f"`{DEFAULT_ENCODER}`" in README
    assert f"{DEFAULT_ENCODER_MB:,} MB" in README


def method_table():
    """The README's table of methods, made anew."""
    rows = ["| kind | name | what it does | paper |", "|---|---|---|---|"]
    for kind in registry.KINDS:
        for name in registry.names(kind):
            method = registry.load(kind, name)
            about = (inspect.getdoc(method) or "").partition("\n\n")[0].replace("\n", " ")
            rows.append(f"| {kind} | `{name}` | {about} | {getattr(method, 'paper', '')} |")
    return "\n".join(rows)


def test_the_readme_lists_every_method():
    """When it fails: put what it prints between the two marks."""
    told = README.partition(BEGIN)[2].partition(END)[0].strip()
    assert told == method_table()


@pytest.mark.parametrize("name", registry.names("rerankers"))
def test_the_readme_has_every_setting_of_every_reranker_with_its_usual_value(name):
    [told] = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    assert re.findall("`([^`]+)`", told.split("|")[2]) == [
        f"{key}={value}" for key, value in usual("rerankers", name).items()
    ]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, tiny_clip_dir, capsys):
    [code] = blocks("python")
    monkeypatch.chdir(tmp_path)
    draw_photographs(tmp_path)
    mm.index("photos", "photos.index", f"local-dir:{tiny_clip_dir}")  # the README's own line then keeps this model
    exec(compile(code, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "left out: broken.jpg" in said
    assert said.count("photos") == 0
    assert len(re.findall(r"^0\.\d+ heron\d\.jpg$|^-?\d\.\d+ heron\d\.jpg$", said, flags=re.MULTILINE)) == 5


def draw_photographs(place):
    (place / "photos").mkdir()
    rng = np.random.default_rng(1)
    for number in range(6):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(place / "photos" / f"heron{number}.jpg")
    (place / "heron.jpg").write_bytes((place / "photos" / "heron2.jpg").read_bytes())
    (place / "photos" / "broken.jpg").write_bytes((place / "heron.jpg").read_bytes()[:200])
