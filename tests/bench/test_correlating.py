"""Pairs that people marked: cosines by hand, correlations by SciPy's definition, and a second run that only reads."""

import json

import numpy as np
import pytest
from PIL import Image
from store_samples import save

from mmretrieval.bench.correlating import correlate
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.report import report
from mmretrieval.bench.writing import write
from mmretrieval.benchmarks import Correlations, Pair
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.evaluation.correlation import crossed
from mmretrieval.presets.preset import read_preset

WORDS = ["red", "green", "blue", "dark", "pale", "round", "old"]
TEXTS = {f"t{n}": f"a {WORDS[n % 7]} thing near the {WORDS[n % 5]} one" for n in range(12)}
IMAGES = {f"i{n}": f"val/i{n}.png" for n in range(6)}


def task(sides, **changes):
    """Thirty pairs in two ways of sampling, with marks between 0 and 5."""
    left, right = sides
    pairs = tuple(
        Pair(f"{('near', 'far')[n % 2]}:{n}", f"{left}{n % 5}", f"{right}{(n * n + 1) % 6}", (n * 7 % 11) / 2)
        for n in range(30)
    )
    named = {pair.left for pair in pairs} | {pair.right for pair in pairs}
    texts, images = ({key: told for key, told in each.items() if key in named} for each in (TEXTS, IMAGES))
    return Correlations(
        **({"name": "alike", "split": "val", "pairs": pairs, "texts": texts, "images": images} | changes)
    )


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        save(tmp_path / "data" / "val" / f"i{number}.png", number)
    return tmp_path / "data"


def ranks(values):
    return [1 + sum(v < w for v in values) + (sum(v == w for v in values) - 1) / 2 for w in values]


def slow_spearman(one, other):
    return np.corrcoef(ranks(one), ranks(other))[0, 1]


def vector(side, encoder, folder):
    if side in TEXTS:
        return encoder.encode_texts([TEXTS[side]])[0]
    with Image.open(folder / IMAGES[side]) as opened:
        return encoder.encode_images([opened.convert("RGB")])[0]


@pytest.mark.parametrize("sides", ["tt", "ii", "ti"])
def test_cosines_and_correlations_are_those_of_a_slow_twin(sides, folder, encoder, tmp_path):
    alike = task(sides)
    [result] = correlate(Bench(folder, tmp_path / "out", encoder), alike, [read_preset("dense")])
    expected = {
        pair.id: vector(pair.left, encoder, folder) @ vector(pair.right, encoder, folder) for pair in alike.pairs
    }
    assert result.by_query["cosine"] == pytest.approx(expected, abs=2e-3)  # rows are kept as float16
    cosines = result.by_query["cosine"]
    for cell in result.tables["Spearman"]:
        own = [pair for pair in alike.pairs if cell.category in ("all", pair.id.partition(":")[0])]
        value = slow_spearman([pair.score for pair in own], [cosines[pair.id] for pair in own])
        assert (cell.queries, cell.value.mean) == (len(own), pytest.approx(value))
        assert cell.value.low <= cell.value.mean <= cell.value.high
    assert [cell.category for cell in result.tables["Spearman"]] == ["all", "far", "near"]
    [drawn] = result.tables["Spearman of draws"]
    marks = [pair.score for pair in alike.pairs]
    twin = crossed([pair.left for pair in alike.pairs], marks, list(cosines.values()))
    assert (drawn.value.mean, drawn.value.high - drawn.value.mean) == pytest.approx(tuple(twin))


def test_a_second_run_encodes_nothing_and_writes_the_same(folder, encoder, tmp_path):
    alike, presets, out = task("ti"), [read_preset("dense")], tmp_path / "out"
    kept = []
    for _ in range(2):
        results = correlate(Bench(folder, out, encoder), alike, presets)
        write(out, report(alike, results, folder), alike, results)
        files = {name: (out / name).read_bytes() for name in ("report.md", "report.html", "report.json", "pairs.tsv")}
        kept.append((encoder.texts, encoder.pictures, files))
    assert kept[0] == kept[1]
    told = json.loads(kept[0][2]["report.json"])
    assert (told["benchmark"]["unit"], told["benchmark"]["queries"], told["measures"]) == (
        "pairs", 30, ["Spearman", "Spearman of draws"],
    )  # fmt: skip
    page, text = kept[0][2]["report.html"].decode(), kept[0][2]["report.md"].decode()
    for each in (page, text):
        assert "30 pairs of 9 things, marked by people" in each
        assert "interval over pairs" in each
        assert "judged queries" not in each
    lines = [line.split("\t") for line in kept[0][2]["pairs.tsv"].decode().splitlines()]
    assert lines[0] == ["pair", "left", "right", "mark", "dense"]
    assert {line[0]: float(line[4]) for line in lines[1:]} == pytest.approx(results[0].by_query["cosine"], abs=1e-6)
    assert [float(line[3]) for line in lines[1:]] == [pair.score for pair in alike.pairs]


def test_pairs_whose_picture_is_missing_are_left_out_and_counted(folder, encoder, tmp_path):
    (folder / "val" / "i2.png").unlink()
    alike = task("ti")
    [result] = correlate(Bench(folder, tmp_path / "out", encoder), alike, [read_preset("dense")])
    kept = [pair.id for pair in alike.pairs if pair.right != "i2"]
    assert list(result.by_query["cosine"]) == kept
    assert 0 < len(kept) < 30
    assert any(
        f"{len(kept)} of 30 pairs have their pictures here" in each for each in result.facts["candidates"]["notes"]
    )


def test_without_any_picture_it_is_said_what_to_put_where(encoder, tmp_path):
    with pytest.raises(NotFound, match=r"no pair of alike val has both .* 4 pictures there, as val/i1\.png"):
        correlate(Bench(tmp_path, tmp_path / "out", encoder), task("ti"), [read_preset("dense")])


@pytest.mark.parametrize("name", ["bm25", "offline"])
def test_a_preset_that_only_orders_candidates_is_refused_before_any_work(name, encoder, tmp_path):
    with pytest.raises(UsageError, match=f"'{name}' puts candidates in an order, and alike asks how alike"):
        correlate(Bench(tmp_path, tmp_path / "out", encoder), task("tt"), [read_preset(name)])
    assert not (tmp_path / "out").exists()


def test_another_measure_is_refused(encoder, tmp_path):
    with pytest.raises(UsageError, match="leave out --measures"):
        correlate(Bench(tmp_path, tmp_path / "out", encoder, measures=("R@1",)), task("tt"), [read_preset("dense")])


def test_a_way_of_sampling_without_order_has_no_row(encoder, tmp_path):
    alike = task("tt")
    lone = Pair("lone:99", "t1", "t2", 1.0)
    [result] = correlate(
        Bench(tmp_path, tmp_path / "out", encoder), task("tt", pairs=(*alike.pairs, lone)), [read_preset("dense")]
    )
    assert [(cell.category, cell.queries) for cell in result.tables["Spearman"]] == [
        ("all", 31), ("far", 15), ("near", 15),
    ]  # fmt: skip
