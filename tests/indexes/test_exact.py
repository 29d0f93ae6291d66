"""What is special about exact search: how it reads the rows."""

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import InvalidData
from mmretrieval.indexes._scan import Span, among, one_by_one, together
from mmretrieval.indexes.exact import Exact


@given(
    n=st.integers(1, 80),
    dead=st.integers(0, 30),
    dim=st.integers(1, 40),
    block=st.integers(1, 30),
    top_k=st.integers(1, 90),
    seed=st.integers(0, 9999),
    copies=st.integers(0, 40),
    share=st.sampled_from([None, 0.0, 0.01, 0.2, 1.0]),
)
def test_both_ways_of_reading_give_what_a_plain_sort_gives(n, dead, dim, block, top_k, seed, copies, share):
    rng = np.random.default_rng(seed)
    matrix = random_unit(n, dim, seed)
    matrix[rng.integers(0, n, copies)] = matrix[rng.integers(0, n, copies)]
    rows = MemoryRows(matrix, block=block, seed=seed, dead=dead)
    mask = None if share is None else rng.random(n) < share
    query = random_unit(1, dim, seed + 1)
    expected = slow_search(rows, query[0], top_k, None if mask is None else np.flatnonzero(mask))
    for positions, scores in (
        one_by_one(rows, query[0], top_k, Span(0, mask)),
        together(rows, query, top_k, Span(0, mask))[0],
    ):
        assert (positions.tolist(), scores.tolist()) == expected


@given(first=st.integers(0, 60), seed=st.integers(0, 999))
def test_a_scan_may_start_behind_some_slots(first, seed):
    rows = MemoryRows(random_unit(50, 8, seed), seed=seed, dead=10)
    behind = [position for position in range(50) if rows.slots([position])[0] >= first]
    query = random_unit(1, 8, seed + 1)
    expected = slow_search(rows, query[0], 5, behind)
    for positions, scores in (one_by_one(rows, query[0], 5, Span(first)), together(rows, query, 5, Span(first))[0]):
        assert (positions.tolist(), scores.tolist()) == expected


def test_many_near_ties_at_the_edge_are_fetched_until_the_result_is_certain():
    one = random_unit(1, 64)
    rows = MemoryRows(np.concatenate([np.repeat(one, 300, axis=0), random_unit(200, 64, seed=2)]))
    assert one_by_one(rows, one[0], 5, Span())[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 40])
def test_more_rows_than_are_looked_at_together(count):
    rows = MemoryRows(random_unit(40_000, 64), block=40_000, dead=100)
    queries = random_unit(count, 64, seed=1)
    for query, (positions, scores) in zip(queries, Exact(rows).search(queries, 10), strict=True):
        exact = rows.matrix.astype(np.float64) @ query.astype(np.float64)
        assert positions.tolist() == np.argsort(-exact, kind="stable")[:10].tolist()
        np.testing.assert_allclose(scores, exact[positions], rtol=1e-6)


def test_a_small_selection_is_fetched_without_reading_the_rest():
    rows = MemoryRows(random_unit(1000, 8))
    Exact(rows).search(random_unit(1, 8), 5, within=np.array([3, 50, 97]))
    assert rows.passes == 0


def test_more_queries_than_one_pass_takes():
    rows = MemoryRows(random_unit(50, 4))
    queries = random_unit(2500, 4, seed=1)
    found = Exact(rows).search(queries, 1)
    fast = np.argmax(queries.astype(np.float64) @ rows.matrix.astype(np.float64).T, axis=1)
    assert [int(positions[0]) for positions, _ in found] == fast.tolist()


def test_a_stored_row_that_is_not_finite_is_named_instead_of_lost():
    matrix = random_unit(20, 4)
    matrix[13, 2] = np.nan
    with pytest.raises(InvalidData, match="position 13 is not finite"):
        Exact(MemoryRows(matrix)).search(random_unit(1, 4), 3)


@given(n=st.integers(1, 120), top_k=st.integers(1, 40), seed=st.integers(0, 999), copies=st.integers(0, 110))
def test_the_best_among_some_rows_are_those_of_a_plain_sort(n, top_k, seed, copies):
    rng = np.random.default_rng(seed)
    matrix = random_unit(n, 24, seed)
    matrix[rng.integers(0, n, copies)] = matrix[rng.integers(0, n, copies)]
    rows = MemoryRows(matrix, seed=seed, dead=5)
    some = rng.permutation(n)[: rng.integers(1, n + 1)]
    query = random_unit(1, 24, seed + 1)[0]
    positions, scores = among(rows, rows.slots(some), query, top_k)
    assert (positions.tolist(), scores.tolist()) == slow_search(rows, query, top_k, some)
