"""What is special about the exact index: how it reads the rows."""

import numpy as np
import pytest
from example_rows import MemoryRows, random_unit

from mmretrieval.errors import InvalidData
from mmretrieval.indexes.exact import Exact


def test_rows_are_read_once_more_and_then_kept():
    rows = MemoryRows(random_unit(100, 8))
    index = Exact(rows)
    answers = [index.search(random_unit(1, 8, seed=4), 5)[0][0].tolist() for _ in range(4)]
    assert rows.passes == 2
    assert answers == [answers[0]] * 4


def test_rows_that_would_take_too_much_memory_are_read_every_time():
    rows = MemoryRows(random_unit(100, 8))
    index = Exact(rows, keep_bytes=100 * 8 * 4 - 1)
    for _ in range(3):
        index.search(random_unit(1, 8), 5)
    assert rows.passes == 3


def test_a_small_selection_is_fetched_without_reading_the_rest():
    rows = MemoryRows(random_unit(100, 8))
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
