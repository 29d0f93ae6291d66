"""SuperGlobal against its formulas written out with loops, and where it helps and must not harm."""

from dataclasses import replace

import numpy as np
import pytest
from example_rows import unit
from example_stages import MemoryCollection

from mmretrieval.pipeline import Pipeline
from mmretrieval.refiners.superglobal import SuperGlobal, near_the_best, pooled_scores, smoothed
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Part, Query, Ranking

DIM = 64


def slow_forms(rows, query, neighbours, beta):
    """s, s1 and s2 of the paper, number by number."""
    gram = [[float(np.dot(a, b)) for b in rows] for a in rows]
    blended = []
    for at, row in enumerate(rows):
        others = sorted((j for j in range(len(rows)) if j != at), key=lambda j: (-gram[at][j], j))[:neighbours]
        top, bottom = np.array(row, dtype=float), 1.0
        for j in others:
            top = top + beta * gram[at][j] * np.array(rows[j])
            bottom += beta * gram[at][j]
        blended.append(top / bottom)
    first = [float(np.dot(query, row)) for row in blended]
    best = sorted(range(len(rows)), key=lambda j: (-first[j], j))[: neighbours + 1]
    pooled = [max(blended[j][d] for j in best) for d in range(len(query))]
    return first, [float(np.dot(pooled, row)) for row in blended]


EXAMPLE = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.6, 0.0, 0.8], [0.0, 0.6, 0.8]])


@pytest.mark.parametrize(("neighbours", "beta"), [(1, 0.15), (2, 0.15), (3, 0.5), (9, 0.15)])
def test_both_halves_follow_the_formulas_on_a_hand_made_example(neighbours, beta):
    query = np.array([0.9, 0.3, 0.316])
    first, second = slow_forms(EXAMPLE, query, min(neighbours, 3), beta)
    scores, rows = smoothed(EXAMPLE, EXAMPLE @ EXAMPLE.T, EXAMPLE @ query, neighbours, beta)
    np.testing.assert_allclose(scores, first, atol=1e-6)
    np.testing.assert_allclose(rows @ query, first, atol=1e-6)
    np.testing.assert_allclose(pooled_scores(scores, rows, min(neighbours, 3)), second, atol=1e-6)


def test_one_number_worked_by_hand():
    """The first row with its nearest, the second: (1 + 0.5 * 0.8 * 0.8) / (1 + 0.5 * 0.8)."""
    scores, _ = smoothed(EXAMPLE, EXAMPLE @ EXAMPLE.T, EXAMPLE @ np.array([1.0, 0, 0]), 1, 0.5)
    assert scores[0] == pytest.approx(1.32 / 1.4)


class Nearest(FirstStage):
    """Pictures by their inner product with the row that the query names by its id; it stands for dense search."""

    def __init__(self, collection, aims):
        self.collection, self.aims = collection, aims

    def search(self, queries, top_k):
        return [self.one(query, top_k) for query in queries]

    def one(self, query, top_k):
        scores = self.collection.matrix.astype(float) @ self.aims[query.id]
        order = np.lexsort((np.arange(len(scores)), -scores))[:top_k]
        hits = [
            Hit(self.collection.ids[at], "dense", float(scores[at]), scores={"image": float(scores[at])})
            for at in order
        ]
        return Ranking(query, tuple(hits))


def world(positives, queries=30, noise=0.9, distractors=1000, seed=0):
    """Clusters of `positives` pictures and unrelated ones round a common mean; one unseen view of each cluster."""
    rng = np.random.default_rng(seed)
    common = 0.8 * unit(rng.normal(size=DIM))
    centres = rng.normal(size=(queries, DIM)) / np.sqrt(DIM)

    def views(centre, n):
        return unit(common + centre + noise * rng.normal(size=(n, DIM)) / np.sqrt(DIM))

    matrix = np.concatenate([*(views(centre, positives) for centre in centres), views(0, distractors)])
    collection = MemoryCollection(len(matrix), DIM, matrix)
    aims = {f"q{at}": views(centre, 1)[0] for at, centre in enumerate(centres)}
    right = {f"q{at}": set(collection.ids[at * positives : (at + 1) * positives]) for at in range(queries)}
    return collection, aims, right


def average_precision(ids, right):
    found = [rank for rank, name in enumerate(ids, start=1) if name in right]
    return sum((at + 1) / rank for at, rank in enumerate(found)) / len(right)


def precisions(setting, refiner):
    """The average precision of each query, and the Step of the refiner if there is one."""
    collection, aims, right = setting
    stages = [Nearest(collection, aims), *([refiner] if refiner else [])]
    queries = [Query(name, image_id="img0") for name in aims]
    rankings = Pipeline(stages, collection=collection).search(queries, 400)
    return np.array([average_precision(r.ids, right[r.query.id]) for r in rankings]), [r.steps[-1] for r in rankings]


