"""Any refiner: images of the collection, each once, none that the query excludes; the old ranking unchanged."""

from example_stages import Listing, MemoryCollection, Scripted, seeded_reply

from mmretrieval.pipeline import Pipeline
from mmretrieval.stages import Refiner
from mmretrieval.types import Query, Ranking

QUERY = Query("q7", text="a red bowl of soup", exclude=frozenset({"img1"}))


def test_it_is_a_refiner_that_says_what_it_does(subject):
    assert issubclass(subject, Refiner)
    assert (subject.__doc__ or "").strip()


def test_images_of_the_collection_come_back_each_once(make):
    collection = MemoryCollection(12)
    before = Listing(collection).search([QUERY], 5)[0]
    after = make().refine(before, collection)
    assert isinstance(after, Ranking)
    assert set(after.ids) <= set(collection.ids) - QUERY.exclude
    assert len(set(after.ids)) == len(after.ids)


def test_the_ranking_it_was_given_is_unchanged(make):
    collection = MemoryCollection(12)
    before = Listing(collection).search([QUERY], 5)[0]
    copy = Ranking(before.query, tuple(before.hits), before.steps)
    make().refine(before, collection)
    assert before == copy


def test_no_repair_is_needed_behind_it(make):
    collection = MemoryCollection(12)
    ranking = Pipeline([Listing(collection), make()], Scripted(seeded_reply), collection).search([QUERY], 5)[0]
    assert ranking.steps[-1].status == "ok"


def test_an_empty_ranking_works(make):
    collection = MemoryCollection(3)
    assert isinstance(make().refine(Ranking(QUERY), collection), Ranking)


def test_the_same_ranking_gives_the_same_result(make):
    collection = MemoryCollection(12)
    before = Listing(collection).search([QUERY], 5)[0]
    assert make().refine(before, collection).hits == make().refine(before, collection).hits
