"""What captions by a language model add to looks: pictures alone, captions alone, and both fused, on an unseen world.

    python tests/benchmarks/fusion.py [--vlm demo|FOLDER] [--seed S] [--images N] [--keep DIR] [--out STEM]

Writes STEM.md, STEM.json and STEM.png (by default assets/reports/fusion). The collection is drawn from a seed nobody
trained on and indexed without its captions; those of the model are the only words in it. With --keep a second run
asks nothing again, and tells what the first one cost. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mmretrieval as mm
from mmretrieval.calls import open_calls
from mmretrieval.captioning import describe
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.demo.write import write_world
from mmretrieval.evaluation.experiment import Evaluation, evaluate
from mmretrieval.evaluation.fusion_sweep import sweep
from mmretrieval.evaluation.measures import parse_measures
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.evaluation.significance import Interval, interval
from mmretrieval.making import follow_captions
from mmretrieval.searcher import Searcher
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
MEASURES = "R@1 R@5 R@10"
FIRST = "R@1"  # what the weights are swept and chosen by
SYSTEMS: Mapping[str, Mapping[str, str]] = {
    "looks alone": {},
    "captions alone": {"fuse": "image=0,caption=1"},
    "late, 0.7 and 0.3": {"fuse": "image=0.7,caption=0.3"},
    "standard, 0.7 and 0.3": {"fuse": "standard:image=0.7,caption=0.3"},
    "standard, 0.5 and 0.5": {"fuse": "standard:image=0.5,caption=0.5"},
    "early, 0.7 and 0.3": {"fuse": "early:image=0.7,caption=0.3"},
    "hybrid, blended": {"hybrid": "blend"},
}
GAINS = (
    "Gains are per query over looks alone, with the 95 % interval of a paired bootstrap; an interval that holds 0 is "
    "no evidence of a difference. The weights 0.7 and 0.3 are the paper's and were not chosen here."
)
DIRECTION = (
    "The direction of the paper: the query is a picture with the caption that the model gave it, the gallery are the "
    "true captions, of which the model saw none. R@1 by the share of the model's caption; the model was trained on "
    "captions of the same drawn world, so part of this is one wording meeting itself."
)
SHARES = tuple(round(step / 10, 1) for step in range(11))


@dataclass(frozen=True)
class Described:
    """The collection with its captions, and what they cost."""

    index: Path
    world: Path
    cost: Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="What captions add to looks.")
    parser.add_argument("--vlm", default="demo")
    parser.add_argument("--seed", type=int, default=8861)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "fusion")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        made = described(given.keep or Path(temporary), given.vlm, given.seed, given.images)
        told = {
            "images": given.images,
            "seed": given.seed,
            "model": "the shipped model" if given.vlm == "demo" else "a model given by its folder",
            "captions": dict(made.cost),
            "tasks": [
                task(made, "words", *judged(made.world, "")),
                task(made, "a picture and a change", *judged(made.world, "composed_")),
            ],
            "picture_to_caption": picture_to_caption(made),
        }
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(report(told, given.out.name))
    plot(told, given.out.with_suffix(".png"))


def described(place: Path, vlm: str, seed: int, images: int) -> Described:
    """The drawn collection without its captions, indexed, described by the model, and the captions encoded."""
    world, index = place / "world", place / "index"
    write_world(world, seed, images)
    bare = world / "bare.jsonl"
    entries = [json.loads(line) for line in (world / "manifest.jsonl").read_text().splitlines()]
    bare.write_text("".join(json.dumps({name: each[name] for name in ("id", "path")}) + "\n" for each in entries))
    mm.index(world, index, "demo", bare)
    began, cpu = time.perf_counter(), time.process_time()
    with closing(open_calls(vlm, index)) as calls:
        found = describe(index, calls)
    wall, busy = time.perf_counter() - began, time.process_time() - cpu
    follow_captions(index)
    kept = place / "cost.json"
    if found.calls or not kept.exists():
        told = {"calls": found.calls, "tokens": found.tokens, "states": dict(found.states["caption"])}
        kept.write_text(json.dumps({**told, "seconds": wall, "cpu_seconds": busy}))
    return Described(index, world, json.loads(kept.read_text()))


def judged(world: Path, prefix: str) -> tuple[list[QueryRow], Qrels]:
    return read_queries(world / f"{prefix}queries.jsonl"), read_qrels(world / f"{prefix}qrels.tsv")


def task(made: Described, name: str, rows: Sequence[QueryRow], qrels: Qrels) -> dict[str, Any]:
    """Every system on these queries, with its gain over looks alone; and the sweep of the weight."""
    found, seconds = {}, {}
    for system, stages in SYSTEMS.items():
        with Searcher.open(made.index, **stages) as searcher:
            searcher.search_all([rows[0].query])  # the encoder is loaded before the clock starts
            began = time.process_time()
            found[system] = evaluate(searcher, rows, qrels, MEASURES)
            seconds[system] = (time.process_time() - began) / len(rows)
    base = found["looks alone"]
    said = found["captions alone"]
    return {
        "name": name,
        "queries": base.queries,
        "first by captions alone": only(said, base),
        "first by looks alone": only(base, said),
        "systems": {
            system: {
                "measures": dict(result.measures),
                "gains": {m: vars_of(gain(result, base, m)) for m in MEASURES.split()},
                "cpu_ms_per_query": 1000 * seconds[system],
            }
            for system, result in found.items()
        },
        "sweeps": {how: swept(made, how, rows, qrels) for how in ("late", "standard")},
    }


def only(one: Evaluation, other: Evaluation) -> float:
    """The share of queries that the first answers in the first place and the second does not."""
    return sum(one.by_query[each][FIRST] > other.by_query[each][FIRST] for each in one.by_query) / one.queries


def gain(result: Evaluation, base: Evaluation, measure: str) -> Interval:
    """Over looks alone, paired by query."""
    ids = sorted(base.by_query)
    return interval([result.by_query[each][measure] - base.by_query[each][measure] for each in ids])


def vars_of(one: Interval) -> dict[str, float]:
    return {"mean": one.mean, "low": one.low, "high": one.high}


def swept(made: Described, how: str, rows: Sequence[QueryRow], qrels: Qrels) -> dict[str, Any]:
    measures = sorted(parse_measures(MEASURES), key=lambda measure: str(measure) != FIRST)
    with Searcher.open(made.index, fuse=f"{how}:image=1,caption=1") as searcher:
        return sweep(searcher.pipeline.first_stage, rows, qrels, measures).to_dict()  # type: ignore[arg-type]


def picture_to_caption(made: Described) -> dict[str, Any]:
    """The published direction: which of all true captions is that of a picture, by picture and model's caption.

    Captions that several pictures share count for each of them.
    """
    entries = [json.loads(line) for line in (made.world / "manifest.jsonl").read_text().splitlines()]
    texts = sorted({each["caption"] for each in entries})
    with Collection.open(made.index) as collection:
        ids = [each["id"] for each in entries if collection.record(each["id"]).caption]
        true = {each["id"]: texts.index(each["caption"]) for each in entries}
        encoder = CheckedEncoder(collection)
        gallery = np.concatenate([encoder.encode_texts(texts[at : at + 64]) for at in range(0, len(texts), 64)])
        looks, said = collection.vectors("image", ids), collection.vectors("caption", ids)
        centred = unit_rows(looks - collection.image_mean), unit_rows(said - collection.text_mean)
    answers = np.array([true[each] for each in ids])
    return {
        "queries": len(ids),
        "gallery": len(texts),
        "shares": list(SHARES),
        "as published": [accuracy(looks, said, share, gallery, answers) for share in SHARES],
        "seen from the means": [accuracy(*centred, share, gallery, answers) for share in SHARES],
        "gain at 0.3": vars_of(
            interval(correct(looks, said, 0.3, gallery, answers) - correct(looks, said, 0, gallery, answers))
        ),
    }


def correct(
    looks: NDArray[np.float32],
    said: NDArray[np.float32],
    share: float,
    gallery: NDArray[np.float32],
    answers: NDArray[np.int64],
) -> NDArray[np.float64]:
    """1 for each picture whose own caption comes first."""
    first = (((1 - share) * looks + share * said) @ gallery.T).argmax(axis=1)
    return (first == answers).astype(np.float64)


def accuracy(*given: Any) -> float:
    return float(correct(*given).mean())


# The report


def report(told: Mapping[str, Any], stem: str) -> str:
    parts = ["# Captions fused with looks", "", setting(told), "", GAINS, "", f"![By weight of captions]({stem}.png)"]
    for each in told["tasks"]:
        parts += [
            "",
            f"## Queries: {each['name']} ({each['queries']})",
            "",
            *table(each),
            "",
            *sweeps(each),
            "",
            apart(each),
        ]
    return "\n".join([*parts, "", *direction(told["picture_to_caption"]), ""])


def setting(told: Mapping[str, Any]) -> str:
    """What was described by whom, and at which cost."""
    captions, states = told["captions"], told["captions"]["states"]
    return (
        f"{told['images']} drawn pictures of a seed that no model was trained on ({told['seed']}), indexed by the demo "
        f"model without any caption, and described by {told['model']}: {captions['calls']} calls, "
        f"{captions['tokens']:,} tokens, {captions['seconds']:.0f} s with the opening of the model "
        f"({1000 * captions['cpu_seconds'] / max(captions['calls'], 1):.0f} ms of processor time each). "
        f"{states.get('ok', 0) + states.get('cut', 0)} captions, {states.get('failed', 0) + states.get('refused', 0)} "
        "pictures without one."
    )


def table(each: Mapping[str, Any]) -> list[str]:
    measures = MEASURES.split()
    lines = [
        f"| system | {' | '.join(measures)} | gain in {FIRST} | ms per query |",
        f"|---|{'---|' * (len(measures) + 2)}",
    ]
    for name, system in each["systems"].items():
        cells = [f"{100 * system['measures'][measure]:.1f}" for measure in measures]
        told = "" if name == "looks alone" else said(system["gains"][FIRST])
        lines.append(f"| {name} | {' | '.join(cells)} | {told} | {system['cpu_ms_per_query']:.1f} |")
    return lines


def said(one: Mapping[str, float]) -> str:
    verdict = "" if one["low"] > 0 or one["high"] < 0 else ", holds 0"
    return f"{100 * one['mean']:+.1f} ({100 * one['low']:+.1f} to {100 * one['high']:+.1f}{verdict})"


def apart(each: Mapping[str, Any]) -> str:
    """How much there is to gain: where looks and captions do not err together."""
    return (
        f"Captions find {100 * each['first by captions alone']:.1f} % of the answers first where looks do not, and "
        f"looks {100 * each['first by looks alone']:.1f} % where captions do not: a sum gains the one as far as it "
        "does not lose the other."
    )


def sweeps(each: Mapping[str, Any]) -> list[str]:
    return [
        f"Swept, {how}: best with {found['best']:g} for captions; a weight chosen on other queries gains "
        f"{said(found['gain'])} in {FIRST} over looks alone."
        for how, found in each["sweeps"].items()
    ]


def direction(found: Mapping[str, Any]) -> list[str]:
    """The published task."""
    rows = [
        f"| {name} | {' | '.join(f'{100 * value:.1f}' for value in found[name])} |"
        for name in ("as published", "seen from the means")
    ]
    return [
        f"## From a picture to its caption ({found['queries']} pictures, {found['gallery']} captions)",
        "",
        DIRECTION,
        "",
        f"| share | {' | '.join(f'{share:g}' for share in found['shares'])} |",
        f"|---|{'---|' * len(found['shares'])}",
        *rows,
        "",
        f"With the share 0.3, as published, the gain over the picture alone is {said(found['gain at 0.3'])}.",
    ]


def plot(told: Mapping[str, Any], target: Path) -> None:
    """The measures of each task by the weight of captions."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2 + 1, figsize=(12, 3.8), layout="constrained")
    colours = dict(zip(MEASURES.split(), ("#0072b2", "#009e73", "#d55e00"), strict=True))
    for axes, each in zip(panels, told["tasks"], strict=False):
        for how, style in (("late", "-"), ("standard", "--")):
            found = each["sweeps"][how]
            for measure, values in found["means"].items():
                axes.plot(
                    found["weights"],
                    [100 * v for v in values],
                    style,
                    color=colours[measure],
                    label=f"{measure}, {how}",
                )
        finish(axes, f"queries: {each['name']}")
    found = told["picture_to_caption"]
    for name, style in (("as published", "-"), ("seen from the means", "--")):
        panels[-1].plot(
            found["shares"], [100 * v for v in found[name]], style, color=colours["R@1"], label=f"R@1, {name}"
        )
    finish(panels[-1], "from a picture to its caption")
    figure.savefig(target, dpi=110)


def finish(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("weight of captions")
    axes.set_ylabel("percent of queries")
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=7, frameon=False)


if __name__ == "__main__":
    main()
