"""Uploads, pictures, files to keep, limits and accounts: each by itself, without a server."""

from __future__ import annotations

import base64
import csv
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from store_samples import SketchEncoder, encoded, picture

from mmretrieval.collection import Collection
from mmretrieval.errors import InvalidData, NotFound, UnreadableImage, UsageError
from mmretrieval.evaluation.runs import read_run
from mmretrieval.indexing import index
from mmretrieval.types import Hit, Query, Ranking
from mmretrieval.web.auth import Accounts, read_accounts
from mmretrieval.web.export import export
from mmretrieval.web.form import SearchForm
from mmretrieval.web.limits import Busy, Gate, Limits, Rate
from mmretrieval.web.pictures import CARD, SIDES, Pictures
from mmretrieval.web.refusals import UNFORESEEN, refusal
from mmretrieval.web.uploads import TooLarge, Uploads

PATIENCE = 20.0
PNG = encoded(picture(1), "PNG")


# Uploads


def test_an_upload_is_kept_under_a_token_that_nobody_can_guess():
    uploads = Uploads(Limits())
    one, other = uploads.add(PNG), uploads.add(PNG)
    assert one.token != other.token
    assert len(one.token) >= 24
    assert uploads.get(one.token).data == PNG
    with Image.open(io.BytesIO(one.shown)) as shown:
        assert (shown.format, shown.size) == ("JPEG", (one.width, one.height))


def test_what_is_shown_of_an_upload_has_nothing_of_its_file_but_pixels():
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "<script>alert(1)</script>"
    picture(2).save(out, "JPEG", exif=exif, comment=b"where I live")
    shown = Uploads(Limits()).add(out.getvalue()).shown
    assert b"script" not in shown
    assert b"where I live" not in shown


def test_uploads_are_bounded_in_bytes_and_pixels():
    with pytest.raises(TooLarge, match="the limit is 10"):
        Uploads(Limits(upload_bytes=10)).add(PNG)
    with pytest.raises(UnreadableImage, match="too large"):
        Uploads(Limits(upload_pixels=8)).add(PNG)


@pytest.mark.parametrize("data", [b"", b"<svg onload='alert(1)'/>", b"GIF89a", PNG[:50], b"%PDF-1.7 " + bytes(99)])
def test_what_is_no_whole_picture_is_refused(data):
    with pytest.raises(UnreadableImage, match="the upload"):
        Uploads(Limits()).add(data)


def test_the_upload_used_longest_ago_is_forgotten_first():
    size = len(PNG) + len(Uploads(Limits()).add(PNG).shown)
    uploads = Uploads(Limits(uploads_kept=2 * size))
    first, second = uploads.add(PNG), uploads.add(PNG)
    uploads.get(first.token)
    third = uploads.add(PNG)
    with pytest.raises(NotFound, match="upload it again"):
        uploads.get(second.token)
    assert uploads.bytes_kept == 2 * size
    uploads.forget(first.token)
    uploads.forget(first.token)
    assert uploads.bytes_kept == size
    assert uploads.get(third.token) is third


# Pictures of the collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name, size in (("small", (40, 30)), ("wide", (1500, 500))):
        (folder / "in").mkdir(exist_ok=True)
        Image.effect_noise(size, 60).convert("RGB").save(folder / "in" / f"{name}.png")
    index(folder / "in", folder / "index", encoder=SketchEncoder())
    with Collection.open(folder / "index") as opened:
        yield opened


@pytest.mark.parametrize("side", SIDES)
def test_a_picture_is_as_long_as_asked_and_never_larger_than_it_is(collection, side):
    wide = Pictures().get(collection, "wide", side)
    with Image.open(io.BytesIO(wide.data)) as shown:
        assert shown.size == (wide.width, wide.height)
        assert shown.format == "WEBP"
    assert wide.width == min(side, 1500)
    assert abs(wide.height - wide.width / 3) <= 1
    assert Pictures().get(collection, "small", side).width == 40


def test_a_tag_tells_pictures_apart_and_stays_the_same(collection):
    pictures = Pictures()
    assert pictures.get(collection, "wide").tag == Pictures().get(collection, "wide").tag
    assert (
        len(
            {pictures.get(collection, "wide", side).tag for side in (128, 256)}
            | {pictures.get(collection, "small").tag}
        )
        == 3
    )


def test_small_pictures_are_kept_within_a_bound(collection):
    size = len(Pictures().get(collection, "wide", CARD).data)
    pictures = Pictures(kept_bytes=size + 10)
    assert pictures.get(collection, "wide", CARD) is pictures.get(collection, "wide", CARD)
    pictures.get(collection, "wide", 512)
    assert pictures.bytes_kept <= size + 10


@pytest.mark.parametrize("wanted", ["../in/small", "small.png", "/etc/passwd", "in/../small", "nobody"])
def test_a_path_is_no_id(collection, wanted):
    with pytest.raises(NotFound):
        Pictures().get(collection, wanted)


def test_another_size_is_refused(collection):
    with pytest.raises(UsageError, match="choose one of"):
        Pictures().get(collection, "small", 300)


# Files to keep


HITS = (
    Hit("a/one", "dense", 0.5, "a/one.png", '=HYPERLINK("http://evil")', duplicates=("x", "y")),
    Hit("+cmd", "grid", None, "@sum.png", " =1+1", first_stage_rank=7),
)
FORM = SearchForm(text="red\tfox  run", offset=10)
RANKING = Ranking(Query(text="red fox"), HITS)


