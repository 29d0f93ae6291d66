"""The exit status of a stage that failed is that of what it failed of."""

import pytest

from mmretrieval.cli.failures import explain
from mmretrieval.errors import MissingPrerequisite, MMRetrievalError, NotFound


@pytest.mark.parametrize(("cause", "code"), [(MissingPrerequisite("x"), 3), (NotFound("x"), 4), (ValueError("x"), 6)])
def test_a_stage_exits_with_the_status_of_its_cause(cause, code):
    with pytest.raises(MMRetrievalError) as caught:
        raise MMRetrievalError("'stage' failed") from cause
    assert explain(caught.value) == ("'stage' failed", code)
    assert explain(NotFound("x"))[1] == 4
