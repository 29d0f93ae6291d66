"""What is special about the index by torch: its blocks, and what a device rounds."""

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search

from mmretrieval.errors import InvalidData
from mmretrieval.indexes.torch import Torch


def test_more_queries_and_rows_than_one_block_takes():
    rows = MemoryRows(random_unit(70_000, 8), block=70_000, dead=5)
    queries = random_unit(300, 8, seed=1)
    for query, (positions, _) in list(zip(queries, Torch(rows).search(queries, 5), strict=True))[::37]:
        exact = rows.matrix.astype(np.float64) @ query.astype(np.float64)
        assert positions.tolist() == np.argsort(-exact, kind="stable")[:5].tolist()


@pytest.mark.parametrize("share", [0.5, 0.01, 0.0])
def test_dead_rows_and_forbidden_ones_never_come_back(share):
    rows = MemoryRows(random_unit(500, 16), dead=100, block=64)
    within = np.flatnonzero(np.random.default_rng(2).random(500) < share)
    query = random_unit(1, 16, seed=3)
    positions, scores = Torch(rows).search(query, 20, within=within)[0]
    assert (positions.tolist(), scores.tolist()) == slow_search(rows, query[0], 20, within)


def test_many_near_ties_at_the_edge_are_fetched_until_the_result_is_certain():
    one = random_unit(1, 64)
    rows = MemoryRows(np.concatenate([np.repeat(one, 900, axis=0), random_unit(200, 64, seed=2)]))
    assert Torch(rows).search(one, 5)[0][0].tolist() == [0, 1, 2, 3, 4]


def test_products_rounded_to_half_precision_still_give_the_exact_result():
    """As on a GPU, which rounds query and products: rows that lie within a thousandth are told apart by refining."""
    rng = np.random.default_rng(4)
    centre = random_unit(1, 64)
    rows = MemoryRows(centre + rng.normal(size=(2000, 64)) * 2e-3)
    index = Torch(rows, device="cpu")
    index._is_half = True
    queries = np.concatenate([centre * 1000, random_unit(3, 64, seed=7)]).astype(np.float32)
    for query, (positions, scores) in zip(queries, index.search(queries, 10), strict=True):
        assert (positions.tolist(), scores.tolist()) == slow_search(rows, query, 10)


def test_a_stored_row_that_is_not_finite_is_named():
    matrix = random_unit(20, 4)
    matrix[13, 2] = np.nan
    with pytest.raises(InvalidData, match="position 13 is not finite"):
        Torch(MemoryRows(matrix)).search(random_unit(1, 4), 3)
