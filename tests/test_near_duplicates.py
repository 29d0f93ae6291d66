"""Near-duplicates: the folding against a slow twin, and the searcher's promise of as many hits as were asked for."""

import numpy as np
import pytest
from example_rows import random_unit, unit
from example_stages import Backwards, Brute, HashEncoder, MemoryCollection
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.errors import UsageError
from mmretrieval.first_stages.dense import Dense
from mmretrieval.near_duplicates import THRESHOLD, collapse
from mmretrieval.pipeline import Pipeline
from mmretrieval.searcher import Searcher
from mmretrieval.types import Hit, Query


def slow(ids, rows, threshold):
    """Id of each kept hit with those folded into it, by comparing all pairs from the top."""
    kept = []
    for place, name in enumerate(ids):
        for leader in kept:
            cosine = (
                float(np.dot(rows[place], rows[leader[0]]))
                / np.linalg.norm(rows[place])
                / np.linalg.norm(rows[leader[0]])
            )
            if cosine >= threshold - 1e-6:
                leader[1].append(name)
                break
        else:
            kept.append((place, []))
    return [(ids[place], folded) for place, folded in kept]


def told(hits):
    return [(hit.id, list(hit.duplicates)) for hit in hits]


def groups(sizes, noise, seed=0):
    """Rows around some centres, in a random order."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [c + rng.normal(size=(n, 16)) * noise for c, n in zip(random_unit(len(sizes), 16, seed), sizes, strict=True)]
    )
    return unit(rows[rng.permutation(len(rows))])


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.02, 0.05, 0.1]),
    st.sampled_from([0.5, 0.9, 0.97, 1.0]),
    st.integers(0, 50),
)
def test_folding_equals_comparing_all_pairs_from_the_top(sizes, noise, threshold, seed):
    rows = groups(sizes, noise, seed).astype(np.float16).astype(np.float32)
    hits = [Hit(f"h{place}", "dense", -float(place)) for place in range(len(rows))]
    folded = collapse(hits, rows, threshold)
    assert told(folded) == slow([hit.id for hit in hits], rows.astype(np.float64), threshold)
    assert sorted(name for hit in folded for name in (hit.id, *hit.duplicates)) == sorted(hit.id for hit in hits)


def test_what_is_kept_of_the_first_hits_does_not_depend_on_how_many_there_are():
    rows = groups([4, 3, 5, 1, 2], 0.05, 3)
    hits = [Hit(f"h{place}", "dense") for place in range(len(rows))]
    whole = [hit.id for hit in collapse(hits, rows, 0.9)]
    for count in range(len(hits) + 1):
        part = [hit.id for hit in collapse(hits[:count], rows[:count], 0.9)]
        assert whole[: len(part)] == part


def test_equal_rows_are_near_at_the_strictest_threshold_and_duplicates_are_inherited():
    row = random_unit(1, 24, 4).astype(np.float16).astype(np.float32)
    hits = [Hit("a", "dense", duplicates=("x",)), Hit("b", "dense", duplicates=("y",)), Hit("c", "dense")]
    assert told(collapse(hits, np.repeat(row, 3, axis=0), 1.0)) == [("a", ["x", "b", "y", "c"])]
    assert collapse([], np.empty((0, 24), np.float32)) == ()


def searcher(sizes, later=(), noise=0.01):
    collection = MemoryCollection(sum(sizes), matrix=groups(sizes, noise, 8))
    dense = Dense(HashEncoder(), collection, Brute(collection.rows()))
    return collection, Searcher(collection, Pipeline([dense, *later], collection=collection))


@pytest.mark.parametrize("top_k", [1, 3, 5, 9])
def test_as_many_hits_come_back_as_were_asked_for_while_there_are_others(top_k):
    collection, many = searcher([120, 40, 1, 2, 60, 1, 7, 1])
    folded = many.search("a red bowl", top_k=top_k, collapse=True)
    everything = many.search("a red bowl", top_k=collection.count)
    twin = slow(everything.ids, collection.vectors("image", everything.ids).astype(np.float64), THRESHOLD)
    assert folded.ids == [name for name, _ in twin][:top_k]
    assert len(folded.ids) == min(top_k, 8)
    for hit, (_, names) in zip(folded.hits, twin, strict=False):
        assert list(hit.duplicates) == names[: len(hit.duplicates)]  # those that were fetched, best first
    notes = [step.note for step in folded.steps if step.name == "near_duplicates"]
    assert len(notes) == 1
    assert notes[0].endswith("folded at a cosine of 0.97 or more")


def test_every_run_that_was_needed_leaves_its_steps():
    _, many = searcher([100, 100])
    names = [step.name for step in many.search("a red bowl", top_k=2, collapse=True).steps]
    assert names == ["dense", "dense", "dense", "near_duplicates"]  # 24, 96, then all 200


def test_many_queries_fold_as_each_does_alone():
    _, many = searcher([30, 50, 1, 4, 20])
    queries = [Query(f"q{number}", f"word {number}") for number in range(4)]
    together = [told(ranking.hits) for ranking in many.search_all(queries, 3, collapse=0.9)]
    assert together == [told(many.search(query, top_k=3, collapse=0.9).hits) for query in queries]


def test_what_a_reranker_ordered_is_folded_last():
    collection, many = searcher([6, 1, 1, 3], [Backwards()])
    order = many.search("a red bowl", top_k=collection.count).ids
    twin = slow(order, collection.vectors("image", order).astype(np.float64), 0.9)
    assert told(many.search("a red bowl", top_k=3, collapse=0.9).hits) == twin[:3]


def test_nothing_is_folded_unless_it_is_asked_for():
    _, many = searcher([6, 2])
    assert len(many.search("a red bowl", top_k=8).ids) == 8


@pytest.mark.parametrize("threshold", [-0.5, 1.5, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(threshold):
    _, many = searcher([2, 2])
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        many.search("a red bowl", collapse=threshold)
