"""Sub-queries beside a query: the union of what they find, against the same thing written out slowly."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, pstdev

import numpy as np
import pytest
from example_stages import Brute, HashEncoder, Listing, MemoryCollection, Scripted, Windows
from hypothesis import given
from hypothesis import strategies as st

from mmretrieval.asks import Text
from mmretrieval.first_stages.bm25 import Bm25
from mmretrieval.first_stages.dense import Dense
from mmretrieval.pipeline import Pipeline
from mmretrieval.pooling import search_pooled
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Part, Query, QueryPlan, Ranking

COLLECTION = MemoryCollection(60)
DENSE = Dense(HashEncoder(), COLLECTION, Brute(COLLECTION.rows()))
PARTS = ["a red fox", "deep snow", "at night", "by the sea"]


def planned(*parts, **more):
    return Query("q1", "a red fox in deep snow at night", plan=QueryPlan(parts), **more)


def pooled(query, top_k=10, stage=DENSE):
    return search_pooled(stage, [query], top_k)[0]


def slow(query, depth, top_k):
    """Every part is searched alone, and all is put together by hand."""
    members = [replace(query, plan=None), *(replace(query, plan=None, text=part) for part in query.plan.wanted)]
    lists = [{hit.id: hit.score for hit in DENSE.search([member], 60)[0].hits} for member in members]
    pool = sorted({name for one in lists for name in sorted(one, key=lambda each: -one[each])[:depth]})
    standing = []
    for one in lists:
        mean, spread = fmean(one[name] for name in pool), pstdev(one[name] for name in pool)
        standing.append({name: (one[name] - mean) / spread for name in pool})
    value = {name: standing[0][name] + fmean(each[name] for each in standing[1:]) for name in pool}
    return sorted(value.items(), key=lambda pair: -pair[1])[:top_k]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True), st.integers(1, 30))
def test_the_value_is_that_of_the_whole_query_and_the_mean_of_its_parts(parts, top_k):
    ranking, expected = pooled(planned(*parts), top_k), slow(planned(*parts), max(20, top_k), top_k)
    assert ranking.ids == [name for name, _ in expected]
    np.testing.assert_allclose([hit.score for hit in ranking.hits], [value for _, value in expected], atol=1e-5)
    for hit in ranking.hits:
        assert sum(hit.scores.values()) == pytest.approx(hit.score)


def test_the_order_of_the_parts_does_not_matter():
    assert pooled(planned(*PARTS)).ids == pooled(planned(*reversed(PARTS))).ids


def test_every_picture_that_any_part_found_is_in_the_pool():
    ranking = pooled(planned(*PARTS), 60)
    found = {name for text in (planned().text, *PARTS) for name in DENSE.search([Query(text=text)], 60)[0].ids}
    assert set(ranking.ids) == found


class Planted(FirstStage):
    """Finds what each text lists, in that order, with falling scores."""

    def __init__(self, lists):
        self.lists = lists

    def search(self, queries, top_k):
        rankings = []
        for query in queries:
            ids = [name for name in self.lists[query.text] if query.within is None or name in query.within]
            hits = tuple(Hit(name, self.name, score=1.0 / (5 + rank)) for rank, name in enumerate(ids[:top_k]))
            rankings.append(Ranking(query, hits))
        return rankings


def test_a_picture_that_stands_low_for_the_query_and_high_for_each_part_comes_up():
    others = [f"x{n}" for n in range(299)]
    lists = {
        "a and b": [*others, "target"],
        "a": ["target", *others[:60]],
        "b": ["target", *reversed(others[-60:])],
    }
    query = Query("q", "a and b", plan=QueryPlan(("a", "b")))
    ids = pooled(query, 5, Planted(lists)).ids
    assert "target" in ids
    assert "target" not in Planted(lists).search([replace(query, plan=None)], 5)[0].ids


def test_a_part_that_finds_nothing_changes_nothing():
    lists = {"a and b": ["p", "q", "r"], "a": ["q", "p"], "b": []}
    with_it = pooled(Query("q", "a and b", plan=QueryPlan(("a", "b"))), 3, Planted(lists))
    assert sorted(with_it.ids) == ["p", "q", "r"]
    assert pooled(Query("q", "b", plan=QueryPlan(("b",))), 3, Planted(lists)).ids == []


def test_queries_without_parts_are_searched_as_ever_beside_those_with_parts():
    alone = Query("q2", "deep snow")
    mixed = search_pooled(DENSE, [alone, planned(*PARTS), alone], 7)
    assert mixed[0].hits == mixed[2].hits == DENSE.search([alone], 7)[0].hits
    assert mixed[1].hits == pooled(planned(*PARTS), 7).hits
    assert search_pooled(DENSE, [Query("q", "a fox", plan=QueryPlan((), ("snow",)))], 7)[0].hits == (
        DENSE.search([Query("q", "a fox")], 7)[0].hits
    )


def test_what_a_query_excludes_and_where_it_looks_holds_for_its_parts():
    within = frozenset(COLLECTION.ids[:30])
    ranking = pooled(planned(*PARTS, exclude=frozenset({"img3"}), within=within), 60)
    assert set(ranking.ids) == within - {"img3"}


def test_what_is_avoided_leads_all_parts_away():
    avoided = planned(*PARTS, parts=(Part(text="rain", weight=-0.9),))
    assert [name for name, _ in slow(avoided, 20, 10)] == pooled(avoided).ids != pooled(planned(*PARTS)).ids


def test_a_search_that_gives_no_scores_counts_by_its_order():
    class Silent(Planted):
        def search(self, queries, top_k):
            return [
                replace(r, hits=tuple(replace(hit, score=None) for hit in r.hits))
                for r in super().search(queries, top_k)
            ]

    lists = {"a and b": ["p", "q", "r"], "a": ["q", "p", "r"], "b": ["q", "p", "r"]}
    assert pooled(Query("q", "a and b", plan=QueryPlan(("a", "b"))), 3, Silent(lists)).ids[0] in ("p", "q")
    assert pooled(Query("q", "a and b", plan=QueryPlan(("a", "b"))), 3, Silent(lists)).ids[2] == "r"


def test_words_in_captions_are_pooled_too():
    ids = pooled(Query("q", "red soup", plan=QueryPlan(("red", "soup"))), 60, Bm25(COLLECTION)).ids
    assert set(ids) == set(Bm25(COLLECTION).search([Query(text="red soup")], 60)[0].ids)


def test_in_a_pipeline_the_steps_tell_of_the_pool_and_rerankers_get_it():
    collection = MemoryCollection(30)
    model = Scripted(lambda _: Text("1 0"))
    stages = [Dense(HashEncoder(), collection, Brute(collection.rows())), Windows(depth=4)]
    ranking = Pipeline(stages, model, collection).search([planned(*PARTS)], 5)[0]
    assert "4 sub-queries beside the whole query" in next(step.note for step in ranking.steps if step.name == "pool")
    assert len(ranking.ids) == 5


def test_a_cutoff_leaves_such_a_query_alone_and_says_so():
    collection = MemoryCollection(8)
    seen = []

    def cut(rankings):
        seen.extend(ranking.query.id for ranking in rankings)
        return [replace(ranking, hits=()) for ranking in rankings]

    queries = [planned("a", "b"), Query("q2", "soup")]
    first, second = Pipeline([Listing(collection)], None, collection).search(queries, 3, cut=cut)
    assert seen == ["q2"]
    assert len(first.hits) == 3
    assert second.hits == ()
    assert "taken apart" in first.warnings[0]
