"""What stages did over many queries, added up."""

import pytest

from mmretrieval.evaluation.summed import summed
from mmretrieval.types import Query, Ranking, Step


def ranking(*steps):
    return Ranking(Query(text="a"), steps=steps)


def test_costs_are_added_up_and_statuses_counted():
    first = Step("grid", 0.5, "ok", calls=2, cached=1, tokens=10, moved=3, parsed={"ok": 2}, tau=0.5, flips=0.25)
    other = Step("grid", 0.25, "partial", calls=1, tokens=5, parsed={"ok": 1, "failed": 1}, tau=1.0)
    [dense, grid] = summed([ranking(Step("dense", 1.0), first), ranking(Step("dense", 2.0), other)])
    assert (dense["name"], dense["queries"], dense["seconds"], dense["tau"]) == ("dense", 2, 3.0, None)
    assert grid == {
        "name": "grid",
        "queries": 2,
        "status": {"ok": 1, "partial": 1},
        "seconds": 0.75,
        "calls": 3,
        "cached": 1,
        "tokens": 15,
        "moved": 3,
        "parsed": {"ok": 3, "failed": 1},
        "tau": pytest.approx(0.75),
        "flips": 0.25,
    }


def test_a_stage_that_comes_twice_has_two_entries():
    steps = [Step("grid", calls=1), Step("grid", calls=5)]
    assert [each["calls"] for each in summed([ranking(*steps), ranking(*steps)])] == [2, 10]
    assert summed([]) == []
