"""float16 becomes float32 exactly, with torch and without it, whatever the sizes of the blocks."""

import sys

import numpy as np
import pytest

from mmretrieval.indexes._widening import Widener


@pytest.fixture(params=["with torch", "without torch"])
def way(request, monkeypatch):
    pytest.importorskip("torch")
    if request.param == "without torch":
        monkeypatch.delitem(sys.modules, "torch")


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("most", "blocks"), [(8192, [8192, 1]), (5000, [5000, 2049, 0, 3]), (1, [1, 1])])
def test_every_number_is_the_same_in_every_block(most, blocks):
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)  # infinities and what is no number, too
    widen, dim = Widener(most, 16), 16
    for number, count in enumerate(blocks):
        block = np.resize(np.roll(every, number), (count, dim))
        block.flags.writeable = False  # as a mapped file is
        wide = widen(block)
        assert wide.dtype == np.float32
        assert np.array_equal(wide, block.astype(np.float32), equal_nan=True)
