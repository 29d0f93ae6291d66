import threading
import time
from contextlib import closing

import pytest

from mmretrieval.lookahead import look_ahead


@pytest.mark.parametrize(("window", "threads"), [(1, 1), (3, 2), (50, 4)])
def test_results_come_in_the_order_of_the_items(window, threads):
    def work(number):
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(look_ahead(range(20), work, window, threads)) == [(n, n * n) for n in range(20)]


def test_no_more_than_the_window_is_worked_ahead():
    begun = []
    with closing(look_ahead(range(100), begun.append, 5, 2)) as results:
        for taken, _ in enumerate(results, start=1):
            assert len(begun) <= taken + 5
    assert sorted(begun) == list(range(100))


def test_an_error_comes_when_its_turn_comes():
    def work(number):
        if number == 2:
            raise ValueError("two")
        return number

    seen = []
    with pytest.raises(ValueError, match="two"):
        seen.extend(result for _, result in look_ahead(range(5), work, 4, 2))
    assert seen == [0, 1]


def test_closing_early_leaves_no_thread_behind():
    before = threading.active_count()
    with closing(look_ahead(range(1000), lambda number: number, 8, 4)) as results:
        next(results)
    assert threading.active_count() == before


def test_nothing_to_do():
    assert list(look_ahead([], str, 4)) == []
