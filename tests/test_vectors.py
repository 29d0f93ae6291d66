"""Unit rows, top-k, blends and exact row scores, by value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval import vectors
from mmretrieval.errors import InvalidData

small_floats = st.floats(-1e3, 1e3, width=32)


def test_unit_rows_have_length_one_and_keep_their_direction():
    rows = np.array([[3.0, 4.0], [0.0, -1e-20], [1e30, 1e30]])
    unit = vectors.unit_rows(rows)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0], [math.sqrt(0.5)] * 2], rtol=1e-6)


def test_unit_rows_leave_their_argument_alone():
    rows = np.array([[3.0, 4.0]], dtype=np.float32)
    assert not np.shares_memory(vectors.unit_rows(rows), rows)
    np.testing.assert_array_equal(rows, [[3.0, 4.0]])


def test_no_rows_stay_no_rows():
    assert vectors.unit_rows(np.empty((0, 5))).shape == (0, 5)


@pytest.mark.parametrize(
    ("row", "state"),
    [([0.0, 0.0], "zero"), ([np.nan, 1.0], "not finite"), ([np.inf, 1.0], "not finite")],
    ids=["zero", "nan", "infinite"],
)
def test_a_row_without_direction_is_named(row, state):
    with pytest.raises(InvalidData, match=f"row 2 is {state}"):
        vectors.unit_rows([[1.0, 0.0], [0.0, 1.0], row])


def test_a_single_vector_is_no_table():
    with pytest.raises(InvalidData, match="table of rows"):
        vectors.unit_rows(np.ones(3))


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0]) | small_floats, max_size=60), st.integers(0, 70))
def test_top_k_is_a_plain_sort_by_score_then_position(scores, k):
    slow = sorted(range(len(scores)), key=lambda position: (-scores[position], position))[:k]
    assert vectors.top_k(scores, k).tolist() == slow


@pytest.mark.parametrize("dim", [24, 256, 768, 1152])
def test_half_rows_have_length_one_and_stay_where_they_were(dim):
    rows = vectors.unit_rows(np.random.default_rng(dim).normal(size=(300, dim)))
    half = vectors.half_rows(rows)
    assert half.dtype == np.float16
    lengths = np.linalg.norm(half.astype(np.float64), axis=1)
    assert np.abs(lengths - 1).max() < 2e-6
    assert np.abs(np.linalg.norm(rows.astype(np.float16).astype(np.float64), axis=1) - 1).max() > 2e-5
    assert np.linalg.norm(half - rows, axis=1).max() < 1e-3
    assert ((half.astype(np.float64) * rows).sum(axis=1) > 1 - 1e-6).all()


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 1000))
def test_a_half_row_does_not_depend_on_its_neighbours(dim, n, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, dim)) * (rng.random((n, dim)) < 0.7) + (np.arange(dim) == 0)
    together = vectors.half_rows(rows)
    for row, half in zip(rows, together, strict=True):
        np.testing.assert_array_equal(vectors.half_rows(row[None])[0], half)


def test_a_stored_row_is_nearest_to_itself_among_near_copies():
    rng = np.random.default_rng(0)
    one = vectors.unit_rows(rng.normal(size=(1, 256)))
    copies = vectors.unit_rows(one + rng.normal(size=(2000, 256)) * 2e-4)  # cosines of about 0.99999
    stored = vectors.half_rows(copies)
    for number in range(0, 2000, 100):
        assert vectors.top_k(vectors.row_scores(stored, copies[number]), 1) == [number]


def test_half_rows_of_few_numbers_never_get_worse_than_plain_rounding():
    for dim in range(1, 9):
        rows = vectors.unit_rows(np.random.default_rng(dim).normal(size=(200, dim)))
        ours, plain = (
            np.abs((half.astype(np.float64) ** 2).sum(axis=1) - 1)
            for half in (vectors.half_rows(rows), rows.astype(np.float16))
        )
        assert (ours <= plain).all()
    assert vectors.half_rows(np.empty((0, 3))).shape == (0, 3)
    np.testing.assert_array_equal(vectors.half_rows([[2.0, 0.0, 0.0]]), [[1.0, 0.0, 0.0]])


def test_top_k_refuses_scores_that_are_no_numbers():
    with pytest.raises(InvalidData, match="not a number"):
        vectors.top_k([0.1, np.nan], 1)


@given(st.integers(1, 33), st.integers(1, 40), st.integers(0, 1000))
def test_row_scores_are_exact_sums_and_depend_on_the_row_alone(dim, n, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, dim)).astype(np.float16)
    query = rng.normal(size=dim).astype(np.float32)
    scores = vectors.row_scores(rows, query)
    for row, score in zip(rows, scores, strict=True):
        exact = math.fsum(float(a) * float(b) for a, b in zip(row, query, strict=True))
        assert score == pytest.approx(exact, rel=1e-6, abs=1e-9)
        assert vectors.row_scores(row[None], query)[0] == score


def test_row_scores_are_the_same_in_any_layout_and_precision_that_holds_the_row():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(9001, 129)).astype(np.float16)
    query = rng.normal(size=129).astype(np.float32)
    scores = vectors.row_scores(rows, query)
    np.testing.assert_array_equal(vectors.row_scores(rows.astype(np.float32), query), scores)
    np.testing.assert_array_equal(vectors.row_scores(rows[::-1], query)[::-1], scores)
    np.testing.assert_array_equal(vectors.row_scores(np.repeat(rows[5:6], 5000, axis=0), query), scores[5])
    assert vectors.row_scores(rows[:0], query).shape == (0,)


@given(st.integers(2, 600), st.integers(0, 10_000))
def test_the_margin_covers_the_rounding_of_a_fast_product(dim, seed):
    rng = np.random.default_rng(seed)
    rows = vectors.unit_rows(rng.normal(size=(50, dim)) + 5).astype(np.float16)
    query = (rng.normal(size=dim) * 3 + 5).astype(np.float32)
    fast = rows.astype(np.float32) @ query
    assert np.abs(fast - vectors.row_scores(rows, query)).max() <= vectors.margin(query)


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        (np.ones(4), "rows of 4"),
        (np.ones((1, 3)), "rows of 4"),
        ([[1, 1, 1, 1], [0, 0, 0, 0]], "query vector 1 is zero"),
        ([[1, np.nan, 1, 1]], "query vector 0 is not finite"),
    ],
    ids=["one-dimensional", "wrong dim", "zero", "nan"],
)
def test_illegal_queries_are_named(queries, message):
    with pytest.raises(InvalidData, match=message):
        vectors.legal_queries(queries, 4)


def test_allowed_marks_within_without_exclude():
    assert vectors.allowed(4, None, None) is None
    assert vectors.allowed(4, None, []) is None
    assert vectors.allowed(4, None, [1]).tolist() == [True, False, True, True]
    assert vectors.allowed(4, [1, 2, 2], [2, 3]).tolist() == [False, True, False, False]
    assert vectors.allowed(4, [], None).tolist() == [False] * 4
    with pytest.raises(InvalidData, match="within the 4 rows"):
        vectors.allowed(4, None, [-1])