def test_a_spreadsheet_finds_no_formula_in_a_csv():
    rows = list(csv.DictReader(io.StringIO(export(FORM, RANKING, "csv").text)))
    assert [row["rank"] for row in rows] == ["11", "12"]
    assert rows[0] | {"score": float(rows[0]["score"])} == {
        "rank": "11",
        "id": "a/one",
        "path": "a/one.png",
        "score": 0.5,
        "by": "dense",
        "why": '\'=HYPERLINK("http://evil")',
        "first_stage_rank": "",
        "duplicates": "x y",
    }
    assert (rows[1]["id"], rows[1]["path"], rows[1]["why"]) == ("'+cmd", "'@sum.png", "' =1+1")


def test_a_trec_run_is_read_back_in_the_same_order(tmp_path):
    (tmp_path / "run").write_text(export(FORM, RANKING, "trec").text, "utf-8")
    assert read_run(tmp_path / "run") == {"red_fox_run": ["a/one", "+cmd"]}


def test_an_id_with_blanks_cannot_stand_in_a_trec_run():
    with pytest.raises(InvalidData, match="'a b' holds blanks"):
        export(FORM, Ranking(Query(text="x"), (Hit("a b", "dense", 1.0),)), "trec")


def test_json_has_ranks_and_addresses_by_id_alone():
    found = json.loads(export(FORM, RANKING, "json").text)
    assert [hit["rank"] for hit in found["hits"]] == [11, 12]
    assert found["hits"][0]["image"] == "/api/v1/images/a%2Fone"


# Limits


def test_a_gate_lets_in_as_many_as_it_may_and_refuses_the_rest():
    gate = Gate(slots=1, waiting=1, patience=PATIENCE)
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with gate.entered():
            inside.set()
            assert leave.wait(PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(stay)
        assert inside.wait(PATIENCE)
        second = pool.submit(stay)
        while gate.present < 2:
            threading.Event().wait(0.005)
        with pytest.raises(Busy, match="busy with 2 searches"), gate.entered():
            raise AssertionError
        leave.set()
        first.result(PATIENCE)
        second.result(PATIENCE)
    assert gate.present == 0


def test_who_waits_too_long_is_told_so():
    gate = Gate(slots=1, waiting=1, patience=0.01)
    with gate.entered(), pytest.raises(Busy, match=r"busy for 0\.01 seconds"), gate.entered():
        raise AssertionError
    assert gate.present == 0


def test_who_stops_while_waiting_goes_in_at_once_and_takes_no_slot():
    gate = Gate(slots=1, waiting=2, patience=PATIENCE)
    with gate.entered():
        with gate.entered(lambda: True):
            assert gate.present == 2
        looks = iter([False, True])
        with gate.entered(lambda: next(looks)):
            assert next(looks, None) is None
    with gate.entered(lambda: False):
        pass


def test_a_visitor_gets_a_burst_and_then_so_many_a_second():
    now = [0.0]
    rate = Rate(per_second=2, burst=3, clock=lambda: now[0])
    assert [rate.take("me") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("you") == 0
    now[0] = 0.5
    assert [rate.take("me"), rate.take("me")] == [0, 0.5]
    now[0] = 100.0
    assert [rate.take("me") for _ in range(4)] == [0, 0, 0, 0.5]


# Accounts


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_only_a_known_name_with_its_password_comes_in():
    accounts = Accounts({"ann": "pä:ss"})
    assert accounts.admits(basic("ann", "pä:ss"))
    for header in (
        None,
        "",
        "Basic",
        "Basic ?",
        "Bearer x",
        basic("ann", "pä"),
        basic("bob", "pä:ss"),
        basic("ann", ""),
    ):
        assert not accounts.admits(header)


def account_file(folder, text, mode=0o600):
    file = folder / "accounts"
    file.write_text(text, "utf-8")
    file.chmod(mode)
    return file


def test_accounts_are_read_from_a_file_of_ones_own(tmp_path):
    accounts = read_accounts(account_file(tmp_path, "# mine\n\nann:a b\nbob: c\n"))
    assert accounts.admits(basic("ann", "a b"))
    assert accounts.admits(basic("bob", " c"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ann\n", "line 1: write"),
        (":x\n", "line 1"),
        ("ann:\n", "line 1"),
        ("", "no account"),
        ("a:b\na:c", "line 2.*twice"),
    ],
)
def test_a_file_that_lets_nobody_or_anybody_in_is_refused(tmp_path, text, told):
    with pytest.raises(InvalidData, match=told):
        read_accounts(account_file(tmp_path, text))


def test_a_file_of_passwords_that_others_may_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match="chmod 600"):
        read_accounts(account_file(tmp_path, "a:b", 0o644))


# Refusals


def test_no_path_and_no_trace_reaches_a_visitor(tmp_path, caplog):
    assert refusal(NotFound(f"{tmp_path}: no picture has the id 'x'"), tmp_path) == (
        404,
        "the index: no picture has the id 'x'",
    )
    told, own = "no picture 'x': see mmretrieval info --index {} --files", tmp_path.name
    assert refusal(NotFound(told.format(tmp_path)), tmp_path)[1] == told.format(own)
    near = Path("far/photos.index")
    assert refusal(NotFound(told.format(near)), near)[1] == told.format("photos.index")
    assert refusal(NotFound(told.format(f"{near}2")), near)[1] == told.format(f"{near}2")
    assert refusal(PermissionError(13, "denied", "/secret/place"), tmp_path) == (500, UNFORESEEN)
    assert refusal(ZeroDivisionError("at /secret"), tmp_path) == (500, UNFORESEEN)
    assert "/secret" in caplog.text
