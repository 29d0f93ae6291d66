"""Kept rankings: what was done is not done again, a kill costs one part, a line cut off is no harm."""

import pytest

from mmretrieval.bench.running import run_all
from mmretrieval.types import Hit, Query, Ranking, Step


class Stops:
    """Ranks two ids; after so many calls it dies."""

    ids = ("a", "b")

    def __init__(self, calls=100):
        self.calls, self.asked = calls, []

    def search_all(self, queries, top_k):
        if not self.calls:
            raise KeyboardInterrupt
        self.calls -= 1
        self.asked += [query.id for query in queries]
        steps = (Step("fixed", 0.5, calls=2, tokens=3),)
        return [Ranking(q, (Hit("a", "x"), Hit("b", "x"))[:top_k], steps, (f"careful with {q.id}",)) for q in queries]


QUERIES = [Query(f"q{number}", "words") for number in range(150)]


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    file = tmp_path / "deep" / "run.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run_all(lambda: Stops(2), QUERIES, 2, file)
    second = Stops()
    found = run_all(lambda: second, QUERIES, 2, file)
    assert second.asked == [f"q{number}" for number in range(128, 150)]
    assert [each.query for each in found] == [query.id for query in QUERIES]
    assert found[3].ids == ("a", "b")
    assert found[3].warnings == ("careful with q3",)
    assert found[3].steps[0]["calls"] == 2
    assert "seconds" not in found[3].steps[0]


def test_a_run_that_is_done_opens_no_searcher(tmp_path):
    file = tmp_path / "run.jsonl"
    first = run_all(Stops, QUERIES[:3], 1, file)
    again = run_all(lambda: pytest.fail("opened"), QUERIES[:3], 1, file)
    assert again == first


def test_a_line_that_was_cut_off_is_done_again(tmp_path):
    file = tmp_path / "run.jsonl"
    whole = run_all(Stops, QUERIES[:3], 2, file)
    text = file.read_bytes()
    for cut in (1, 5, len(text.splitlines()[-1])):
        file.write_bytes(text[:-cut])
        searcher = Stops()
        found = run_all(lambda searcher=searcher: searcher, QUERIES[:3], 2, file)
        assert searcher.asked == ["q2"]
        assert [each.ids for each in found] == [each.ids for each in whole]
        assert file.read_bytes().count(b"\n") == 3


def test_a_reference_that_is_not_among_the_candidates_counts_nothing_and_is_told(tmp_path):
    lost = Query("lost", "but blue", image_id="gone")
    found = run_all(Stops, [lost, Query("here", "but blue", image_id="a")], 2, tmp_path / "run.jsonl")
    assert (found[0].ids, found[1].ids) == ((), ("a", "b"))
    assert "not among the candidates" in found[0].warnings[0]


def test_progress_is_told_for_what_is_left(tmp_path):
    seen = []
    run_all(Stops, QUERIES, 1, tmp_path / "run.jsonl", lambda *done: seen.append(done))
    assert seen == [(64, 150), (128, 150), (150, 150)]
