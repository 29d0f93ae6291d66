"""Batches: as large as there is room for, of one kind, smaller once memory has run out."""

import logging
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.mllms._memory import Room, TimeIsUp, in_batches


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


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 100), st.integers(0, 8))
def test_no_batch_begins_after_the_deadline_and_what_was_done_stays(sizes, most, whole):
    """The deadline passes during the batch number `whole`, counted from 1; 0 is before the first."""
    room, batches = Room(most), []
    room.deadline = -math.inf if not whole else math.inf

    def run(batch):
        batches.append(batch)
        if len(batches) == whole:
            room.deadline = -math.inf
        return batch

    results = in_batches(sizes, [0] * len(sizes), room, run)
    done = {at for batch in batches for at in batch}
    assert len(batches) <= whole
    assert [result for at, result in enumerate(results) if at in done] == sorted(done)
    assert all(isinstance(results[at], TimeIsUp) and not results[at].begun for at in set(range(len(sizes))) - done)
