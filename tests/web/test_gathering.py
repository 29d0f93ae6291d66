"""Searches that wait for each other run together, and each gets its own answer or its own error."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmretrieval.web.gathering import Gathering

PATIENCE = 30.0


class Doubling:
    """Doubles numbers; the first run lasts until the gate is opened, and negative numbers are refused."""

    def __init__(self) -> None:
        self.runs: list[tuple[Hashable, list[int]]] = []
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self, key: Hashable, jobs: Sequence[int]) -> list[int]:
        self.runs.append((key, list(jobs)))
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        if any(job < 0 for job in jobs):
            raise ValueError(f"{min(jobs)} is below zero")
        return [2 * job for job in jobs]


def in_line(gathering: Gathering[int, int], key: Hashable) -> int:
    return len(gathering._lines.get(key, ()))


def wait_for(reached) -> None:
    for _ in range(int(PATIENCE / 0.005)):
        if reached():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come so far")


def held(work: Doubling, jobs: Sequence[int], **settings):
    """The futures of a first job, which holds the run, and of more that wait behind it."""
    gathering, pool = Gathering(work, **settings), ThreadPoolExecutor(len(jobs))
    futures = [pool.submit(gathering, "k", jobs[0])]
    assert work.begun.wait(PATIENCE)
    for count, job in enumerate(jobs[1:], start=1):
        futures.append(pool.submit(gathering, "k", job))
        wait_for(lambda count=count: in_line(gathering, "k") == count)
    work.gate.set()
    return gathering, futures


def test_what_comes_during_a_run_runs_together_and_each_gets_its_own_answer():
    work = Doubling()
    gathering, futures = held(work, [1, 2, 3, 4])
    assert [one.result(PATIENCE) for one in futures] == [2, 4, 6, 8]
    assert work.runs == [("k", [1]), ("k", [2, 3, 4])]
    assert gathering("k", 5) == 10
    assert work.runs[-1] == ("k", [5])


def test_a_run_takes_no_more_than_the_most():
    work = Doubling()
    _, futures = held(work, [1, 2, 3, 4, 5, 6], most=2)
    assert [one.result(PATIENCE) for one in futures] == [2, 4, 6, 8, 10, 12]
    assert [jobs for _, jobs in work.runs] == [[1], [2, 3], [4, 5], [6]]


def test_an_error_hits_only_the_job_it_belongs_to():
    work = Doubling()
    _, futures = held(work, [1, 2, -3, 4])
    assert [futures[number].result(PATIENCE) for number in (0, 1, 3)] == [2, 4, 8]
    with pytest.raises(ValueError, match="-3 is below zero"):
        futures[2].result(PATIENCE)
    assert [jobs for _, jobs in work.runs] == [[1], [2, -3, 4], [2], [-3], [4]]


def test_other_keys_do_not_wait():
    work = Doubling()
    gathering = Gathering(work)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(gathering, key, job) for key, job in (("a", 1), ("b", 2))]
        wait_for(lambda: len(work.runs) == 2)
        work.gate.set()
        assert [one.result(PATIENCE) for one in futures] == [2, 4]
    assert sorted(work.runs) == [("a", [1]), ("b", [2])]


def test_many_threads_all_get_their_answers():
    work = Doubling()
    work.gate.set()
    gathering = Gathering(work, most=7)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(lambda n: gathering(n % 3, n), range(2_000))) == [2 * n for n in range(2_000)]
    assert sorted(job for _, jobs in work.runs for job in jobs) == list(range(2_000))
    assert gathering._lines == {}
