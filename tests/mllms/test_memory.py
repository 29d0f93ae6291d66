"""Batches: as large as there is room for, of one kind, smaller once memory has run out."""

import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.mllms._memory import Room, in_batches


@given(
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from("abc")), max_size=30),
    st.integers(1, 200),
    st.integers(1, 200),
)
def test_each_member_gets_its_own_result_whatever_the_room(members, most, truly):
    """A machine that holds `truly` numbers at once, under a limit that may promise more."""
    sizes, kinds = [size for size, _ in members], [kind for _, kind in members]
    room, batches = Room(most), []

    def run(batch):
        width = max(sizes[at] for at in batch)
        assert len(batch) == 1 or width * len(batch) <= room.most
        assert len({kinds[at] for at in batch}) == 1
        if width * len(batch) > truly:
            raise torch.OutOfMemoryError("CUDA out of memory")
        batches.append(batch)
        return [f"result {at}" for at in batch]

    results = in_batches(sizes, kinds, room, run)
    for at, result in enumerate(results):
        if sizes[at] <= truly:
            assert result == f"result {at}"
        else:
            assert isinstance(result, torch.OutOfMemoryError)
    assert sorted(at for batch in batches for at in batch) == [at for at, size in enumerate(sizes) if size <= truly]


def test_what_memory_allowed_is_remembered(caplog):
    room, tried = Room(64), []

    def run(batch):
        tried.append(len(batch))
        if len(batch) > 16:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        return batch

    caplog.set_level(logging.WARNING, "mmretrieval")
    in_batches([1] * 64, ["one"] * 64, room, run)
    in_batches([1] * 64, ["one"] * 64, room, run)
    assert tried == [64, 32, 16, 16, 16, 16, 16, 16, 16, 16]
    assert "memory ran out with a batch of 64; from now on at most 32 go together" in caplog.text


def test_a_bad_member_fails_alone():
    def run(batch):
        if 3 in batch:
            raise ValueError("three is bad")
        return [at * 10 for at in batch]

    results = in_batches([1] * 5, [0] * 5, Room(100), run)
    assert results[:3] + results[4:] == [0, 10, 20, 40]
    with pytest.raises(ValueError, match="three is bad"):
        raise results[3]


def test_the_largest_come_first_so_that_a_lack_of_memory_shows_early():
    seen = []
    in_batches([3, 9, 5], [0] * 3, Room(9), lambda batch: seen.append(batch) or batch)
    assert seen == [[1], [2], [0]]
