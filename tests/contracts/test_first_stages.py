"""Any first stage: one ranking per query, in order, within bounds, with ties by id."""

import pytest
from example_stages import MemoryCollection

from mmretrieval.stages import FirstStage
from mmretrieval.types import Query

QUERIES = [
    Query("t", text="a red bowl of soup"),
    Query("i", image_id="img3"),
    Query("c", text="the same, but blue", image_id="img5"),
]


def test_it_is_a_first_stage_that_says_what_it_does(subject):
    assert issubclass(subject, FirstStage)
    assert (subject.__doc__ or "").strip()


@pytest.mark.parametrize("top_k", [1, 5, 12, 50])
def test_each_query_gets_one_ranking_of_known_images(make, top_k):
    rankings = make().search(QUERIES, top_k)
    assert [ranking.query for ranking in rankings] == QUERIES
    for ranking in rankings:
        assert len(ranking.ids) == min(top_k, 12) or is_said_why(ranking)
        assert set(ranking.ids) <= set(MemoryCollection(12).ids)
    assert len(rankings[0].ids) == min(top_k, 12)


def is_said_why(ranking):
    """Whether a ranking that is shorter than it could be tells the user of it, as a search for words of a picture."""
    return ranking.warnings and {step.status for step in ranking.steps} == {"partial"}


def test_no_queries_give_no_rankings(make):
    assert make().search([], 5) == []


def test_scores_fall_and_equal_scores_go_by_id(make):
    for ranking in make().search(QUERIES, 12):
        keys = [(-hit.score, hit.id) for hit in ranking.hits if hit.score is not None]
        assert keys == sorted(keys)


def test_hits_say_who_placed_them_and_where_they_lie(make):
    stage = make()
    rankings = stage.search(QUERIES, 3)
    assert {hit.by for ranking in rankings for hit in ranking.hits} == {stage.name}
    for ranking in rankings:
        assert [hit.path for hit in ranking.hits] == [f"{name}.png" for name in ranking.ids]


def test_excluded_images_and_those_outside_never_come(make):
    within = frozenset({"img1", "img2", "img4"})
    query = Query("q", text="soup", exclude=frozenset({"img2"}), within=within)
    assert set(make().search([query], 12)[0].ids) == {"img1", "img4"}


def test_nothing_is_left_when_everything_is_excluded(make):
    query = Query("q", text="soup", exclude=frozenset(MemoryCollection(12).ids))
    assert make().search([query], 12)[0].ids == []


def test_queries_together_and_alone_give_the_same_rankings(make):
    stage = make()
    together = stage.search(QUERIES, 12)
    alone = [stage.search([query], 12)[0] for query in QUERIES]
    assert [ranking.ids for ranking in together] == [ranking.ids for ranking in alone]


def test_fewer_hits_are_the_head_of_more(make):
    stage = make()
    for few, many in zip(stage.search(QUERIES, 4), stage.search(QUERIES, 12), strict=True):
        assert few.ids == many.ids[:4]
