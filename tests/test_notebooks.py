"""The notebooks run from beginning to end on the shipped models, and the outputs stored in them are those of a run."""

import base64
import math
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from run_notebooks import NOTEBOOKS, ROOT, made_of, whole

NAMES = [source.stem for source in NOTEBOOKS]
SECONDS = 1500  # for all of them on a busy machine; alone they take some 50
BYTES = 400_000
CLOSE = 0.02  # processors round differently
PICTURE_KINDS = ("image/jpeg", "image/png")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Each notebook as a run leaves it, by its name; the script that stores outputs makes them."""
    out = tmp_path_factory.mktemp("notebooks")
    script = ROOT / "tests" / "run_notebooks.py"
    told = subprocess.run(
        [sys.executable, script, out], capture_output=True, text=True, timeout=SECONDS, env=dict(os.environ)
    )
    assert told.returncode == 0, told.stderr
    return {name: nbformat.read(out / f"{name}.ipynb", as_version=4) for name in NAMES}


def stored(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def outputs(notebook):
    """Source and output of each that a code cell left, in their order."""
    return [(cell.source, each) for cell in notebook.cells if cell.cell_type == "code" for each in cell.outputs]


def words(output):
    return output.text if output.output_type == "stream" else output.data.get("text/plain", "")


def pictures(notebook):
    data = [output.data for _, output in outputs(notebook) if output.output_type != "stream"]
    coded = [each[kind] for each in data for kind in PICTURE_KINDS if kind in each]
    return [Image.open(BytesIO(base64.b64decode(code))) for code in coded]


def pieces(text):
    """Its words, with each decimal number as a number."""
    return [float(piece) if re.fullmatch(r"[+-]?\d+\.\d+", piece) else piece for piece in re.split(r"[\s,{}()]+", text)]


def differing(one, other):
    """The first piece in which two texts differ by more than rounding, as a pair; None where there is none."""
    first, second = pieces(one), pieces(other)
    for mine, yours in zip(first, second, strict=False):
        is_close = isinstance(mine, float) and isinstance(yours, float) and math.isclose(mine, yours, abs_tol=CLOSE)
        if mine != yours and not is_close:
            return mine, yours
    return None if len(first) == len(second) else (len(first), len(second))


def test_there_are_three_notebooks():
    assert NAMES == ["1-start", "2-compose-a-query", "3-rerank-and-evaluate"]


@pytest.mark.parametrize("name", NAMES)
def test_the_stored_outputs_are_of_these_cells_and_models(name):
    """When it fails: make notebooks."""
    told = stored(name)
    assert told.metadata.outputs_made_of == made_of(told)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_says_what_its_stored_outputs_say(name, ran):
    """When it fails: make notebooks, and look at what has changed."""
    now, then = outputs(ran[name]), outputs(stored(name))
    assert [source for source, _ in now] == [source for source, _ in then]
    assert [each.output_type for _, each in now] == [each.output_type for _, each in then]
    pairs = zip(now, then, strict=True)
    assert [source for (source, one), (_, two) in pairs if differing(words(one), words(two))] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_pictures(name, ran):
    sizes = [picture.size for picture in pictures(ran[name])]
    assert len(sizes) >= 5
    assert sizes == [picture.size for picture in pictures(stored(name))]
    for picture in pictures(stored(name)):
        colours = picture.convert("RGB").resize((64, 64)).getcolors(64 * 64)
        assert len(colours) > 100  # and no blank sheet


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_warns_of_nothing(name, ran):
    assert [words(output) for _, output in outputs(ran[name]) if output.get("name") == "stderr"] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_notebook_is_small_and_tells_nothing_of_the_machine(name):
    text = (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(text) < BYTES
    told = " ".join(words(output) for _, output in outputs(stored(name)))
    places = [str(Path.home()), str(ROOT), sys.prefix, "/tmp", "/home/", "/usr/", "site-packages", "C:\\"]
    assert [place for place in places if place != "/" and place in told] == []
    assert re.findall(r"\b\d+(?:\.\d+)? ?(?:s|ms|seconds)\b", told) == []  # times are of one machine


def test_pieces_of_a_stream_are_joined_and_others_keep_their_place():
    def stream(name, text):
        return nbformat.v4.new_output("stream", name=name, text=text)

    shown = nbformat.v4.new_output("display_data", data={"text/plain": "a picture"})
    found = whole([stream("stdout", "a"), stream("stdout", "b"), shown, stream("stdout", "c"), stream("stderr", "d")])
    assert [words(each) for each in found] == ["ab", "a picture", "c", "d"]


def test_texts_that_differ_by_more_than_rounding_are_told_apart():
    assert differing("score 0.481, id a", "score 0.490, id a") is None
    assert differing("score 0.481", "score 0.581") == (0.481, 0.581)
    assert differing("id a", "id b") == ("a", "b")
    assert differing("id a", "id a b") == (2, 3)
    assert differing("10 kept", "9 kept") == ("10", "9")
