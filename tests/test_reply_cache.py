"""Replies are found again, by other threads, processes and runs; and no state of the file stops a search."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mmretrieval.asks import ChoiceScores, Failed, Text
from mmretrieval.errors import InvalidData
from mmretrieval.reply_cache import NAME, ReplyCache, kept_replies

MODEL = {"spec": "tiny", "weights": "abc"}


@pytest.fixture
def cache(tmp_path):
    opened = ReplyCache(tmp_path, MODEL)
    yield opened
    opened.close()


def test_what_was_kept_is_found_and_says_that_it_was(cache):
    replies = {"a": Text("a heron", 7, cut=True), "b": ChoiceScores((-0.25, float("-inf")), 3, bounded=1)}
    cache.keep("Generate", replies)
    assert cache.find(["a", "x", "b", "a"]) == {key: replace(reply, cached=True) for key, reply in replies.items()}
    assert cache.warnings == []


def test_a_failure_is_never_kept(cache):
    cache.keep("Generate", {"a": Failed("the server is gone"), "b": Text("here")})
    assert set(cache.find(["a", "b"])) == {"b"}


def test_models_do_not_answer_for_each_other(cache, tmp_path):
    cache.keep("Generate", {"a": Text("one")})
    other = ReplyCache(tmp_path, {**MODEL, "weights": "abd"})
    assert other.find(["a"]) == {}
    other.keep("Generate", {"a": Text("two")})
    assert (cache.find(["a"])["a"].text, other.find(["a"])["a"].text) == ("one", "two")
    other.close()


def test_more_keys_than_one_question_to_the_file_may_hold(cache):
    cache.keep("Generate", {f"key{n}": Text(str(n)) for n in range(3000)})
    found = cache.find([f"key{n}" for n in range(2990, 3010)] + [f"key{n}" for n in range(2000)])
    assert len(found) == 2010
    assert all(found[f"key{n}"].text == str(n) for n in range(2000))


def test_the_mean_of_tokens_is_over_the_kinds_asked_for(cache):
    cache.keep("Generate", {"a": Text("", 10), "b": Text("", 20)})
    cache.keep("ScoreChoices", {"c": ChoiceScores((0.0,), 90)})
    assert cache.mean_tokens(["Generate"]) == (2, 15.0)
    assert cache.mean_tokens(["ScoreChoices", "Generate"]) == (3, 40.0)
    assert cache.mean_tokens(["Attend"]) == (0, 0.0)


def test_threads_share_one_cache(cache):
    def work(worker):
        for n in range(40):
            cache.keep("Generate", {f"{worker}-{n}": Text(f"{worker}-{n}", n)})
            assert cache.find([f"{worker}-{n}"])[f"{worker}-{n}"].text == f"{worker}-{n}"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert len(cache.find([f"{w}-{n}" for w in range(6) for n in range(40)])) == 240


PROCESS = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from mmretrieval.asks import Text
from mmretrieval.reply_cache import ReplyCache
cache = ReplyCache(Path(sys.argv[1]), {"spec": "tiny", "weights": "abc"})
sys.stdin.readline()
for n in range(30):
    cache.keep("Generate", {f"{sys.argv[2]}-{n}": Text(sys.argv[2], n)})
assert not cache.warnings, cache.warnings
cache.close()
"""


