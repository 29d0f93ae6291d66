"""A budget is never exceeded, whatever asks at once, and says why it ends."""

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.budget import Budget
from mmretrieval.errors import UsageError


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_without_limits_everything_is_granted():
    granted = Budget().grant([5, 6])
    assert (granted.count, granted.reason) == (2, "")


def test_calls_end_exactly_at_the_limit():
    budget = Budget(max_calls=5)
    first = budget.grant([1, 1, 1])
    budget.settle(first, calls=3, tokens=30)
    assert budget.grant([1, 1, 1]).count == 2
    assert (budget.calls, budget.tokens) == (3, 30)


def test_calls_that_were_not_made_may_be_made_later():
    budget = Budget(max_calls=2)
    budget.settle(budget.grant([1, 1]), calls=0, tokens=0)
    assert budget.grant([1, 1]).count == 2


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"max_calls": 0}, "the budget of 0 calls is spent"), ({"max_seconds": 0}, "the budget of 0 seconds is spent")],
)
def test_a_budget_of_nothing_grants_nothing(limits, told):
    assert (Budget(**limits).grant([1]).count, Budget(**limits).grant([1]).reason) == (0, told)


def test_seconds_run_from_the_first_ask_on():
    clock = Clock()
    budget = Budget(max_seconds=10, clock=clock)
    clock.now = 500
    assert (budget.deadline, budget.seconds_left) == (math.inf, 10)
    budget.settle(budget.grant([1]), calls=1, tokens=0)
    assert (budget.deadline, budget.seconds_left) == (510, 10)
    clock.now = 509.9
    budget.settle(budget.grant([1]), calls=1, tokens=0)
    clock.now = 510
    assert budget.seconds_left == 0
    assert budget.grant([1]).reason == "the budget of 10 seconds is spent"


def test_money_is_reserved_at_the_most_and_spent_as_told():
    budget = Budget(max_cost=1.0, price=1000.0)  # a thousand tokens in all
    first = budget.grant([600, 600])
    assert first.count == 1, "the second might not be paid for"
    budget.settle(first, calls=1, tokens=100)
    second = budget.grant([600, 300])
    assert second.count == 2
    budget.settle(second, calls=2, tokens=850)
    assert budget.cost == pytest.approx(0.95)
    last = budget.grant([60])
    assert (last.count, last.reason) == (
        0,
        "the budget of 1 for a price of 1000 per million tokens is spent, or would be by the next call",
    )


def test_a_limit_on_money_needs_a_price():
    with pytest.raises(UsageError, match=r"needs a price.*--price"):
        Budget(max_cost=1)
    assert Budget(price=2).cost == 0
    assert Budget().cost is None


@pytest.mark.parametrize("limits", [{"max_calls": -1}, {"max_seconds": float("nan")}, {"max_cost": -1, "price": 1}])
def test_a_limit_below_zero_is_refused(limits):
    with pytest.raises(UsageError, match="give a number that is not negative"):
        Budget(**limits)


@given(
    st.integers(0, 40),
    st.integers(0, 4000),
    st.lists(st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1)), min_size=1, max_size=6), max_size=12),
)
def test_no_order_of_asks_exceeds_calls_or_money(max_calls, tokens, rounds):
    budget = Budget(max_calls=max_calls, max_cost=tokens / 1e6, price=1.0)
    calls = spent = 0
    for asks in rounds:
        granted = budget.grant([most for most, _ in asks])
        took = sum(int(most * part) for most, part in asks[: granted.count])
        budget.settle(granted, calls=granted.count, tokens=took)
        calls, spent = calls + granted.count, spent + took
        assert bool(granted.reason) == (granted.count == 0)
    assert calls <= max_calls
    assert spent <= tokens
    assert (budget.calls, budget.tokens) == (calls, spent)


def test_many_threads_together_make_exactly_as_many_calls_as_allowed():
    budget = Budget(max_calls=333)

    def work(_):
        made = 0
        while (granted := budget.grant([1] * 7)).count:
            budget.settle(granted, calls=granted.count, tokens=granted.count)
            made += granted.count
        return made

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 333


def test_who_comes_second_waits_for_money_that_may_come_back():
    budget = Budget(max_cost=100 / 1e6, price=1.0)
    first = budget.grant([100])
    got, started = [], Event()

    def second():
        started.set()
        got.append(budget.grant([50]))

    thread = Thread(target=second)
    thread.start()
    started.wait()
    budget.settle(first, calls=1, tokens=20)
    thread.join(timeout=30)
    assert [each.count for each in got] == [1]
