"""What the panels do, by their handlers, over a real index and models without weights."""

import base64
import json
import re
import shutil
from contextlib import contextmanager
from io import BytesIO
from threading import Event
from types import SimpleNamespace

import gradio as gr
import pytest
from example_stages import Scripted
from PIL import Image
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.asks import ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.indexing import index
from mmretrieval.watching import Exchange
from mmretrieval.web.desk import Desk
from mmretrieval.web.export import export
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.exporting import exported
from mmretrieval.web.page.indexing import Indexing
from mmretrieval.web.page.marking import Marking
from mmretrieval.web.page.marks import marked, with_feedback
from mmretrieval.web.page.measured import Stopped, measuring
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.reranking import choices, of_link
from mmretrieval.web.page.reranks import AFTER, BEFORE, Outputs, Reranking
from mmretrieval.web.page.rerunning import rerank, with_depth
from mmretrieval.web.page.seen import Seen, seen, seen_html

SIZE, PATIENCE = 12, 30.0
EVIL = "<img src=x onerror=alert(1)>"
FORM = SearchForm(text="soup", top_k=8)
ME, SOMEONE = SimpleNamespace(session_hash="me"), SimpleNamespace(session_hash="someone")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("panels")
    (place / "pictures").mkdir()
    for number in range(SIZE):
        (place / "pictures" / f"p{number:02}.png").write_bytes(encoded(picture(number), "PNG"))
    index(place / "pictures", place / "index", encoder=SketchEncoder())
    return place


@pytest.fixture
def folder(made, tmp_path):
    """A copy for each test, since an index keeps what its model answered."""
    return shutil.copytree(made, tmp_path / "own")


def last_first(ask):
    """Yes for each picture more than for the one before it, so that a list is turned round."""
    last_first.count += 1
    return ChoiceScores((-1 / last_first.count, -3.0), tokens=5)


@contextmanager
def desk_of(folder, reply=last_first, at_once=16, **more):
    last_first.count = 0
    model = Scripted(reply)
    model.at_once = at_once
    with Desk(folder / "index", encoder=SketchEncoder(), mllm=model, **more) as desk:
        yield desk


def parts_of(desk):
    return Parts(desk, None, None, None, None, None, ())


def named(values):
    """What a handler of the rerank panel returned, by component."""
    return dict(zip((*Outputs.__slots__, "form", "ranking", "status", "found"), values, strict=True))


def test_every_reranker_can_be_chosen_but_those_that_load_a_model_of_their_own(folder):
    with desk_of(folder) as desk:
        names = [name for _, name in choices(desk)]
    assert "grid" in names
    assert "pointwise" in names
    assert "second_encoder" not in names


def test_without_a_language_model_only_methods_that_ask_none_are_offered(folder):
    with Desk(folder / "index", encoder=SketchEncoder()) as desk:
        names = [name for _, name in choices(desk)]
        assert not {"grid", "pointwise", "cotrr"} & set(names)
        assert "ingredients" in names
        for name in names:
            desk.search(SearchForm(text="a red picture", rerank=(name,)))


def test_methods_look_at_as_many_as_the_slider_says_unless_they_say_it_themselves():
    assert with_depth(["grid", "cotrr:mode=parts", "pointwise:depth=5,alpha=1", " "], 9) == (
        "grid:depth=9",
        "cotrr:mode=parts,depth=9",
        "pointwise:depth=5,alpha=1",
    )


def test_the_cost_is_told_before_and_the_pace_is_known_after_a_run(folder):
    with desk_of(folder) as desk:
        reranking = Reranking(parts_of(desk))

        def cost(*wishes):
            return list(reranking.cost(*wishes))[-1]

        assert "Search first" in cost(["pointwise"], 6, None)
        assert "At most 6 calls" in cost(["pointwise"], 6, FORM)
        assert desk.mllm.calls == []
        assert "at the pace so far" not in cost(["pointwise"], 6, FORM)
        list(reranking.run(["pointwise:alpha=1"], 6, FORM, (), ME))
        assert "at the pace so far" in cost(["pointwise"], 6, FORM)


