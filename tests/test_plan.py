import pytest

from mmretrieval.ledger import LOOK_AGAIN
from mmretrieval.plan import provable

NOW = 1_700_000_000_123_456_789
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("mtime_ns", "proves"),
    [
        (NOW - 60 * SECOND, True),
        (NOW - SECOND, True),
        (NOW - SECOND // 100, False),
        (NOW, False),
        (NOW + 10 * SECOND, False),
        (NOW + 86_400 * SECOND, True),
        (NOW // SECOND * SECOND, False),
        (NOW // SECOND * SECOND - SECOND, False),
        (NOW // SECOND * SECOND - 3 * SECOND, True),
    ],
    ids=[
        "a minute old",
        "a second old",
        "within a tick",
        "now",
        "a server's clock runs ahead",
        "set by hand to tomorrow",
        "whole second, this one",
        "whole second, the last one",
        "whole second, three ago",
    ],
)
def test_a_time_of_change_proves_only_what_a_later_change_would_not_repeat(mtime_ns, proves):
    assert provable(mtime_ns, NOW) == (mtime_ns if proves else LOOK_AGAIN)
