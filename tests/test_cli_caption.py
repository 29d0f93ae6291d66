"""Captions and fusion from the command line: a recorded model, then corrections by hand, then a fused search."""

import json
import os
import signal
from contextlib import closing

import pytest
from caption_process import Seer, seen
from pretend_server import PretendServer, pictures
from test_cli import draw, mmr, told

import mmretrieval as mm
from mmretrieval.calls import open_calls
from mmretrieval.captioning import describe
from mmretrieval.cli.entry import run
from mmretrieval.collection import Collection

COUNT = 6


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_clip_dir):
    """Pictures in an index, and a recording of a model that describes them."""
    place = tmp_path_factory.mktemp("caption")
    draw(place / "pictures", COUNT)
    for folder in ("idx", "other"):
        mm.index(place / "pictures", place / folder, f"local-dir:{tiny_clip_dir}")
    with closing(open_calls(Seer(), record=place / "recording")) as calls:
        describe(place / "other", calls, what=["caption", "ingredients"])
    with Collection.open(place / "idx") as collection:
        ids = list(collection.ids)
    (place / "queries.jsonl").write_text("".join(json.dumps({"qid": i, "text": f"seen {i}"}) + "\n" for i in ids))
    (place / "qrels.tsv").write_text("".join(f"{i}\t0\t{i}\t1\n" for i in ids))
    return place


def test_from_a_model_to_a_fused_search(place):
    first = told("caption", "--index", "idx", "--replay", "recording", "--what", "caption,ingredients", cwd=place)
    assert first["states"] == {kind: {"kept": 0, "ok": COUNT, "pending": 0} for kind in ("caption", "ingredients")}
    assert (first["encoded"], first["failures"], first["stopped"]) == (COUNT, [], "")
    again = told("caption", "--index", "idx", "--replay", "recording", cwd=place)
    assert (again["calls"], again["cached"], again["encoded"]) == (0, 0, 0)

    with Collection.open(place / "idx") as collection:
        ids = list(collection.ids)
        right = {i: seen(collection.open_image(i)) for i in ids}
    shown = told("caption", "--index", "idx", cwd=place)["descriptions"]
    assert {each["id"]: each["text"] for each in shown if each["kind"] == "caption"} == right
    assert {each["origin"].split()[-1] for each in shown} == {"caption-1", "ingredients-1"}

    by_hand = told("caption", "--index", "idx", "--set", ids[0], "a heron in the reeds", cwd=place)
    assert (by_hand["text"], by_hand["encoded"]) == ("a heron in the reeds", 1)

    found = told("search", "--index", "idx", "a heron in the reeds", "--fuse", "image=0,caption=1", cwd=place)
    assert found["hits"][0]["id"] == ids[0]
    assert found["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    for hit in found["hits"]:
        assert hit["by"] == "fused"
        assert sum(hit["scores"].values()) == pytest.approx(hit["score"])

    swept = told(
        "eval", "--index", "idx", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--fuse", "sweep", cwd=place
    )
    assert set(swept["sweep"]["means"]) == {"nDCG@10", "R@1", "R@10"}
    assert swept["sweep"]["queries"] == COUNT


class Interrupting(PretendServer):
    """Presses Ctrl-C in this process while it answers about the picture of this number."""

    def __init__(self, at):
        super().__init__(text="a heron in the reeds")
        self.at, self.described = at, 0

    def chat(self, body):
        if pictures(body):
            self.described += 1
            if self.described == self.at:
                os.kill(os.getpid(), signal.SIGINT)
        return super().chat(body)


@pytest.fixture
def usual_interrupt():
    """Ctrl-C as in a terminal; a job in the background is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_interrupt")
def test_an_interrupt_stops_all_that_is_left_to_do_and_the_next_run_does_it(place, tmp_path, tiny_clip_dir, capsys):
    mm.index(place / "pictures", tmp_path / "idx", f"local-dir:{tiny_clip_dir}")

    def caption(server):
        words = ["caption", "--index", str(tmp_path / "idx"), "--mllm", f"openai:{server.address}"]
        code = run([*words, "--batch-size", "1", "--json"])
        return code, json.loads(capsys.readouterr().out)

    with Interrupting(at=3) as server:
        code, first = caption(server)
        assert (code, first["status"]) == (7, "partial")
        assert first["states"]["caption"] == {"kept": 0, "ok": 3, "pending": COUNT - 3}
        assert first["encoded"] == 0
        assert first["warnings"] == [
            "not all captions were encoded: run the same command again to go on",
            "stopped before the end: run the same command again to go on",
        ]
        code, rest = caption(server)
        assert (code, rest["status"], rest["warnings"]) == (0, "ok", [])
        assert rest["states"]["caption"] == {"kept": 3, "ok": COUNT - 3, "pending": 0}
        assert (rest["encoded"], server.described) == (COUNT, COUNT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["caption", "--index", "other", "--set", "x", "y", "--mllm", "demo"], 2, "give one of them"),
        (["caption", "--index", "other", "--replace", "manifest"], 2, "name the model with --mllm"),
        (["caption", "--index", "other", "--set", "nobody", "y"], 4, "no picture has the id 'nobody'"),
        (
            ["search", "--index", "other", "x", "--fuse", "image=0.7,caption=0.3"],
            2,
            "mmretrieval caption --index other",
        ),
        (["search", "--index", "other", "x", "--fuse", "image"], 2, "write it as image=0.7,caption=0.3"),
        (["search", "--index", "other", "x", "--fuse", "image=1", "--hybrid", "rrf"], 2, "give one of them"),
    ],
)
def test_what_cannot_work_is_said_with_its_cure(place, words, code, expected):
    done = mmr(*words, cwd=place, code=code)
    assert expected in done.stderr
