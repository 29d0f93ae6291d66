"""Any index: the values of a brute force search over the same half-precision rows."""

import numpy as np
import pytest
from example_stages import MemoryRows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmretrieval.protocols import Index


def unit(matrix):
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def rows_of(size, dim=8, seed=0):
    return MemoryRows(unit(np.random.default_rng(seed).normal(size=(size, dim)) + 1e-3) if size else np.zeros((0, dim)))


def slow(rows, query, top_k, allowed):
    """Sorted in pure Python, with ties by position."""
    scored = [(-float(rows.take([place])[0].astype(np.float64) @ query), place) for place in allowed]
    return [(place, -score) for score, place in sorted(scored)[:top_k]]


def test_it_is_an_index_that_says_what_it_does(subject):
    assert issubclass(subject, Index)
    assert (subject.__doc__ or "").strip()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(size=st.integers(0, 40), count=st.integers(1, 3), top_k=st.integers(1, 50), seed=st.integers(0, 99))
def test_it_finds_what_brute_force_finds(make, size, count, top_k, seed):
    rows = rows_of(size, seed=seed)
    queries = unit(np.random.default_rng(seed + 1).normal(size=(count, 8)))
    for query, (positions, scores) in zip(queries, make(rows=rows).search(queries, top_k), strict=True):
        expected = slow(rows, query, top_k, range(size))
        assert positions.tolist() == [place for place, _ in expected]
        np.testing.assert_allclose(scores, [score for _, score in expected], atol=1e-5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    within=st.none() | st.sets(st.integers(0, 19)),
    exclude=st.none() | st.sets(st.integers(0, 19)),
    top_k=st.integers(1, 25),
)
def test_within_and_exclude_hold_exactly(make, within, exclude, top_k):
    rows = rows_of(20)
    query = unit(np.ones((1, 8)))
    arrays = {
        name: None if places is None else np.array(sorted(places), dtype=np.int64)
        for name, places in {"within": within, "exclude": exclude}.items()
    }
    allowed = (set(range(20)) if within is None else within) - (exclude or set())
    positions, _ = make(rows=rows).search(query, top_k, **arrays)[0]
    assert positions.tolist() == [place for place, _ in slow(rows, query[0], top_k, allowed)]


def test_equal_rows_come_in_the_order_of_their_positions(make):
    rows = MemoryRows(unit(np.tile([[1.0, 2.0, 3.0, 4.0]], (30, 1))))
    positions, scores = make(rows=rows).search(unit(np.ones((1, 4))), 7)[0]
    assert positions.tolist() == list(range(7))
    assert len(set(scores.tolist())) == 1


@pytest.mark.parametrize("top_k", [1, 10])
def test_an_empty_index_finds_nothing(make, top_k):
    [(positions, scores)] = make(rows=rows_of(0)).search(unit(np.ones((1, 8))), top_k)
    assert (positions.shape, scores.shape) == ((0,), (0,))


def test_types_are_as_promised(make):
    [(positions, scores)] = make(rows=rows_of(9)).search(unit(np.ones((1, 8))), 3)
    assert (positions.dtype, scores.dtype) == (np.int64, np.float32)


def test_the_queries_are_unchanged(make):
    queries = unit(np.random.default_rng(3).normal(size=(4, 8)))
    copy = queries.copy()
    make(rows=rows_of(9)).search(queries, 3)
    np.testing.assert_array_equal(queries, copy)


def test_a_kept_cache_gives_the_same_answer_again(make, tmp_path):
    rows, queries = rows_of(50), unit(np.random.default_rng(3).normal(size=(4, 8)))
    answers = [make(rows=rows, cache=tmp_path / "cache").search(queries, 6) for _ in range(2)]
    for (positions, scores), (again, scores_again) in zip(*answers, strict=True):
        np.testing.assert_array_equal(positions, again)
        np.testing.assert_array_equal(scores, scores_again)
