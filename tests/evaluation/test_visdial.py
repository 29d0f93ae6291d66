"""Dialogue measures, round by round."""

import pytest

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.visdial import Round, rank_of, rounds


def test_hits_never_fall_while_recall_may():
    ranks = {"d1": [12, 3, 40], "d2": [None, None, 10]}
    assert rounds(ranks, size=100) == [
        Round(0, recall=0, hits=0, mean_rank=56),
        Round(1, recall=0.5, hits=0.5, mean_rank=51.5),
        Round(2, recall=0.5, hits=1, mean_rank=25),
    ]


def test_dialogues_must_have_the_same_rounds_and_ranks_within_the_collection():
    with pytest.raises(InvalidData, match="cannot be measured round by round"):
        rounds({"d1": [1], "d2": [1, 2]}, size=9)
    with pytest.raises(InvalidData, match="'d1' has a rank outside of 1 to 9"):
        rounds({"d1": [10]}, size=9)
    with pytest.raises(InvalidData, match="cannot be measured"):
        rounds({}, size=9)


def test_the_rank_of_a_picture_counts_from_one():
    assert (rank_of(["a", "b"], "b"), rank_of(["a"], "b")) == (2, None)
