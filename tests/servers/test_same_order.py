"""A search through a real server: the same weights put the same pictures into the same order as in this process.

For `grid` this holds with cells of whole strides, as they are unless asked for otherwise. A sheet of other cells is
squashed to the size of one picture, and so is every sheet when vLLM runs without --trust-request-mm-kwargs; that is
warned of, and nothing is promised for its order.
"""

import pytest
from example_stages import Listing, MemoryCollection

from mmretrieval.demo.sample import sample
from mmretrieval.pipeline import Pipeline
from mmretrieval.specs import make
from mmretrieval.types import Query

pytestmark = pytest.mark.servers

SPECS = (
    "pointwise:depth=9",
    "listwise:depth=9",
    "cotrr:depth=5",
    "cotrr:depth=5,mode=direct",
    "groupwise:depth=9",
    "first_token:depth=9",
    "setwise:depth=9",
    "grid:depth=9",
    "grid:depth=9,columns=2,rows=2",
    "grid:depth=9,answer=order",
)
QUERIES = [
    Query("words", text="a picture of two eggs and rice on a red plate"),
    Query("change", text="with chopsticks", image_id="img9", exclude=frozenset({"img9"})),
]


class Drawn(MemoryCollection):
    """Ten pictures of the drawn world."""

    def open_image(self, record_id):
        return sample(515, self.ids.index(record_id)).render(96)


def found(spec, mllm):
    collection = Drawn(10)
    stages = [Listing(collection), make("rerankers", spec)]
    return Pipeline(stages, mllm, collection).search(QUERIES, 9)


@pytest.mark.parametrize("spec", SPECS)
def test_the_order_through_a_server_is_the_one_of_this_process(spec, vllm, here):
    """Hits whose scores differ by less than the servers' rounding may change places, and no others."""
    for far, near in zip(*(found(spec, model) for model in (vllm, here)), strict=True):
        assert far.steps[-1].calls == near.steps[-1].calls > 0
        assert far.steps[-1].parsed == near.steps[-1].parsed
        score = {hit.id: hit.score for hit in near.hits}
        assert sorted(score) == sorted(far.ids)
        assert [score[name] for name in far.ids] == pytest.approx([hit.score for hit in near.hits], abs=0.02)