def test_processes_that_begin_at_once_on_an_empty_folder_lose_nothing(tmp_path):
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    workers = [subprocess.Popen([*command, str(n)], stdin=subprocess.PIPE) for n in range(4)]
    for worker in workers:
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.stdin.close()
        assert worker.wait(timeout=120) == 0
    cache = ReplyCache(tmp_path, MODEL)
    assert len(cache.find([f"{w}-{n}" for w in range(4) for n in range(30)])) == 120
    cache.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough for a header " * 40, b"SQLite format 3\0" * 300]
)
def test_a_damaged_file_is_set_aside_with_a_warning(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    cache = ReplyCache(tmp_path, MODEL)
    [warning] = cache.warnings
    assert str(tmp_path / NAME) in warning
    assert "set aside as replies.sqlite.damaged-1" in warning
    cache.keep("Generate", {"a": Text("new")})
    assert cache.find(["a"])["a"].text == "new"
    assert (tmp_path / f"{NAME}.damaged-1").read_bytes() == content
    cache.close()


def test_damage_that_shows_later_is_met_then(tmp_path):
    cache = ReplyCache(tmp_path, MODEL)
    cache.keep("Generate", {f"key{n}": Text("x" * 400) for n in range(200)})
    cache.close()
    content = bytearray((tmp_path / NAME).read_bytes())
    for page in range(2 * 4096, len(content), 4096):  # the first pages, with the tables' names, stay as they are
        content[page : page + 200] = b"\xff" * 200
    (tmp_path / NAME).write_bytes(content)
    cache = ReplyCache(tmp_path, MODEL)
    assert cache.warnings == []
    assert cache.find([f"key{n}" for n in range(200)]) == {}
    assert "is damaged" in cache.warnings[0]
    cache.keep("Generate", {"key1": Text("again")})
    assert cache.find(["key1"])["key1"].text == "again"
    cache.close()


def test_a_reply_that_cannot_be_understood_is_asked_for_again(cache):
    cache.keep("Generate", {"a": Text("one"), "b": Text("two")})
    with sqlite3.connect(cache.file) as other:
        other.execute("UPDATE replies SET reply = '{\"words\": 1}' WHERE ask = 'a'")
    assert set(cache.find(["a", "b"])) == {"b"}
    cache.keep("Generate", {"a": Text("three")})
    assert cache.find(["a"])["a"].text == "three"


def test_a_file_of_a_newer_version_is_refused_with_the_cure(tmp_path):
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(InvalidData, match="format 9, and this version reads 1: update mmretrieval, or delete the file"):
        ReplyCache(tmp_path, MODEL)


CHECK_READ_ONLY = """
import os, sys
from pathlib import Path
from tempfile import TemporaryDirectory
from mmretrieval.asks import Text
from mmretrieval.reply_cache import ReplyCache
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere, nobody may not
cache = ReplyCache(Path(sys.argv[1]), {"spec": "tiny", "weights": "abc"})
assert cache.find(["a", "b"]) == {"a": Text("old", 4, cached=True)}, cache.warnings
cache.keep("Generate", {"b": Text("new")})
assert cache.find(["b"]) == {}
[warning] = cache.warnings
assert "cannot be written" in warning and "--record" in warning
cache.close()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs the rights of POSIX")
def test_a_folder_that_cannot_be_written_is_read():
    with TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        cache = ReplyCache(folder, MODEL)
        cache.keep("Generate", {"a": Text("old", 4)})
        cache.close()
        folder.chmod(0o555)
        (folder / NAME).chmod(0o444)
        try:
            ran = subprocess.run(
                [sys.executable, "-c", CHECK_READ_ONLY, name], capture_output=True, text=True, check=False
            )
        finally:
            folder.chmod(0o755)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_it_does_without_a_folder_that_is_not_there(tmp_path):
    cache = ReplyCache(tmp_path / "nowhere", MODEL)
    cache.keep("Generate", {"a": Text("new")})
    assert cache.find(["a"]) == {}
    assert "cannot be written" in cache.warnings[0]
    cache.close()


def test_it_does_without_a_file_that_is_no_file_and_says_what_can_be_done(tmp_path):
    (tmp_path / NAME).mkdir()
    cache = ReplyCache(tmp_path, MODEL)
    cache.keep("Generate", {"a": Text("new")})
    assert cache.find(["a"]) == {}
    [told] = cache.warnings
    assert told.startswith(f"{tmp_path / NAME}: replies of the language model are not kept (unable to open")
    assert told.endswith("or delete what stands there; nothing but kept replies is lost with it")
    cache.close()


def test_the_size_and_the_models_are_told(cache, tmp_path):
    assert kept_replies(tmp_path / "nowhere") == {}
    for spec, weights, words in (("demo", "old", "ab"), ("demo", "new", "bc"), ("openai:big", "", "xyz")):
        model = ReplyCache(tmp_path, {"weights": weights}, spec)
        model.keep("Generate", {word: Text(word) for word in words})
        model.close()
    told = kept_replies(tmp_path)
    assert told["models"] == {"demo": 4, "openai:big": 3}
    assert told["bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_a_damaged_file_can_still_be_told_of(tmp_path):
    (tmp_path / NAME).write_bytes(b"nonsense " * 1000)
    assert kept_replies(tmp_path) == {"bytes": 9000, "unreadable": "file is not a database"}
