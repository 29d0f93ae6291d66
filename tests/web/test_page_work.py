"""A long call in the background: what it tells, how it is stopped, and how it fails."""

from threading import Event

import pytest

from mmretrieval.web.page.work import Work

PATIENCE = 20.0


def test_what_was_told_last_is_seen_and_the_result_waited_for():
    def call(tell, stopped):
        for number in range(5):
            tell(number)
        return "done"

    work = Work(call)
    seen = list(work.watch(PATIENCE))
    assert seen[-1] == 4
    assert work.result() == "done"
    assert work.is_over
    work.stop()
    assert not work.was_stopped


def test_a_stop_reaches_the_call_which_still_gives_what_it_has():
    begun = Event()

    def call(tell, stopped):
        tell("begun")
        begun.set()
        while not stopped():
            Event().wait(0.001)
        return "the best so far"

    work = Work(call)
    assert begun.wait(PATIENCE)
    assert not work.was_stopped
    work.stop()
    assert work.result() == "the best so far"
    assert work.was_stopped
    assert list(work.watch(PATIENCE)) == ["begun"]


def test_an_error_is_raised_where_the_result_is_asked_for():
    def call(tell, stopped):
        raise ValueError("the reason")

    work = Work(call)
    assert list(work.watch(PATIENCE)) == [None]
    with pytest.raises(ValueError, match="the reason"):
        work.result()


def test_a_watcher_hears_now_and_then_even_if_nothing_is_told():
    go = Event()
    work = Work(lambda tell, stopped: go.wait(PATIENCE))
    watched = work.watch(0.001)
    assert [next(watched), next(watched), next(watched)] == [None, None, None]
    go.set()
    assert work.result() is True


def test_many_may_watch_one_call():
    go = Event()

    def call(tell, stopped):
        tell("first")
        go.wait(PATIENCE)
        tell("second")
        return 1

    work = Work(call)
    one, two = work.watch(PATIENCE), work.watch(PATIENCE)
    assert {next(one), next(two)} <= {"first", None}
    go.set()
    assert (list(one)[-1], list(two)[-1]) == ("second", "second")
