"""What the model thinks and the order before, joined: against a slow twin and the promises that are made of it."""

import math
import statistics

import pytest
from example_stages import MemoryCollection
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.rerankers._blend import ALL_ALIKE, blended, checked_alpha, falling
from mmretrieval.stages import Candidate
from mmretrieval.types import Hit

VALUES = st.lists(st.none() | st.floats(-50, 50).map(lambda x: round(x, 3)), min_size=1, max_size=12)
JOINS = st.sampled_from(["z", "rrf"])


def offered(scores, by="first"):
    """Candidates in the order of their scores; None where the stage gave an order alone."""
    collection = MemoryCollection(len(scores))
    names = by if isinstance(by, list) else [by] * len(scores)
    hits = [Hit(f"img{n}", names[n], score) for n, score in enumerate(scores)]
    return [Candidate(collection.record(hit.id), hit, collection) for hit in hits]


def places(reranked):
    return [int(hit.id[3:]) for hit in reranked.hits]


def z(values):
    spread = statistics.pstdev(values)
    return [(value - statistics.fmean(values)) / spread if spread > 1e-9 else 0.0 for value in values]


def test_z_scores_of_both_are_added_by_alpha():
    before, values = [0.9, 0.7, 0.6, 0.1], [1.0, 5.0, 2.0, 2.5]
    reranked = blended("model", offered(before), values, alpha=0.7)
    slow = [0.7 * mine + 0.3 * older for mine, older in zip(z(values), z(before), strict=True)]
    assert places(reranked) == sorted(range(4), key=lambda place: -slow[place])
    assert [hit.score for hit in reranked.hits] == pytest.approx(sorted(slow, reverse=True))


def test_reciprocal_ranks_of_both_are_added_by_alpha():
    reranked = blended("model", offered([0.9, 0.7, 0.6]), [1.0, 5.0, 2.0], alpha=0.5, join="rrf")
    slow = {0: 0.5 / 63 + 0.5 / 61, 1: 0.5 / 61 + 0.5 / 62, 2: 0.5 / 62 + 0.5 / 63}
    assert places(reranked) == sorted(slow, key=lambda place: -slow[place])
    assert {int(hit.id[3:]): hit.score for hit in reranked.hits} == pytest.approx(slow)


@given(VALUES, st.floats(0, 1), JOINS)
def test_every_candidate_comes_back_once_with_scores_that_add_up(values, alpha, join):
    candidates = offered([1.0 / (n + 1) for n in range(len(values))])
    reranked = blended("model", candidates, values, alpha=alpha, join=join)
    assert sorted(places(reranked)) == list(range(len(values)))
    scores = [hit.score for hit in reranked.hits]
    assert scores == sorted(scores, reverse=True)
    for hit in reranked.hits:
        assert hit.by == "model"
        assert math.fsum(hit.scores.values()) == pytest.approx(hit.score, abs=1e-12)


@given(st.floats(-1e6, 1e6) | st.none(), st.integers(0, 12), st.floats(0, 1), JOINS)
def test_a_model_that_thinks_the_same_of_all_changes_nothing(value, count, alpha, join):
    reranked = blended("model", offered([-float(n) for n in range(count)]), [value] * count, alpha=alpha, join=join)
    assert places(reranked) == list(range(count))
    assert reranked.note == (ALL_ALIKE if value is not None and count > 1 else "")


@given(VALUES, JOINS)
def test_alpha_0_is_the_order_before_and_alpha_1_that_of_the_model(values, join):
    candidates = offered([1.0 / (n + 1) for n in range(len(values))])
    assert places(blended("model", candidates, values, alpha=0, join=join)) == list(range(len(values)))
    known = [value for value in values if value is not None]
    alone = blended("model", candidates, values, alpha=1, join=join)
    assert [values[p] for p in places(alone) if values[p] is not None] == sorted(known, reverse=True)
    if len(known) == len(values):
        assert [hit.score for hit in alone.hits] == sorted(known, reverse=True)
        assert all(hit.scores == {"model": hit.score} for hit in alone.hits)


@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf], ids=str)
def test_a_candidate_without_an_opinion_stands_as_well_as_it_stood(nothing):
    candidates = offered([0.9, 0.8, 0.7, 0.6])
    assert places(blended("model", candidates, [nothing, 1.0, 2.0, 3.0], alpha=1)) == [0, 3, 2, 1]
    assert places(blended("model", candidates, [3.0, 2.0, 1.0, nothing], alpha=1)) == [0, 1, 2, 3]


def test_scores_of_several_stages_are_not_compared_their_order_is():
    values = [0.0, 0.0, 0.1]
    mixed = blended("model", offered([0.5, 900.0, 7.0], by=["a", "b", "b"]), values, alpha=0.5)
    unknown = blended("model", offered([None, None, None]), values, alpha=0.5)
    not_its_order = blended("model", offered([0.1, 0.5, 0.3]), values, alpha=0.5)
    alike = blended("model", offered([0.1, 0.1, 0.1]), values, alpha=0.5)
    by_rank = blended("model", offered([3.0, 2.0, 1.0]), values, alpha=0.5)
    for other in (mixed, unknown, not_its_order, alike):
        assert [(hit.id, hit.score) for hit in other.hits] == [
            (hit.id, pytest.approx(hit.score)) for hit in by_rank.hits
        ]


def test_reasons_and_details_stay_with_their_candidate():
    reranked = blended("model", offered([3, 2]), [0.0, 1.0], alpha=1, whys=["a", "b"], details=[{"n": 1}, {"n": 2}])
    assert [(hit.id, hit.why, dict(hit.details)) for hit in reranked.hits] == [
        ("img1", "b", {"n": 2}),
        ("img0", "a", {"n": 1}),
    ]


def test_counts_flips_and_note_are_passed_on():
    reranked = blended("model", offered([2, 1]), [1.0, 1.0], parsed={"ok": 1}, flips=0.5, note="seen twice")
    assert (dict(reranked.parsed), reranked.flips, reranked.note) == ({"ok": 1}, 0.5, f"seen twice; {ALL_ALIKE}")


@given(st.integers(0, 10).flatmap(lambda n: st.permutations(range(n))))
def test_an_order_becomes_falling_values(order):
    values = falling(order)
    assert sorted(range(len(order)), key=lambda place: -values[place]) == order
    assert sorted(values) == list(range(1, len(order) + 1))


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, math.inf], ids=str)
def test_a_share_outside_0_to_1_is_refused(alpha):
    with pytest.raises(UsageError, match="alpha is"):
        checked_alpha(alpha)
    with pytest.raises(UsageError, match="alpha is"):
        blended("model", offered([1.0]), [1.0], alpha=alpha)