def test_many_right_answers_gain_from_both_forms():
    setting = world(positives=20)
    base, _ = precisions(setting, None)
    half, _ = precisions(setting, SuperGlobal())
    full, steps = precisions(setting, SuperGlobal(form="full"))
    assert base.mean() < 0.96, "there must be something to gain"
    assert full.mean() >= base.mean() + 0.02
    assert (half >= base - 1e-9).mean() >= 0.95
    assert np.mean([step.note.endswith("neighbours") for step in steps]) > 0.9


def test_with_one_right_answer_the_half_does_no_harm_and_the_guard_turns_the_full_form_off():
    setting = world(positives=1, noise=0.6)
    base, _ = precisions(setting, None)
    half, _ = precisions(setting, SuperGlobal())
    full, steps = precisions(setting, SuperGlobal(form="full"))
    assert abs(half.mean() - base.mean()) <= 0.005
    assert np.array_equal(full, base)
    assert {step.note for step in steps} == {"left as it was: no picture lies near the best one"}
    unguarded, _ = precisions(setting, SuperGlobal(form="full", gap=1.0))
    assert unguarded.mean() < base.mean() - 0.05, "the guard must be what prevents the loss"


def shortlist(size=30, seed=1):
    collection, aims, _ = world(positives=10, queries=1, distractors=60, seed=seed)
    return collection, Nearest(collection, aims).one(Query("q0", image_id="img0"), size)


@pytest.mark.parametrize("settings", [{"beta": 0.0}, {"neighbours": 0}])
def test_without_neighbours_or_weight_for_them_the_half_changes_nothing(settings):
    collection, before = shortlist()
    after = SuperGlobal(**settings).refine(before, collection)
    assert after.ids == before.ids
    assert [hit.score for hit in after.hits] == pytest.approx([hit.score for hit in before.hits], abs=1e-12)


def test_the_channels_still_add_up_and_the_old_shares_stay():
    collection, before = shortlist()
    after = SuperGlobal().refine(before, collection)
    assert after.ids != before.ids
    old = {hit.id: hit for hit in before.hits}
    for hit in after.hits:
        assert sum(hit.scores.values()) == pytest.approx(hit.score, abs=1e-9)
        assert hit.scores["image"] == old[hit.id].scores["image"]
        assert hit.by == "superglobal"
        assert hit.why.endswith(" by its neighbours")


def test_what_lies_behind_the_shortlist_keeps_its_order():
    collection, before = shortlist()
    after = SuperGlobal(shortlist=20).refine(before, collection)
    assert after.hits[20:] == before.hits[20:]
    assert set(after.ids[:20]) == set(before.ids[:20])
    assert after.ids[:20] != before.ids[:20]


@pytest.mark.parametrize(
    "query",
    [
        Query("q0", text="a heron"),
        Query("q0", text="at night", image_id="img0"),
        Query("q0", image_id="img0", parts=(Part(text="night"),)),
    ],
)
def test_the_full_form_leaves_queries_with_words_alone_and_says_so(query):
    collection, before = shortlist()
    ranking = Ranking(query, before.hits)
    after = SuperGlobal(form="full").refine(ranking, collection)
    assert after.hits == ranking.hits
    assert after.steps[-1].note == "left as it was: the full form is for pictures that seek pictures"
    assert SuperGlobal().refine(ranking, collection).ids != ranking.ids


def test_the_full_form_leaves_scores_that_are_no_cosines_alone():
    collection, before = shortlist()
    fused = Ranking(
        before.query, tuple(replace(hit, by="hybrid", score=1 / (60 + n)) for n, hit in enumerate(before.hits))
    )
    after = SuperGlobal(form="full").refine(fused, collection)
    assert after.hits == fused.hits
    assert after.steps[-1].note == "left as it was: the full form needs cosines, and the scores are those of 'hybrid'"
    assert SuperGlobal().refine(fused, collection).ids != fused.ids


def test_hits_without_scores_stay():
    collection = MemoryCollection(5)
    ranking = Ranking(Query(text="a"), tuple(Hit(name, "somebody") for name in collection.ids))
    assert SuperGlobal().refine(ranking, collection).hits == ranking.hits


def test_a_short_list_is_asked_for_in_the_pipeline_and_cut_afterwards():
    collection, aims, _ = world(positives=10, queries=1, distractors=60)
    pipeline = Pipeline([Nearest(collection, aims), SuperGlobal()], collection=collection)
    query = Query("q0", image_id="img0")
    assert pipeline.search([query], 3)[0].ids == pipeline.search([query], 50)[0].ids[:3]


def test_neighbours_are_counted_by_their_share_of_the_way_to_the_middle():
    similar = np.array([1.0, 0.9, 0.7, 0.4, 0.4, 0.4, 0.4])
    assert [near_the_best(similar, gap) for gap in (0.0, 0.2, 0.4, 0.51, 1.0)] == [0, 1, 1, 2, 2]
    assert near_the_best(np.ones(5), 1.0) == 0, "copies all round say nothing"
