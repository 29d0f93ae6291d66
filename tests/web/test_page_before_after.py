"""Before and after: who moved how far, and that nothing of a collection or a model can break out of the page."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.planned import Planned
from mmretrieval.types import Hit, Step
from mmretrieval.web.page.badges import MEANING, badge, steps_html
from mmretrieval.web.page.costs import cost_line
from mmretrieval.web.page.movements import gone, movements
from mmretrieval.web.page.sides import sides_html, summed_up, worth_showing

EVIL = "<script>alert(1)</script>\"' onerror=x &amp;"


def hits(*ids, why=""):
    return tuple(Hit(each, "dense", why=why) for each in ids)


def address(record_id):
    return f"/thumbnails/{record_id}"


class Tags(HTMLParser):
    """All tags, all attribute names, and the text of a piece of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_each_picture_of_the_later_order_tells_its_place_before():
    found = movements(hits("a", "b", "c"), hits("c", "a", "x", "b"))
    assert [(each.hit.id, each.rank, each.was, each.places, each.kind) for each in found] == [
        ("c", 1, 3, 2, "up"),
        ("a", 2, 1, -1, "down"),
        ("x", 3, None, 0, "new"),
        ("b", 4, 2, -2, "down"),
    ]
    assert [each.words for each in found] == [
        "up 2 places, was 3",
        "down 1 place, was 1",
        "was not among the first",
        "down 2 places, was 2",
    ]


def test_what_dropped_out_is_told_with_its_old_place():
    assert [(rank, hit.id) for rank, hit in gone(hits("a", "b", "c"), hits("c", "x"))] == [(1, "a"), (2, "b")]


@given(st.permutations(list("abcdefg")), st.permutations(list("abcdefg")))
def test_the_places_won_and_lost_of_a_permutation_add_up_to_nothing(before, after):
    assert sum(each.places for each in movements(hits(*before), hits(*after))) == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("abc", "abc", "The order stayed as it was."),
        ("abc", "cab", "1 rose, 2 fell."),
        ("abc", "abx", "1 came in from further below, 1 dropped out of the first 3, 2 stayed."),
        ("abc", "ab", "1 dropped out of the first 3, 2 stayed."),
    ],
)
def test_the_sum_of_all_moves_is_one_sentence(before, after, told):
    assert summed_up(hits(*before), hits(*after)) == told


def test_the_lines_run_from_the_old_place_to_the_new_one():
    drawn = sides_html(hits("a", "b", "c"), hits("c", "a", "x"), address, names=("before", "after"))
    ends = re.findall(r'class="mmb-(\w+)" d="M0 ([\d.]+)C.*? 100 ([\d.]+)"', drawn)
    assert ends == [("up", "2.5", "0.5"), ("down", "0.5", "1.5")]
    assert 'viewBox="0 0 100 3"' in drawn


def test_the_pictures_of_both_orders_are_asked_for_by_id():
    drawn = sides_html(hits("a", "b"), hits("b", "a"), address, names=("before", "after"))
    assert re.findall(r'src="/thumbnails/(\w)"', drawn) == ["a", "b", "b", "a"]


def test_what_moved_is_counted_over_all_when_only_some_rows_are_shown():
    cut = sides_html(hits("a", "b", "c", "d"), hits("b", "a", "c", "d"), address, names=("x", "y"), rows=2)
    assert "1 rose, 1 fell, 2 stayed." in cut
    assert address("c") not in cut
    assert address("c") in sides_html(hits("a", "c"), hits("c", "a"), address, names=("x", "y"))


def test_nothing_that_others_wrote_becomes_markup():
    harmless = Tags(sides_html(hits("a", why="w"), hits("a", why="w"), address, names=("x", "y"), titles={"a": "t"}))
    attacked = Tags(
        sides_html(
            hits(EVIL, why=EVIL),
            hits(EVIL, why=EVIL),
            lambda each: f"/t/{each}",
            names=(EVIL, EVIL),
            titles={EVIL: EVIL},
        )
    )
    assert attacked.tags == harmless.tags
    assert attacked.attributes == harmless.attributes
    assert attacked.text.count(EVIL) == 5  # two names, two titles, one reason

    step = Tags(steps_html([Step(EVIL, note=EVIL)]))
    assert step.tags == Tags(steps_html([Step("a", note="b")])).tags
    assert step.text.count(EVIL) == 2


def test_titles_stand_in_place_of_ids_where_there_are_some():
    drawn = Tags(
        sides_html(
            hits("a", "b"), hits("b", "a"), address, names=("x", "y"), titles={"a": "a fox", "b": ""}, whys=False
        )
    )
    assert "a fox" in drawn.text
    assert drawn.text.count("b") == 2


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [("abcdef", "abcdef", 2), ("abcdef", "abcedf", 5), ("abcdef", "fbcdea", 5), ("abc", "bac", 2), ("abcdef", "a", 2)],
)
def test_as_many_rows_are_shown_as_tell_all_that_moved(before, after, rows):
    assert worth_showing(hits(*before), hits(*after), 2, 5) == rows


def test_two_empty_orders_are_a_sentence():
    assert Tags(sides_html((), (), address, names=("a", "b"))).text == "Neither order holds a picture."


@pytest.mark.parametrize("status", MEANING)
def test_a_status_is_shown_and_explained_in_words_not_by_colour_alone(status):
    shown = Tags(badge(status))
    assert status in shown.text
    assert MEANING[status] in shown.text


def test_a_stage_tells_what_it_cost_and_what_it_could_not_use():
    step = Step("grid", 1.24, "partial", calls=1, cached=2, tokens=1234, moved=3, unanswered=2, flips=0.25, note="n")
    assert Tags(steps_html([step])).text == (
        "grid ◐ partial: only a part was answered, or could be read "
        "1.2 s, 1 call, 2 kept replies, 1,234 tokens; 3 moved; 2 without an answer; "
        "25% of pairs turned when shown in another ordern"
    )


def test_the_cost_is_told_before_anything_is_asked():
    planned = [Planned("grid", 1, 1500, "by 3 earlier replies of this model"), Planned("cotrr", 3, 500, "rather less")]
    assert cost_line(planned, {"grid": 0.5, "cotrr": 0.5}) == (
        "At most 4 calls to the language model, about 2,000 tokens, about 2.0 s at the pace so far "
        "(by 3 earlier replies of this model; rather less). Replies that are kept cost nothing."
    )
    assert cost_line([]) == "This asks no language model."
    assert "pace" not in cost_line(planned, {"grid": 0.5})
