"""Examples, feedback and several conditions on generated collections whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from example_rows import unit
from example_stages import HashEncoder, MemoryCollection

from mmretrieval.first_stages._usable import FLOOR, usable_examples
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.types import Part, Query

DIM, CLUSTERS, EACH = 48, 30, 20


class Spoken(HashEncoder):
    """Says the rows it was made with, by their number."""

    dim = DIM

    def __init__(self, rows):
        self.rows = rows

    def encode_texts(self, texts):
        return self.rows[[int(text) for text in texts]].reshape(len(texts), -1)


def direction(rng, n):
    return rng.normal(size=(n, DIM)) / np.sqrt(DIM)


def cone(rng, length=0.8):
    """What all vectors of one kind share."""
    return length * unit(rng.normal(size=DIM))


def clusters(noise=1.1, said=0.8, seed=0):
    """Noisy views of centres, words that say them badly, and what both were made from."""
    rng = np.random.default_rng(seed)
    centres = direction(rng, CLUSTERS)
    views = np.repeat(centres, EACH, axis=0) + noise * direction(rng, CLUSTERS * EACH)
    collection = MemoryCollection(CLUSTERS * EACH, DIM, unit(cone(rng) + views))
    texts = unit(cone(rng) + centres + said * direction(rng, CLUSTERS))
    collection.text_mean = texts.mean(axis=0)
    return collection, Spoken(texts)


def own(collection, cluster):
    return collection.ids[cluster * EACH : (cluster + 1) * EACH]


def mean_precision(setting, queries, right, **settings):
    """The mean over queries of the average precision, with a right set for each."""
    collection, encoder = setting
    stage = Dense(encoder, collection, Exact(collection.rows()), **settings)
    values = []
    for ranking, names in zip(stage.search(queries, collection.count), right, strict=True):
        ranks = [rank for rank, name in enumerate(ranking.ids, start=1) if name in names]
        values.append(sum((at + 1) / rank for at, rank in enumerate(ranks)) / len(names))
    return np.mean(values)


def asked(setting, change, **settings):
    """One query per cluster; its first five pictures are kept out, so that all ways are judged on the same ones."""
    collection, _ = setting
    names = [own(collection, cluster) for cluster in range(CLUSTERS)]
    queries = [Query(f"q{at}", exclude=frozenset(each[:5]), **change(at, each)) for at, each in enumerate(names)]
    return mean_precision(setting, queries, [set(each[5:]) for each in names], **settings)


def test_more_examples_are_a_better_query_than_one():
    setting = clusters()
    one, three, five = (asked(setting, lambda at, names, k=k: {"like": tuple(names[:k])}) for k in (1, 3, 5))
    assert one + 0.1 < three
    assert three + 0.005 < five


def test_three_confirmed_pictures_raise_a_search_by_words():
    setting = clusters()
    words = asked(setting, lambda at, names: {"text": str(at)})
    both = asked(setting, lambda at, names: {"text": str(at), "like": tuple(names[:3])})
    against = asked(
        setting,
        lambda at, names: {
            "text": str(at),
            "like": tuple(names[:3]),
            "unlike": (f"img{(at * EACH + 23) % 600}",),
        },
    )
    assert both >= words + 0.05
    assert against >= both - 0.02


def test_three_pictures_confirmed_by_chance_lower_it_by_little_since_most_are_left_out():
    """The stated guard: at most 0.05 of mean average precision, and less than half of the loss without the guard."""
    setting = clusters()
    rng = np.random.default_rng(1)
    chance = {at: tuple(f"img{number}" for number in rng.choice(600, 3, replace=False)) for at in range(CLUSTERS)}
    words = asked(setting, lambda at, names: {"text": str(at)})
    guarded = asked(setting, lambda at, names: {"text": str(at), "like": chance[at]})
    unguarded = asked(
        setting,
        lambda at, names: {"text": str(at), "like": chance[at]},
        floor=-np.inf,
    )
    assert words - 0.05 <= guarded <= words
    assert words - guarded < (words - unguarded) / 2


def test_the_floor_keeps_pictures_that_fit_and_turns_away_most_others():
    from mmretrieval.first_stages._parts import Item

    collection, encoder = clusters()
    kept = {"own": 0, "other": 0}
    for cluster in range(CLUSTERS):
        aim = encoder.encode_texts([str(cluster)])[0]
        for kind, shift in (("own", 0), ("other", 7)):
            names = tuple(own(collection, (cluster + shift) % CLUSTERS))
            marks = [Item("like", "image", collection.vectors("image", names), 1.0, "the examples", names)]
            used, _ = usable_examples(Query("q", text="a"), marks, aim, collection, FLOOR)
            kept[kind] += sum(len(item.rows) for item in used)
    assert kept["own"] >= 0.9 * CLUSTERS * EACH
    assert kept["other"] <= 0.4 * CLUSTERS * EACH


@pytest.mark.parametrize("compose", ["sum", "product"])
def test_several_conditions_are_met_together(compose):
    """Pictures with three attributes; words for two and a picture for the third find the one that has all."""
    rng = np.random.default_rng(2)
    kinds = [direction(rng, 6) for _ in range(3)]
    shown = [(a, b, c) for a in range(6) for b in range(6) for c in range(6)]
    scenes = np.array([kinds[0][a] + kinds[1][b] + kinds[2][c] for a, b, c in shown])
    collection = MemoryCollection(len(shown), DIM, unit(cone(rng) + scenes + 0.2 * direction(rng, len(shown))))
    texts = unit(cone(rng) + np.concatenate(kinds[:2]))
    collection.text_mean = texts.mean(axis=0)
    stage = Dense(Spoken(texts), collection, Exact(collection.rows()))
    found = []
    for at, (a, b, c) in enumerate(shown):
        example = next(n for n, (x, y, z) in enumerate(shown) if z == c and x != a and y != b)
        query = Query(f"q{at}", str(a), image_id=f"img{example}", parts=(Part(text=str(6 + b)),), compose=compose)
        found.append(f"img{at}" in stage.search([query], 10)[0].ids)
    assert np.mean(found) >= 0.95


def test_leaving_a_condition_out_lowers_only_its_own_share():
    collection, encoder = clusters()
    stage = Dense(encoder, collection, Exact(collection.rows()))
    both = stage.search([Query(text="3", image_id="img200")], 600)[0]
    right = {"text": set(own(collection, 3)), "image": set(own(collection, 10))}
    for key, names in right.items():
        mine = np.mean([hit.shares[key] for hit in both.hits if hit.id in names])
        others = np.mean([hit.shares[key] for hit in both.hits if hit.id not in names])
        assert mine > others + 0.2
