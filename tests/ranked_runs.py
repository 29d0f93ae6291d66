"""A reranker run on candidates that stand in any order, through the pipeline."""

import random

from example_stages import Listing
from looking_models import Coloured

from mmretrieval.pipeline import Pipeline
from mmretrieval.types import Hit, Query, Ranking

WORDS = Query("q", text="a red bowl, a fork and two eggs")


class Drawn(Listing):
    """The collection's records in the order of these numbers."""

    def __init__(self, collection, order):
        super().__init__(collection)
        self.order = order

    def search(self, queries, top_k):
        hits = [Hit(f"img{n}", self.name, -float(rank), f"img{n}.png") for rank, n in enumerate(self.order)]
        return [Ranking(query, tuple(hits[:top_k])) for query in queries]


def run(stage, mllm, count, query=WORDS, order=None, collection=None):
    """The ranking, and the numbers of its records in order."""
    collection = collection or Coloured(max(count, 1))
    first = Drawn(collection, list(range(count)) if order is None else order)
    [ranking] = Pipeline([first, stage], mllm, collection).search([query], max(count, 1))
    return ranking, [int(hit.id.removeprefix("img")) for hit in ranking.hits]


def shuffled(count, seed=1):
    """The numbers below `count` in an order that is always the same."""
    order = list(range(count))
    random.Random(f"{count}:{seed}").shuffle(order)
    return order
