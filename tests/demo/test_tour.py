"""The tour: every search before and after the language model, told truly, and nothing asked twice."""

import re

import numpy as np
import pytest
from PIL import Image
from store_samples import SketchEncoder, save

import mmretrieval as mm
from mmretrieval.demo.before_and_after import Shown, table
from mmretrieval.demo.contact_sheet import CELL, FRAME, NOTE_LINE, RIGHT, Row, Tile, contact_sheet
from mmretrieval.demo.stops import LISTS, Stop, Ways
from mmretrieval.demo.tour import run
from mmretrieval.types import Hit, Query, Ranking, Step

NAMES = (
    "words",
    "picture",
    "food by ingredients",
    "natural world",
    "picture plus change food",
    "picture plus change nature",
)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """A small tour and the same tour again."""
    folder = tmp_path_factory.mktemp("tour")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmretrieval.demo.tour.IMAGES", 60)
        patch.setattr("mmretrieval.demo.tour.LOOKED_AT", 4)
        return folder, "\n".join(run(folder)), "\n".join(run(folder))


def calls_of(text):
    return [int(number) for number in re.findall(r"(\d+) calls", text)]


def test_every_search_is_shown_before_and_after_with_right_answers_marked_and_a_sheet(tour):
    folder, text, _ = tour
    for name in NAMES:
        [section] = re.findall(rf"^{name}: .*?^   picture: ", text, re.MULTILINE | re.DOTALL)
        assert "\n   search alone\n" in section
        assert re.search(r"^   (rewritten|reranked) by ", section, re.MULTILINE)
        assert "✓" in section
        assert re.search(r"^   (better|worse|no better, no worse): ", section, re.MULTILINE)
        assert (folder / "sheets" / f"{name.replace(' ', '-')}.png").stat().st_size > 10_000
    assert "60 indexed now" in text


def test_the_second_tour_makes_no_call_and_shows_the_same(tour):
    _, first, second = tour
    assert sum(calls_of(first)) > 50
    assert set(calls_of(second)) == {0}
    assert "0 indexed now, 60 were already" in second

    def ranked(text):
        return re.findall(r"^ [ ✓] \d  .*", text, re.MULTILINE)

    assert ranked(first) == ranked(second)
    assert len(ranked(first)) == len(NAMES) * 2 * 5


def test_what_it_prints_is_what_a_search_finds(tour):
    """Each first hit with the model, found once more through the façade."""
    folder, text, _ = tour
    section = text[text.index("food by ingredients: ") :]
    query = re.search("“(.*?)”", section)[1]
    with mm.Searcher.open(folder / "index", rerank="ingredients", mllm="demo") as searcher:
        expected = searcher.search(query, top_k=10)
    printed = re.findall(r"^ [ ✓] \d  .{6}  (\S+)", section, re.MULTILINE)[5:10]
    assert printed == expected.ids[:5]
    assert expected.hits[0].why in section


# --- what is said of a change -------------------------------------------------------------------------------------


def shown(before, after, right, notes=("",)):
    def ranking(ids):
        steps = tuple(Step("stage", calls=1, tokens=5, note=note) for note in notes)
        return Ranking(Query("q", "words"), tuple(Hit(each, "x", 1.0 - n) for n, each in enumerate(ids)), steps)

    return Shown(Stop("s", Query("q", "words"), frozenset(right), LISTS), ranking(before), ranking(after))


@pytest.mark.parametrize(
    ("before", "after", "word", "place", "count"),
    [
        ("abcd", "bacd", "better", "first right answer at place 1 (before: 2)", "1 of 2"),
        ("bacd", "abcd", "worse", "first right answer at place 2 (before: 1)", "1 of 2"),
        ("abcd", "abdc", "no better, no worse", "first right answer at place 2 (before: 2)", "1 of 2"),
        ("acdf", "abcd", "better", "first right answer at place 2 (before: none)", "1 of 2"),
        ("abcd", "acdf", "worse", "no right answer in the first 4 (before: 2)", "0 of 2"),
        ("abcd", "abce", "better", "first right answer at place 2 (before: 2)", "2 of 2"),
        ("abce", "abcd", "worse", "first right answer at place 2 (before: 2)", "1 of 2"),
        ("acdf", "fdca", "no better, no worse", "no right answer in the first 4 (before: none)", "0 of 2"),
    ],
)
def test_the_verdict_names_gain_and_harm(before, after, word, place, count):
    verdict = shown(before, after, "be").verdict
    had = len(set(before) & set("be"))
    assert verdict == f"{word}: {place}, {count} right answers in the first 4 (before: {had})"


def test_a_target_is_told_and_other_notes_are_not_taken_for_one():
    assert shown("ab", "ab", "a", ("20 asked", "target: three eggs")).target == "target: three eggs"
    assert shown("ab", "ab", "a").target == ""


def test_the_table_says_where_each_hit_stood_before(tmp_path):
    for number in range(4):
        save(tmp_path / "pictures" / f"p{number}.png", number)
    mm.index(tmp_path / "pictures", tmp_path / "index", SketchEncoder())
    with mm.Searcher.open(tmp_path / "index", encoder=SketchEncoder()) as searcher:
        a, b, c, d = searcher.ids
        lines = table(shown([a, b, c], [b, d, c], {b}), searcher.collection)
    assert lines[0] == "s: “words”"
    assert [line.split() for line in lines[1:9]] == [
        ["search", "alone"],
        ["1", "1.000", a],
        ["✓", "2", "0.000", b],
        ["3", "-1.000", c],
        ["reranked", "by", "ingredients"],
        ["✓", "1", "1.000", b, "was", "2"],
        ["2", "0.000", d, "new"],
        ["3", "-1.000", c, "as", "before"],
    ]
    assert lines[10:] == ["   stage: 1 calls, 0 kept replies, 5 tokens, 0.00 s"]


# --- sheets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [["-"], ["+-+"], ["--+", "++-"], ["-----", "+++++"]])
def test_a_sheet_frames_the_right_answers_and_has_a_row_for_each_way(rows):
    red = Image.new("RGB", (40, 40), (200, 0, 0))
    sheet = contact_sheet("a title", [Row("a way", [Tile(red, "label", mark == "+") for mark in row]) for row in rows])
    pixels = [tuple(pixel) for pixel in np.asarray(sheet).reshape(-1, 3).tolist()]
    frame = CELL**2 - (CELL - 2 * FRAME) ** 2  # pixels; a green label below it has far fewer
    assert pixels.count(RIGHT) // frame == "".join(rows).count("+")
    assert pixels.count((200, 0, 0)) == len("".join(rows)) * (CELL - 2 * FRAME) ** 2


def test_what_is_said_of_a_hit_has_room_on_the_sheet():
    red = Image.new("RGB", (40, 40), (200, 0, 0))
    plain = contact_sheet("a title", [Row("a way", [Tile(red, "label", right=False)])])
    noted = contact_sheet("a title", [Row("a way", [Tile(red, "label", right=False, note="has rice; lacks egg")])])
    assert noted.height == plain.height + NOTE_LINE


def test_stages_are_named_in_their_order():
    assert str(LISTS) == "reranked by ingredients"
    both = Ways(("target-caption",), ("ingredients", "pointwise:depth=10"))
    assert str(both) == "rewritten by target-caption, reranked by ingredients, pointwise:depth=10"
    assert str(Ways()) == "search alone"
