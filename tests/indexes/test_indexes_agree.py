"""Every index gives what a plain sort of exact sums gives: the same positions, the same scores, ties included."""

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search, unit
from hypothesis import given
from hypothesis import strategies as st
from stand_in_gpu import StandInGpu

from mmretrieval import registry
from mmretrieval.errors import InvalidData, UsageError

every_index = pytest.mark.parametrize("name", registry.names("indexes"))


def build(name, rows, cache=None):
    return StandInGpu(rows, cache) if name == "faiss_gpu" else registry.load("indexes", name)(rows, cache)


def assert_equal(found, rows, queries, top_k, within=None, exclude=None):
    assert len(found) == len(queries)
    for (positions, scores), query in zip(found, queries, strict=True):
        slow_positions, slow_scores = slow_search(rows, query, top_k, within, exclude)
        assert positions.tolist() == slow_positions
        assert scores.tolist() == slow_scores
        assert positions.dtype == np.int64
        assert scores.dtype == np.float32


@every_index
@given(
    n=st.integers(0, 60),
    dim=st.integers(1, 9),
    top_k=st.integers(1, 70),
    block=st.integers(1, 20),
    seed=st.integers(0, 10_000),
    copies=st.integers(0, 30),
    data=st.data(),
)
def test_results_equal_a_plain_sort(name, n, dim, top_k, block, seed, copies, data):
    matrix = random_unit(n, dim, seed)
    if n:  # duplicates at random places, so that ties cross the edges of blocks and of the result
        rng = np.random.default_rng(seed)
        matrix[rng.integers(0, n, copies)] = matrix[rng.integers(0, n, copies)]
    rows = MemoryRows(matrix, block=block, seed=seed)
    queries = random_unit(data.draw(st.integers(1, 4)), dim, seed + 1)
    some = st.none() | st.lists(st.integers(0, n - 1), max_size=n) if n else st.none()
    within, exclude = data.draw(some), data.draw(some)
    index = build(name, rows)
    chosen = [None if positions is None else np.array(positions, np.int64) for positions in (within, exclude)]
    for _ in range(3):  # later searches may answer from memory
        found = index.search(queries, top_k, within=chosen[0], exclude=chosen[1])
        assert_equal(found, rows, queries, top_k, within, exclude)


@every_index
def test_rows_closer_than_single_precision_can_tell_apart_are_ordered_right(name):
    """Around one direction the products differ in the last bits only; float32 sums alone would shuffle them."""
    rng = np.random.default_rng(5)
    dim, n = 64, 400
    centre = unit(rng.normal(size=dim))
    rows = MemoryRows(unit(centre + rng.normal(size=(n, dim)) * 2e-4), block=50)
    queries = np.stack([centre, unit(centre + rng.normal(size=dim) * 1e-3)])
    for top_k in (1, 10, 399):
        assert_equal(build(name, rows).search(queries, top_k), rows, queries, top_k)


@every_index
def test_equal_rows_get_equal_scores_and_stand_in_the_order_of_their_positions(name):
    rows = MemoryRows(np.repeat(random_unit(3, 33), 200, axis=0), block=64)
    query = random_unit(1, 33, seed=9)
    positions, scores = build(name, rows).search(query, 250)[0]
    assert len(set(scores.tolist())) == 2
    assert positions[:200].tolist() == sorted(positions[:200].tolist())
    assert_equal([(positions, scores)], rows, query, 250)


@every_index
def test_a_shorter_result_is_the_beginning_of_a_longer_one(name):
    rows = MemoryRows(np.repeat(random_unit(150, 16), 3, axis=0), block=40)
    queries = random_unit(5, 16, seed=2)
    index = build(name, rows)
    longer = index.search(queries, 50)
    for top_k in (1, 5, 49):
        for (positions, scores), (more, more_scores) in zip(index.search(queries, top_k), longer, strict=True):
            np.testing.assert_array_equal(positions, more[:top_k])
            np.testing.assert_array_equal(scores, more_scores[:top_k])


@every_index
def test_a_query_gets_the_same_answer_alone_and_among_others(name):
    rows = MemoryRows(random_unit(300, 24), block=64)
    queries = random_unit(40, 24, seed=1)
    index = build(name, rows)
    for query, (positions, scores) in zip(queries, index.search(queries, 7), strict=True):
        (alone, alone_scores) = index.search(query[None], 7)[0]
        np.testing.assert_array_equal(positions, alone)
        np.testing.assert_array_equal(scores, alone_scores)


@every_index
def test_the_length_of_a_query_scales_its_scores(name):
    rows = MemoryRows(random_unit(100, 8))
    query = random_unit(1, 8, seed=3)
    (one, scores), (ten, tenfold) = (build(name, rows).search(query * scale, 10)[0] for scale in (1, 8))
    np.testing.assert_array_equal(one, ten)
    np.testing.assert_array_equal(scores * 8, tenfold)


@every_index
def test_no_rows_and_nothing_allowed_give_empty_results(name):
    empty = build(name, MemoryRows(np.empty((0, 4)))).search(random_unit(2, 4), 5)
    assert [positions.tolist() for positions, _ in empty] == [[], []]
    index = build(name, MemoryRows(random_unit(9, 4)))
    for choice in ({"within": np.empty(0, np.int64)}, {"exclude": np.arange(9)}):
        ((positions, scores),) = index.search(random_unit(1, 4), 5, **choice)
        assert (positions.size, scores.size) == (0, 0)
    assert index.search(np.empty((0, 4), np.float32), 5) == []


@every_index
@pytest.mark.parametrize(
    ("queries", "message"),
    [([[1, 0, np.nan, 0]], "not finite"), ([[0, 0, 0, 0]], "zero"), ([[1, 0, 0]], "rows of 4")],
    ids=["nan", "zero", "dimension"],
)
def test_illegal_queries_are_refused(name, queries, message):
    with pytest.raises(InvalidData, match=message):
        build(name, MemoryRows(random_unit(9, 4))).search(np.array(queries, np.float32), 3)


@every_index
def test_illegal_requests_are_refused(name):
    index = build(name, MemoryRows(random_unit(9, 4)))
    with pytest.raises(UsageError, match="top_k is 0"):
        index.search(random_unit(1, 4), 0)
    with pytest.raises(InvalidData, match="within the 9 rows"):
        index.search(random_unit(1, 4), 3, within=np.array([9]))
