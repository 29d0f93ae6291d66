"""Marks on the page: what a mark belongs to, feedback, the file of marks, and the figures they give."""

import json

import pytest

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.marks import read_marks
from mmretrieval.evaluation.significance import interval
from mmretrieval.types import Hit, Query, Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.figures import comparison_html, measures_html, verdict_of
from mmretrieval.web.page.marks import gathered, grades_of, marked, marks_file, name_of, with_feedback
from mmretrieval.web.page.measuring import MEASURES, against, measure

IDS = tuple("abcdef")
TOKEN = "0123456789abcdef"
SOUP, FOX = SearchForm(text="soup"), SearchForm(text="a fox", image_id="f")


def given(*triples):
    marks = ()
    for form, record_id, grade in triples:
        marks = marked(marks, form, record_id, grade)
    return marks


class Desk:
    """Answers with the order that was said for the words, reversed where the form reranks; remembers what it got."""

    def __init__(self, **orders):
        self.orders = orders
        self.asked = []

    def __call__(self, form):
        self.asked.append(form)
        order = self.orders[form.text.split()[-1]]
        order = order[::-1] if form.rerank else order
        return Ranking(Query(text=form.text), tuple(Hit(each, "dense") for each in order[: form.top_k]))


def test_a_mark_belongs_to_what_is_sought_and_not_to_the_settings():
    marks = given((SOUP, "a", 1), (SOUP.model_copy(update={"rerank": ("grid",), "top_k": 3, "like": ("b",)}), "b", 0))
    assert grades_of(marks, SOUP) == {"a": 1, "b": 0}
    assert grades_of(marks, SearchForm(text="soup", minus=("carrot",))) == {}


def test_a_later_mark_takes_the_place_of_an_earlier_one_and_none_takes_it_away():
    marks = given((SOUP, "a", 1), (SOUP, "b", 1), (SOUP, "a", 0))
    assert grades_of(marks, SOUP) == {"b": 1, "a": 0}
    assert grades_of(marked(marks, SOUP, "b", None), SOUP) == {"a": 0}


def test_feedback_makes_right_pictures_examples_and_wrong_ones_counter_examples():
    form = SOUP.model_copy(update={"offset": 24, "rerank": ("grid",)})
    found = with_feedback(form, given((SOUP, "a", 1), (FOX, "b", 1), (SOUP, "c", 0), (SOUP, "d", 1)))
    assert (found.like, found.unlike, found.offset, found.rerank) == (("d", "a"), ("c",), 0, ("grid",))


def test_two_searches_that_read_alike_keep_their_marks_apart():
    twin = SearchForm(text=" soup  ")
    found = gathered(given((SOUP, "a", 1), (twin, "a", 0)))
    assert found.qrels == {"soup": {"a": 1}, "soup (2)": {"a": 0}}
    assert found.sought["soup (2)"].text == " soup  "


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (SearchForm(text="a  fox"), "a fox"),
        (SearchForm(image=TOKEN), "an uploaded picture"),
        (SearchForm(text="but red", image_id="f1", minus=("snow",)), "but red, and the picture f1, without snow"),
        (SearchForm(text="fox", filter="year > 2000 "), "fox, where year > 2000"),
    ],
)
def test_what_is_sought_is_named_in_words(form, name):
    assert name_of(form) == name


def test_the_file_of_marks_is_read_by_the_command_line_and_says_what_it_leaves_out(tmp_path):
    marks = given((SOUP, "a", 1), (FOX, "b", 0), (SearchForm(text="soup", image=TOKEN), "c", 1))
    text, notes = marks_file(marks)
    (tmp_path / "marks.jsonl").write_text(text, encoding="utf-8")
    read = read_marks(tmp_path / "marks.jsonl")
    assert read.qrels == {"soup": {"a": 1}, "a fox + f": {"b": 0}}
    assert len(notes) == 1
    assert notes[0].startswith("1 marks are left out")
    assert [json.loads(line)["id"] for line in text.splitlines()] == ["a", "b"]


