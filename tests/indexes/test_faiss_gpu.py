"""The index by FAISS on a GPU, with FAISS's index on the CPU in place of the one on the GPU."""

import faiss
import numpy as np
import pytest
from example_rows import MemoryRows, random_unit, slow_search
from stand_in_gpu import StandInGpu

from mmretrieval.errors import MissingPrerequisite
from mmretrieval.indexes.faiss_gpu import FaissGpu


def test_without_a_gpu_it_says_what_to_install_and_what_else_to_use():
    if hasattr(faiss, "GpuIndexFlatIP") and faiss.get_num_gpus():
        pytest.skip("there is a GPU with a FAISS for it")
    with pytest.raises(MissingPrerequisite, match=r"mmretrieval\[gpu\].*--index-kind torch"):
        FaissGpu(MemoryRows(random_unit(5, 4)))


@pytest.mark.parametrize("top_k", [1, 10, 3000])
@pytest.mark.parametrize("share", [None, 0.9, 0.01, 0.0])
def test_results_equal_a_plain_sort(top_k, share):
    rows = MemoryRows(random_unit(2500, 16), dead=100, block=64)
    within = None if share is None else np.flatnonzero(np.random.default_rng(2).random(2500) < share)
    queries = random_unit(3, 16, seed=3) * np.float32(1000)
    for query, (positions, scores) in zip(queries, StandInGpu(rows).search(queries, top_k, within=within), strict=True):
        assert (positions.tolist(), scores.tolist()) == slow_search(rows, query, top_k, within)


def test_rows_nearer_to_each_other_than_half_precision_tells_are_ordered_right():
    centre = random_unit(1, 64)
    rows = MemoryRows(centre + np.random.default_rng(4).normal(size=(2000, 64)) * 2e-3)
    positions, scores = StandInGpu(rows).search(centre, 10)[0]
    assert (positions.tolist(), scores.tolist()) == slow_search(rows, centre[0], 10)