def test_a_rerank_ends_with_the_order_of_the_same_search_and_both_orders_side_by_side(folder):
    with desk_of(folder) as desk:
        before = desk.search(FORM)
        updates = [named(each) for each in Reranking(parts_of(desk)).run(["pointwise:alpha=1"], 4, FORM, (), ME)]
        last = updates[-1]
        same = desk.search(FORM.model_copy(update={"rerank": ("pointwise:alpha=1,depth=4",)}))
    assert last["ranking"].ids == same.ids
    assert last["ranking"].ids == [*reversed(before.ids[:4]), *before.ids[4:]]
    assert last["form"].rerank == ("pointwise:alpha=1,depth=4",)
    ids = re.findall(r'class="mmb-row" data-id="(p\d\d)"', last["sides"])
    assert ids == [*before.ids, *last["ranking"].ids]
    assert "pointwise" in last["steps"]
    assert last["run"]["interactive"] is True
    assert last["stop"]["interactive"] is False


def test_the_results_can_go_back_to_the_order_before(folder):
    with desk_of(folder) as desk:
        reranking = Reranking(parts_of(desk))
        last = named(list(reranking.run(["pointwise:alpha=1"], 4, FORM, (), ME))[-1])
        form, ranking, _, _ = reranking.take(BEFORE, last["done"], last["form"], ())
        assert (form, ranking.ids) == (FORM, desk.search(FORM).ids)
        form, ranking, _, _ = reranking.take(AFTER, last["done"], form, ())
        assert (form, ranking.ids) == (last["form"], last["ranking"].ids)


def shown_while(reranking, watched):
    """All updates of a rerank; `watched` is set once the first order stands there."""
    updates = []
    for values in reranking.run(["pointwise:alpha=1"], 6, FORM, (), ME):
        updates.append(named(values))
        if isinstance(updates[-1]["sides"], str):
            watched.set()
    return updates


def test_a_stop_keeps_the_best_order_so_far_and_says_that_it_is_partial(folder):
    watched = Event()

    def stopping(ask):
        assert watched.wait(PATIENCE)
        if last_first.count == 2:
            reranking.stop(SOMEONE)  # of another visitor, so it changes nothing here
            reranking.stop(ME)
        return last_first(ask)

    with desk_of(folder, stopping, at_once=1) as desk:
        reranking = Reranking(parts_of(desk))
        last = shown_while(reranking, watched)[-1]
        assert sum(map(len, desk.mllm.calls)) == 3
    assert "Stopped: this is the best order so far" in last["progress"]
    assert "partial" in last["progress"]
    assert last["ranking"].status == "partial"
    before = last["done"].before.ids
    assert [each for each in last["ranking"].ids if each in before[:3]] == [*reversed(before[:3])]  # those it judged
    assert sorted(last["ranking"].ids) == sorted(before)


def test_a_visitor_who_leaves_stops_what_was_asked_for(folder):
    begun, go = Event(), Event()

    def slow(ask):
        begun.set()
        assert go.wait(PATIENCE)
        return last_first(ask)

    with desk_of(folder, slow, at_once=1) as desk:
        run = Reranking(parts_of(desk)).run(["pointwise"], 6, FORM, (), ME)
        next(run)
        next(run)
        assert begun.wait(PATIENCE)
        run.close()
        go.set()
        desk.search(FORM.model_copy(update={"rerank": ("pointwise:depth=2",)}))  # waits until the first one is out
        assert sum(map(len, desk.mllm.calls)) <= 3


def test_another_search_ends_a_rerank_under_way_and_is_not_overwritten_by_it(folder):
    watched, cleared = Event(), []

    def searching(ask):
        assert watched.wait(PATIENCE)
        if last_first.count == 1:
            same = reranking.follow(FORM.model_copy(update={"rerank": ("grid",)}), None, ME)
            assert all(isinstance(each, dict) for each in same)
            cleared.append(reranking.follow(SearchForm(text="fox"), None, ME))
        return last_first(ask)

    with desk_of(folder, searching, at_once=1) as desk:
        reranking = Reranking(parts_of(desk))
        updates = shown_while(reranking, watched)
        assert sum(map(len, desk.mllm.calls)) == 2
    assert [dict(zip(Outputs.__slots__, each, strict=True))["sides"] for each in cleared] == [""]
    assert updates[-1]["sides"] == ""
    assert all(isinstance(each["ranking"], dict) for each in updates)  # left as it is, never the old search's


def test_what_was_reranked_stays_for_the_same_search_and_goes_with_another(folder):
    with desk_of(folder) as desk:
        reranking = Reranking(parts_of(desk))
        last = named(list(reranking.run(["pointwise"], 4, FORM, (), ME))[-1])
        for same in (FORM, last["form"]):
            assert all(isinstance(each, dict) for each in reranking.follow(same, last["done"], ME))
        cleared = dict(zip(Outputs.__slots__, reranking.follow(SearchForm(text="fox"), last["done"], ME), strict=True))
        assert (cleared["sides"], cleared["steps"], cleared["done"]) == ("", "", None)