def test_the_figures_are_those_of_the_package_for_the_same_judgements():
    desk = Desk(soup=IDS, fox=tuple("fedcba"))
    judged = gathered(given((SOUP, "b", 1), (SOUP, "a", 0), (FOX, "c", 1), (FOX, "e", 1)))
    found = measure(desk, IDS, judged, SearchForm(text="unused", hybrid="rrf"))

    class Searcher:
        ids = IDS

        def search_all(self, queries, top_k):
            orders = {"soup": "abcdef", "fox": "edcba"}  # without its reference f
            return [Ranking(q, tuple(Hit(i, "dense") for i in orders[q.text.split()[-1]])) for q in queries]

    expected = evaluate(Searcher(), read_rows(judged), judged.qrels, MEASURES)
    assert {name: value.mean for name, value in found.values.items()} == pytest.approx(dict(expected.measures))
    by_query = [expected.by_query[name]["nDCG@10"] for name in sorted(expected.by_query)]
    assert found.values["nDCG@10"] == interval(by_query)
    assert all(form.hybrid == "rrf" for form in desk.asked)


def read_rows(judged):
    from mmretrieval.evaluation.queries import QueryRow

    return [
        QueryRow(Query(name, sought.text, image_id=sought.image_id, exclude=frozenset({sought.image_id} - {None})))
        for name, sought in judged.sought.items()
    ]


def test_examples_from_marks_never_measure_themselves():
    desk = Desk(soup=IDS)
    settings = with_feedback(SOUP, given((SOUP, "e", 1)))
    assert settings.like == ("e",)
    measure(desk, IDS, gathered(given((SOUP, "e", 1))), settings)
    assert [(form.like, form.unlike, form.offset) for form in desk.asked] == [((), (), 0)]


def test_two_settings_are_compared_query_by_query():
    desk = Desk(soup=IDS, fox=tuple("badce"))
    judged = gathered(given((SOUP, "f", 1), (SearchForm(text="a fox"), "e", 1)))
    plain = measure(desk, IDS, judged, SearchForm(text="x"))
    turned = measure(desk, IDS, judged, SearchForm(text="x", rerank=("grid",)))
    (ndcg, ap, first) = against(plain, turned, judged).differences
    assert (ap.first, ap.second) == pytest.approx(((1 / 6 + 1 / 5) / 2, 1.0))
    assert (first.first, first.second, first.wins, first.losses) == (0.0, 1.0, 2, 0)
    assert verdict_of(ndcg) == "nDCG@10: the marks do not tell which is better; mark more queries."
    assert verdict_of(against(plain, plain, judged).differences[0]) == "nDCG@10: no difference on any query."


def test_enough_marks_tell_which_setting_is_better():
    names = [f"q{number}" for number in range(8)]
    desk = Desk(**dict.fromkeys(names, IDS))
    judged = gathered(given(*((SearchForm(text=name), "f", 1) for name in names)))
    plain, turned = (measure(desk, IDS, judged, SearchForm(text="x", rerank=each)) for each in ((), ("grid",)))
    told = [verdict_of(each) for each in against(plain, turned, judged).differences]
    assert told[1] == "AP@100: B is better than A by 0.833."
    assert verdict_of(against(turned, plain, judged).differences[1]) == "AP@100: A is better than B by 0.833."


def test_searches_without_a_right_picture_are_named_and_measure_nothing():
    judged = gathered(given((SOUP, "a", 1), (SearchForm(text="a fox"), "b", 0)))
    found = measure(Desk(soup=IDS, fox=IDS), IDS, judged, SOUP)
    assert found.queries == 1
    assert found.notes[0] == "no picture was marked right for a fox, so nothing is measured there"


def test_marks_that_are_all_wrong_are_refused_in_a_sentence():
    with pytest.raises(InvalidData, match="no query has a relevant image"):
        measure(Desk(soup=IDS), IDS, gathered(given((SOUP, "a", 0))), SOUP)


def test_progress_is_told_query_by_query():
    judged = gathered(given((SOUP, "a", 1), (SearchForm(text="a fox"), "b", 1)))
    told = []
    measure(Desk(soup=IDS, fox=IDS), IDS, judged, SOUP, lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_tables_escape_what_visitors_typed():
    judged = gathered(given((SearchForm(text="<img src=x> soup"), "a", 1)))
    found = measure(Desk(soup=IDS), IDS, judged, SOUP)
    shown = measures_html(found.values, found.queries, ["<b>note</b>"]) + comparison_html(
        against(found, found, judged), ("<i>A</i>", "B")
    )
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "&lt;b&gt;note" in shown


def test_equal_searches_are_one_key_though_their_weights_are_a_dict():
    one, other = (
        SearchForm(text="x", weights=weights) for weights in ({"text": 1, "image": 2}, {"image": 2, "text": 1})
    )
    assert one == other
    assert {one: "a"}[other] == "a"
    assert hash(one) != hash(SearchForm(text="y"))
