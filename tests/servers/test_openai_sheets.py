"""Sheets behind a server: they keep their size where the server can be told so, and what is lost elsewhere is told."""

import pretend_server as ps
import pytest
from PIL import Image

from mmretrieval.asks import ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.mllms.openai import OpenAI
from mmretrieval.sheet import sheet

PHOTO = Image.new("RGB", (96, 96), "red")
SHEET = sheet([PHOTO] * 4, columns=2, cell=96, strip=32, gap=0).image
OWN_SIZE = {"do_resize": False}


def best(*shown):
    return ScoreChoices((*shown, "which picture?"), ("1", "2"))


@pytest.fixture
def server():
    with ps.PretendServer(exact=True) as server:
        yield server


@pytest.fixture
def opened():
    models = []

    def make(server, **settings):
        models.append(OpenAI(server.address, **{"compact": True, "pause_seconds": 0.01, "tries": 2, **settings}))
        return models[-1]

    yield make
    for model in models:
        model.close()


def said_of_size(server):
    """What the latest request says of the size of its pictures."""
    return server.chats[-1].get("mm_processor_kwargs")


def test_a_sheet_keeps_its_size_and_nothing_is_warned_of(server, opened, caplog):
    [reply] = opened(server).answer([best(SHEET)])
    assert isinstance(reply, ChoiceScores)
    assert said_of_size(server) == OWN_SIZE
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_sheet_keeps_its_size_for_an_answer_in_words_too(server, opened):
    [reply] = opened(server).answer([Generate((SHEET, "which picture?"))])
    assert isinstance(reply, Text)
    assert said_of_size(server) == OWN_SIZE


def test_single_pictures_are_left_to_the_server_and_no_token_is_counted_for_them(server, opened):
    opened(server).answer([best(PHOTO)])
    assert said_of_size(server) is None
    assert not [body for path, _, body in server.requests if path == "/tokenize" and "messages" in body]


def test_tokens_are_counted_once_for_all_sheets(server, opened):
    model = opened(server)
    model.answer([best(SHEET)] * 5)
    model.answer([best(SHEET)])
    counted = [body for path, _, body in server.requests if path == "/tokenize" and "messages" in body]
    assert len(counted) == 6  # words, a square and a wide picture, with and without the switch


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("beside a photograph", (SHEET, PHOTO)),
        ("of broken strides", (sheet([PHOTO] * 4, columns=2, cell=90, strip=20, gap=3).image,)),
    ],
)
def test_a_sheet_that_cannot_keep_its_size_is_told_once(what, shown, server, opened, caplog):
    opened(server).answer([best(*shown)] * 3)
    assert said_of_size(server) is None
    assert caplog.text.count("at the size of one picture") == 1, what


def test_a_sheet_beyond_the_budget_of_pixels_is_scaled_down_and_told(server, opened, caplog):
    opened(server, max_pixels=100 * 100).answer([best(SHEET)])
    assert said_of_size(server) is None
    assert "at the size of one picture" in caplog.text


def test_a_server_that_takes_no_such_switch_is_told_of_with_the_cure(server, opened, caplog):
    server.refuses = ("mm_processor_kwargs",)
    [reply] = opened(server).answer([best(SHEET)])
    assert isinstance(reply, ChoiceScores)
    assert said_of_size(server) is None
    assert "--trust-request-mm-kwargs" in caplog.text


def one_size(width, height, *, own_size):
    return 9


def patches(width, height, *, own_size):
    """A transformer with patches of 16 pixels, which breaks on another size than its own."""
    return (width // 16) * (height // 16) if own_size else 196


@pytest.mark.parametrize("sees", [one_size, patches])
def test_a_tower_of_one_size_is_left_alone_and_told_of(sees, server, opened, caplog):
    server.sees = sees
    opened(server).answer([best(SHEET)])
    assert said_of_size(server) is None
    assert "takes one size only" in caplog.text


def test_a_model_that_reads_large_pictures_with_more_tokens_needs_no_switch(server, opened, caplog):
    server.sees = lambda width, height, *, own_size: width * height // 784
    opened(server).answer([best(SHEET)])
    assert said_of_size(server) is None
    assert not caplog.records


@pytest.mark.parametrize(("compact", "times"), [(True, 1), (False, 0)])
def test_behind_a_server_that_counts_no_tokens_small_models_are_told_of(compact, times, opened, caplog):
    """Large ones cut a sheet into tiles, here and there."""
    with ps.PretendServer() as server:
        opened(server, compact=compact).answer([best(SHEET)] * 2)
        assert said_of_size(server) is None
    assert caplog.text.count("at the size of one picture") == times


def test_a_connection_that_breaks_while_tokens_are_counted_fails_the_ask_and_decides_nothing(server, opened):
    model = opened(server)
    model.answer([best(PHOTO)])
    server.faults.extend([ps.drop] * 2)
    [broken] = model.answer([best(SHEET)])
    [whole] = model.answer([best(SHEET)])
    assert isinstance(broken, Failed)
    assert isinstance(whole, ChoiceScores)
    assert said_of_size(server) == OWN_SIZE
