"""Fitting a blend: weights that are right by construction are found, kept in the index, and told with their gain."""

import json

import numpy as np
import pytest
from store_samples import SketchEncoder, save

from mmretrieval.cli import fitting
from mmretrieval.collection import Collection
from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.blend import FOLDS, LEAST_QUERIES, _best, _cross_validated, _grid, fit, remember
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.first_stages._evidence import Evidence
from mmretrieval.first_stages.hybrid import Hybrid
from mmretrieval.indexing import index
from mmretrieval.searcher import Searcher
from mmretrieval.types import Hit, Query

SIZE = 40


class Told(Hybrid):
    """A blend of two channels whose evidence is given, by query id: (records, 2) values."""

    def __init__(self, tables):
        self.tables = tables
        self.channels = [type("C", (), {"name": name}) for name in ("image", "bm25")]

    def evidence(self, queries, top_k):
        return [
            Evidence(
                query, ("image", "bm25"), tuple(Hit(f"r{row}", "told") for row in range(len(table))),
                np.arange(len(table)), table, np.zeros(table.shape, dtype=bool), (),
            )
            for query in queries
            for table in [self.tables[query.id]]
        ]  # fmt: skip


def queries_of(tables):
    return [QueryRow(Query(name, text="words")) for name in tables]


def noisy(share, seed=0, count=60):
    """The relevant record r0 stands out in image * (1 - share) + bm25 * share, and each channel alone is misleading."""
    rng = np.random.default_rng(seed)
    tables = {}
    for number in range(count):
        table = rng.normal(size=(12, 2))
        noise = rng.normal(size=12) * 3  # cancels at the right share alone
        table[:, 0] += noise / (1 - share)
        table[:, 1] -= noise / share
        table[0] += 4
        tables[f"q{number:03}"] = table
    return tables


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_the_right_weights_are_found_and_the_gain_is_held_out(share):
    tables = noisy(share)
    found = fit(Told(tables), queries_of(tables), {name: {"r0": 1} for name in tables})
    assert found.weights["bm25"] == pytest.approx(share, abs=0.051)
    assert sum(found.weights.values()) == pytest.approx(1)
    assert found.queries == len(tables)
    assert found.after - found.before == pytest.approx(found.gain.mean)
    assert found.gain.low <= found.gain.mean <= found.gain.high
    assert found.helps == (found.gain.mean > 0)
    assert found.helps or share == pytest.approx(found.usual["bm25"], abs=0.06)
    assert json.loads(json.dumps(found.to_dict()))["weights"] == dict(found.weights)


def test_weights_that_only_fit_their_own_queries_gain_nothing():
    rng = np.random.default_rng(3)
    tables = {f"q{number}": rng.normal(size=(30, 2)) for number in range(40)}
    found = fit(Told(tables), queries_of(tables), {name: {"r0": 1} for name in tables})
    assert found.gain.low < 0.02, "pure noise has nothing to fit"


def test_too_few_judged_queries_are_refused_with_the_cure():
    tables = noisy(0.5, count=LEAST_QUERIES - 1)
    rows = queries_of(tables)
    with pytest.raises(InvalidData, match=rf"{LEAST_QUERIES} judged queries .* here are {LEAST_QUERIES - 1}: .*rrf"):
        fit(Told(tables), rows, {name: {"r0": 1} for name in tables})


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (2, 21), (3, 66)])
def test_the_grid_holds_every_sharing_out(channels, count):
    grid = list(_grid(channels))
    assert len(grid) == count
    assert all(sum(row) == pytest.approx(1) and min(row) >= 0 for row in grid)
    assert len({tuple(row) for row in grid}) == count


def test_of_equally_good_weights_the_nearest_to_the_usual_ones_is_taken():
    grid = np.array([[0.5, 0.5], [0.0, 1.0], [0.4, 0.6], [1.0, 0.0]])
    values = np.array([[0.1, 0.9, 0.9, 0.9]] * 5)
    assert _best(values, grid) == 2


def test_each_query_is_ranked_with_the_best_weights_of_the_other_folds():
    rng = np.random.default_rng(0)
    values, grid = rng.random((23, 4)), np.array([[0.5, 0.5], [0.0, 1.0], [0.4, 0.6], [1.0, 0.0]])
    slow = []
    for at in range(23):
        others = [row for place, row in enumerate(values) if place % FOLDS != at % FOLDS]
        slow.append(values[at, int(np.argmax(np.mean(others, axis=0)))])
    np.testing.assert_array_equal(_cross_validated(values, grid), slow)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Pictures whose words name them, for an encoder that knows nothing of them."""
    place = tmp_path_factory.mktemp("named")
    lines = []
    for number in range(SIZE):
        save(place / "pictures" / f"{number}.png", number)
        lines.append(json.dumps({"id": f"n{number}", "path": f"{number}.png", "caption": f"word{number} and so on"}))
    (place / "pictures" / "manifest.jsonl").write_text("\n".join(lines))
    index(place / "pictures", place / "index", encoder=SketchEncoder())
    return place / "index"


def test_a_fit_is_kept_in_the_index_and_used_from_then_on(named):
    rows = [QueryRow(Query(f"q{n}", text=f"word{n}")) for n in range(SIZE)]
    qrels = {f"q{n}": {f"n{n}": 1} for n in range(SIZE)}
    with Searcher.open(named, encoder=SketchEncoder(), hybrid="blend") as searcher:
        usual = dict(searcher.pipeline.first_stage.weights)
        found = fit(searcher.pipeline.first_stage, rows, qrels)
    remember(named, found)
    with Collection.open(named) as collection:
        assert collection.blend == found.weights
    with Searcher.open(named, encoder=SketchEncoder(), hybrid="blend") as searcher:
        assert dict(searcher.pipeline.first_stage.weights) == {**usual, **found.weights}
        assert searcher.search("word7", top_k=1).ids == ["n7"]
    with Searcher.open(named, encoder=SketchEncoder(), hybrid="rrf") as searcher:
        assert searcher.search("word7", top_k=1).ids == ["n7"]


def test_the_command_line_tells_weights_gain_and_interval(named, tmp_path):
    rows = [QueryRow(Query(f"q{n}", text=f"word{n}")) for n in range(SIZE)]
    qrels = {f"q{n}": {f"n{n}": 1} for n in range(SIZE)}
    found = fitting.fit_blend(named, rows, qrels, "", encoder=SketchEncoder())
    weights, gain = fitting.fit_lines(found)
    assert weights.startswith("fit\timage=")
    assert f"on {SIZE} queries" in gain
    assert "95% interval" in gain