def test_the_methods_of_a_link_are_chosen_and_nothing_is_run():
    def chosen(**parameters):
        return of_link(SimpleNamespace(query_params=parameters))

    assert chosen(text="soup", rerank='["grid:depth=4", "cotrr"]') == ["grid:depth=4", "cotrr"]
    assert isinstance(chosen(text="soup"), dict)
    assert isinstance(chosen(rerank='["'), dict)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["nosuch"], "there is no .*nosuch"),
        (["grid:marks=/etc/passwd"], "the methods are not understood"),
        (["second_encoder"], "loads a model of its own"),
        (["grid"] * 4, "the methods are not understood"),
        ([], "no method is chosen"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_the_panel_stays_usable(folder, chosen, told):
    with desk_of(folder) as desk:
        last = named(list(Reranking(parts_of(desk)).run(chosen, 4, FORM, (), ME))[-1])
    assert re.search(told, last["progress"])
    assert 'role="alert"' in last["progress"]
    assert last["run"]["interactive"] is True
    assert "Traceback" not in last["progress"]


def test_a_model_that_fails_falls_back_and_the_badge_is_not_hidden(folder):
    with desk_of(folder, lambda ask: Failed("no answer today")) as desk:
        last = named(list(Reranking(parts_of(desk)).run(["pointwise"], 4, FORM, (), ME))[-1])
        assert last["ranking"].ids == desk.search(FORM).ids
    assert "mmb-fallback" in last["progress"]
    assert "mmb-fallback" in last["steps"]
    assert "no answer today" in last["progress"]


def test_what_the_model_saw_and_said_is_kept_to_be_looked_at(folder):
    with desk_of(folder, lambda ask: Text("3 > 1 > 2", tokens=2)) as desk:
        done = rerank(desk, FORM.model_copy(update={"rerank": ("grid:depth=4,cell=60",)})).result()
    [look] = done.seen
    assert look.said == "3 > 1 > 2"
    assert look.stage == "grid"
    assert "soup" in look.prompt
    [address] = look.pictures
    shown = Image.open(BytesIO(base64.b64decode(address.partition("base64,")[2])))
    assert shown.size == (2 * 60 + 8, 2 * 100 + 8)


def test_questions_beyond_the_limit_are_counted_and_not_kept(folder):
    with desk_of(folder) as desk:
        done = rerank(desk, FORM.model_copy(update={"rerank": ("pointwise:depth=12,tiles=2",)})).result()
    assert len(done.seen) == 24
    assert done.unseen == 12 * 5 - 24


def test_words_of_a_model_are_escaped_and_a_failed_answer_is_told():
    ask = Generate((EVIL, Image.new("RGB", (4, 4))))
    shown = seen_html([seen(Exchange("q", EVIL, ask, Text(EVIL))), seen(Exchange("q", "s", ask, Failed(EVIL)))], 3)
    assert EVIL not in shown
    assert shown.count("&lt;img src=x") == 7  # stage once, prompt twice, reply and failure each twice
    assert "mmb-fallback" in shown
    assert "3 further questions are not kept" in shown
    assert re.findall(r"<img [^>]*", shown)[0].startswith('<img src="data:image/webp;base64,')


def test_choices_are_shown_with_their_probabilities():
    exchange = Exchange(
        "q", "s", ScoreChoices(("it?",), ("yes", "no")), ChoiceScores((0.0, float("-inf")), cached=True)
    )
    assert seen(exchange) == Seen("s", "it?", "yes: 1, no: 0", cached=True)


def test_an_export_is_the_file_of_what_is_shown(folder):
    with desk_of(folder) as desk:
        ranking = desk.search(FORM)
    for kind in ("csv", "json", "trec"):
        value, told = exported(kind, FORM, ranking)
        file = json.loads(value)
        assert (file["name"], file["text"]) == (export(FORM, ranking, kind).name, export(FORM, ranking, kind).text)
        assert told == ""
    assert "search first" in exported("csv", None, None)[1]


def test_a_mark_from_the_browser_is_taken_only_for_a_picture_there_is(folder):
    with desk_of(folder) as desk:
        marking = Marking(parts_of(desk))
        marks = marking.take(FORM, (), SimpleNamespace(id="p03", grade=1))
        assert [(mark.id, mark.grade) for mark in marks] == [("p03", 1)]
        assert marking.take(FORM, marks, SimpleNamespace(id="p03", grade=None)) == ()
        for data in ({"id": "p99", "grade": 1}, {"id": "p03", "grade": 7}, {"grade": 1}, {"id": 3, "grade": 1}):
            with pytest.raises(gr.Error):
                marking.take(FORM, (), SimpleNamespace(**data))


def test_feedback_is_the_search_with_examples_and_goes_away_again(folder):
    with desk_of(folder) as desk:
        marking = Marking(parts_of(desk))
        before = desk.search(FORM).ids
        marks = marked(marked((), FORM, before[5], 1), FORM, before[0], 0)
        form, ranking, _, _ = marking.search(FORM, marks)
        assert form == with_feedback(FORM, marks)
        assert ranking.ids == desk.search(form).ids
        assert ranking.ids != before
        assert before[0] not in ranking.ids
        assert "1 relevant, 1 not relevant" in marking.counts(form, marks)
        form, ranking, _, _ = marking.search_without(form, marks)
        assert (form, ranking.ids) == (FORM, before)
        assert marking.clear(FORM, marks, ranking)[0] == ()


def test_feedback_asks_no_model_that_was_asked_before(folder):
    with desk_of(folder) as desk:
        reranked = FORM.model_copy(update={"rerank": ("pointwise",)})
        form, _, _, _ = Marking(parts_of(desk)).search(reranked, marked((), FORM, "p03", 1))
        assert (form.rerank, form.like) == ((), ("p03",))
        assert desk.mllm.calls == []


def test_settings_are_measured_and_compared_on_marks(folder):
    with desk_of(folder) as desk:
        marking = Marking(parts_of(desk))
        right = desk.search(FORM).ids[3]
        marks = marked((), FORM, right, 1)
        turned = FORM.model_copy(update={"rerank": ("pointwise:alpha=1,depth=4",)})
        assert "asks the language model at most 4 times" in marking.cost(turned, marks)
        alone = list(marking.measure(FORM, marks, ME))[-1][0]
        assert "<td>0.431</td>" in alone  # nDCG of one right picture at place 4
        both = list(marking.measure(turned, marks, ME, FORM))[-1][0]
        assert "B is reranked by pointwise:alpha=1,depth=4" in both
        assert "<td>0.431</td><td>1.000</td><td>+0.569</td>" in both
        refused = list(marking.measure(FORM, (), ME))[-1][0]
        assert "there is nothing to measure with yet" in refused


def test_a_measuring_can_be_stopped(folder):
    begun, go = Event(), Event()

    class Waiting:
        def __init__(self, desk):
            self.collection, self._search = desk.collection, desk.search

        def search(self, form):
            begun.set()
            assert go.wait(PATIENCE)
            return self._search(form)

    with desk_of(folder) as desk:
        from mmretrieval.web.page.marks import gathered

        work = measuring(Waiting(desk), gathered(marked((), FORM, "p03", 1)), FORM)
        assert begun.wait(PATIENCE)
        work.stop()
        go.set()
        with pytest.raises(Stopped, match="nothing was measured"):
            work.result()


def test_indexing_from_the_page_adds_what_is_new_and_search_finds_it_at_once(tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"p{number}.png").write_bytes(encoded(picture(number), "PNG"))
    index(pictures, tmp_path / "index", encoder=SketchEncoder())
    (pictures / "p3.png").write_bytes(encoded(picture(3), "PNG"))
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n<b>no picture</b>")
    with desk_of(tmp_path, allow_index=[pictures, tmp_path / "elsewhere"]) as desk:
        panel = Indexing(parts_of(desk))
        updates = list(panel.run(0))
        assert desk.collection.ids == ["p0", "p1", "p2", "p3"]
        assert desk.similar("p3").ids[0] == "p3"
        told = updates[-1][0]
        assert "1 new or changed, 3 as before" in told
        assert "1 file could not be read" in told
        assert "broken.png: " in told
        assert updates[0][2]["interactive"] is True
        assert updates[-1][1]["interactive"] is True

        (tmp_path / "elsewhere").mkdir()
        for folder, told in ((1, "holds the pictures of …/pictures"), (2, "may not be indexed"), (-1, "may not be")):
            refused = list(panel.run(folder))[-1][0]
            assert told in refused
            assert 'role="alert"' in refused
            assert str(tmp_path) not in refused
