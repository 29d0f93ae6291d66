"""Does a described target help? A picture plus a change on a drawn collection of a seed nobody trained on.

    python tests/benchmarks/target_captions.py [--model NAME|FOLDER] [--seed S] [--images N] [--keep DIR] [--out STEM]

Writes STEM.md, STEM.json and STEM.png (by default assets/reports/target-captions). The pictures are encoded by the
shipped CLIP; the targets are described by `--model` (by default the shipped one). With --keep, pictures, index and
replies are made once. About ten minutes on one core for 2,000 pictures. The plot needs the extra `report`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mmretrieval.calls import open_calls
from mmretrieval.collection import Collection
from mmretrieval.demo.sample import sample
from mmretrieval.demo.write import write_world
from mmretrieval.driver import Outcome, drive
from mmretrieval.encoders import open_encoder
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.evaluation.significance import interval
from mmretrieval.first_stages.dense import Dense
from mmretrieval.indexes.exact import Exact
from mmretrieval.making import index
from mmretrieval.pipeline import Pipeline
from mmretrieval.remembering import Remembering
from mmretrieval.rewriters.target_caption import TargetCaption
from mmretrieval.searcher import Searcher
from mmretrieval.stages import Rewritten
from mmretrieval.training import vlm_words
from mmretrieval.types import TARGET_SHARE, Query

ROOT = Path(__file__).resolve().parents[2]
MEASURES = ("R@1", "R@5", "R@10")
ALPHAS = (0.3, 0.4, 0.5, 0.6, 0.7)
BETAS = tuple(round(0.1 * step, 1) for step in range(11))
ALPHA = 0.5  # equal weights, as every composed query has
Values = Mapping[str, Mapping[str, float]]  # query -> measure -> value


@dataclass(frozen=True)
class Told:
    """What the model said, and what it cost."""

    targets: Mapping[str, str]
    spec: str
    calls: int
    tokens: int
    seconds: float
    cpu: float
    notes: Mapping[str, int]
    again: int  # calls of the second run


def main() -> None:
    parser = argparse.ArgumentParser(description="Target captions on a drawn collection.")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--seed", type=int, default=7402)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "target-captions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.keep or Path(temporary)
        world, folder = place / "world", place / "index"
        write_world(world, given.seed, given.images)
        index(world, folder, "demo")
        rows = read_queries(world / "composed_queries.jsonl")
        qrels = read_qrels(world / "composed_qrels.tsv")
        with Collection.open(folder) as collection:
            told = described(collection, folder, rows, given.model)
            result = measured(collection, rows, qrels, told, given.seed)
    result |= {"seed": given.seed, "images": given.images, "model": Path(told.spec).name}
    given.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    plot(result, given.out.with_suffix(".png"))
    given.out.with_suffix(".md").write_text(page(result, given.out.name))


def described(collection: Collection, folder: Path, rows: Sequence[QueryRow], model: str) -> Told:
    """One call a query, and then all once more, which must cost none."""
    rewriter = TargetCaption(collection)
    calls = open_calls(model, folder)
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        first = asked(rewriter, rows, calls)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        again = asked(rewriter, rows, calls)
    finally:
        calls.close()
    notes: dict[str, int] = {}
    targets = {}
    for row, outcome in zip(rows, first, strict=True):
        assert outcome.value is not None, outcome.error
        targets[row.query.id] = outcome.value.query.target
        status = next(iter(outcome.value.parsed), "failed")
        notes[status] = notes.get(status, 0) + 1
    tokens, made = sum(one.tokens for one in first), sum(one.calls for one in first)
    return Told(targets, calls.spec, made, tokens, wall, cpu, notes, sum(one.calls for one in again))


def asked(rewriter: TargetCaption, rows: Sequence[QueryRow], calls: Any) -> list[Outcome[Rewritten]]:
    flows = [partial(rewriter.rewrite, row.query) for row in rows]
    return drive(flows, calls, rewriter.needs, stop_at_error=True)


def measured(collection: Collection, rows: Sequence[QueryRow], qrels: Qrels, told: Told, seed: int) -> dict[str, Any]:
    """The table, the sweep, and what the model got right."""
    encoder = Remembering(open_encoder("demo"))
    dense = Dense(encoder, collection, Exact(collection.rows()))
    searcher = Searcher(collection, Pipeline([dense], collection=collection))

    def values(alpha: float, beta: float, targets: Mapping[str, str]) -> Values:
        changed = [replace(row, query=weighted(row.query, alpha, beta, targets)) for row in rows]
        return evaluate(searcher, changed, qrels, " ".join(MEASURES)).by_query

    true, scenes = truth(rows, seed)
    others = dict(zip(true, shuffled(list(told.targets.values())), strict=True))
    sweep = {f"{alpha:g} {beta:g}": values(alpha, beta, told.targets) for alpha in ALPHAS for beta in BETAS}
    ours, plain = f"{ALPHA:g} {TARGET_SHARE:g}", f"{ALPHA:g} 0"
    chosen_on = {query for query in told.targets if is_for_choosing(query)}
    best_sum = best(sweep, chosen_on, lambda key: key.endswith(" 0"))
    best_blend = best(sweep, chosen_on, lambda key: not key.endswith(" 0"))
    systems = {
        "picture alone": values(0.0, 0.0, {}),
        "change alone": values(1.0, 0.0, {}),
        "weighted sum": sweep[plain],
        "described target alone": sweep[f"{ALPHA:g} 1"],
        "blended": sweep[ours],
        "blended, another query's target": values(ALPHA, TARGET_SHARE, others),
        "true description alone": values(ALPHA, 1.0, true),
        "blended, true description": values(ALPHA, TARGET_SHARE, true),
    }
    return {
        "queries": len(rows),
        "cost": {
            "calls": told.calls,
            "tokens": told.tokens,
            "seconds": told.seconds,
            "cpu": told.cpu,
            "again": told.again,
            "read": told.notes,
        },
        "said": right(scenes, told.targets),
        "systems": [row(name, each, systems["weighted sum"], sorted(told.targets)) for name, each in systems.items()],
        "held out": held_out(sweep, best_sum, best_blend, sorted(told.targets.keys() - chosen_on)),
        "sweep": {key: {m: mean(each, m, each) for m in MEASURES} for key, each in sweep.items()},
        "defaults": {"alpha": ALPHA, "beta": TARGET_SHARE},
    }


def weighted(query: Query, alpha: float, beta: float, targets: Mapping[str, str]) -> Query:
    weights = {"text": alpha, "image": 1 - alpha, "target": beta}
    return replace(query, weights=weights, target=targets.get(query.id, "") if beta else "")


def truth(rows: Sequence[QueryRow], seed: int) -> tuple[dict[str, str], dict[str, tuple[Any, Any]]]:
    """The whole description of each true target, and the scenes before and after the change."""
    told, scenes = {}, {}
    for each in rows:
        after = sample(seed, int(each.query.id.rpartition("-")[2]), "both")
        before = sample(seed, int(str(each.query.image_id).rpartition("-")[2]), "both")
        told[each.query.id] = vlm_words.sentence(after.scene)
        scenes[each.query.id] = (before.scene, after.scene)
    return told, scenes


def shuffled(targets: Sequence[str]) -> list[str]:
    """Each gets the target of another query, by a fixed shift of a seeded order."""
    places = list(range(len(targets)))
    random.Random(0).shuffle(places)
    after = dict(zip(places, [*places[1:], places[0]], strict=True))
    return [targets[after[place]] for place in range(len(targets))]


def right(scenes: Mapping[str, tuple[Any, Any]], targets: Mapping[str, str]) -> dict[str, float]:
    """The share of descriptions with the whole change, and the share of the rest that is kept."""
    applied, kept = [], []
    for query, (before, after) in scenes.items():
        old, new, said = vlm_words.values_of(before), vlm_words.values_of(after), vlm_words.read(targets[query])
        changed = {slot for slot in old.keys() | new.keys() if old.get(slot) != new.get(slot)}
        applied.append(all(said.get(slot) == new.get(slot) for slot in changed))
        kept += [said.get(slot) == value for slot, value in new.items() if slot not in changed]
    return {"applied": sum(applied) / len(applied), "kept": sum(kept) / len(kept)}


def is_for_choosing(query: str) -> bool:
    return hashlib.sha256(query.encode()).digest()[0] % 2 == 0


def best(sweep: Mapping[str, Values], ids: set[str], may: Any) -> str:
    """The weights with the best mean of the three measures on these queries."""
    return max(filter(may, sweep), key=lambda key: sum(mean(sweep[key], measure, ids) for measure in MEASURES))


def mean(values: Values, measure: str, ids: Any) -> float:
    return sum(values[each][measure] for each in ids) / len(ids)


def row(name: str, values: Values, base: Values, ids: Sequence[str]) -> dict[str, Any]:
    """Means in percent, and the paired difference from the weighted sum with its interval."""
    found: dict[str, Any] = {"name": name}
    for measure in MEASURES:
        gain = interval([values[each][measure] - base[each][measure] for each in ids])
        over = [100 * gain.mean, 100 * gain.low, 100 * gain.high]
        found[measure] = {"mean": 100 * mean(values, measure, ids), "over": over}
    return found


def held_out(sweep: Mapping[str, Values], of_sum: str, of_blend: str, ids: Sequence[str]) -> dict[str, Any]:
    return {
        "sum": of_sum,
        "blend": of_blend,
        "queries": len(ids),
        "rows": [
            row(f"weighted sum, α {of_sum.partition(' ')[0]}", sweep[of_sum], sweep[of_sum], ids),
            row("blended, α {} β {}".format(*of_blend.split()), sweep[of_blend], sweep[of_sum], ids),
        ],
    }


def table(rows: Sequence[Mapping[str, Any]], base: str) -> list[str]:
    lines = [f"| query | {' | '.join(MEASURES)} |", f"| --- |{' --- |' * len(MEASURES)}"]
    for each in rows:
        cells = [
            f"{cell['mean']:.1f}"
            if each["name"] == base
            else "{:.1f} ({:+.1f} [{:+.1f}, {:+.1f}])".format(cell["mean"], *cell["over"])
            for cell in (each[measure] for measure in MEASURES)
        ]
        lines.append(f"| {each['name']} | {' | '.join(cells)} |")
    return lines


def verdict(result: Mapping[str, Any]) -> str:
    """What the interval of R@1 allows to say."""
    blended = next(each for each in result["systems"] if each["name"] == "blended")
    _, low, high = blended["R@1"]["over"]
    said = result["said"]
    if low > 0:
        return "The blended query beats the weighted sum: the interval of the difference in R@1 excludes 0."
    if high < 0:
        return (
            "The blended query is worse than the weighted sum: the interval of the difference in R@1 lies below 0. The "
            f"model applies the whole change in {said['applied']:.0%} of its descriptions and keeps {said['kept']:.0%} "
            "of the rest, and what it gets wrong pulls the query away; a true description does not."
        )
    return (
        "The interval of the difference in R@1 between the blended query and the weighted sum includes 0, so nothing "
        f"is shown. The model applies the whole change in {said['applied']:.0%} of its descriptions and keeps "
        f"{said['kept']:.0%} of the rest; a true description shows what is left to gain."
    )


def page(result: Mapping[str, Any], stem: str) -> str:
    cost, held = result["cost"], result["held out"]
    read = ", ".join(f"{count} {status}" for status, count in cost["read"].items())
    a_call = cost["seconds"] / max(cost["calls"], 1)
    once = cost["cpu"] / max(cost["calls"], 1)
    lines = [
        "# Target captions: a picture plus a change",
        "",
        f"{result['images']:,} drawn pictures of seed {result['seed']}, {result['queries']} queries of a picture and",
        "a change, each with the pictures that show exactly the changed scene. The demo CLIP encodes, and the model",
        f"`{result['model']}` sees picture and change in one call and describes the target. The reference leaves every",
        "ranking. Written by `tests/benchmarks/target_captions.py`.",
        "",
        verdict(result),
        "",
        "The query is unit((1 - β) unit((1 - α) picture + α change) + β description), each a unit vector seen from the",
        "mean of its kind. Here α is {alpha:g} and β {beta:g}: the defaults.".format(**result["defaults"]),
        "",
        *table(result["systems"], "weighted sum"),
        "",
        "In brackets: the paired difference from the weighted sum in points, with its 95 % interval (bootstrap over",
        "queries). A true description is what the drawn world itself says of the target, in the words that the model",
        "was taught: it bounds what any model can gain. Another query's target shows what a wrong description costs.",
        "",
        "## The shares",
        "",
        f"![R@1 over the share of the description]({stem}.png)",
        "",
        f"On {held['queries']} queries, with α and β chosen on the other half (mean of the three measures):",
        "",
        *table(held["rows"], held["rows"][0]["name"]),
        "",
        f"| R@1, α down, β across | {' | '.join(f'{beta:g}' for beta in BETAS)} |",
        f"| --- |{' --- |' * len(BETAS)}",
        *(
            f"| {alpha:g} | "
            + " | ".join(f"{100 * result['sweep'][f'{alpha:g} {beta:g}']['R@1']:.1f}" for beta in BETAS)
            + " |"
            for alpha in ALPHAS
        ),
        "",
        "## What the model said, and its cost",
        "",
        f"- The whole change is in {result['said']['applied']:.1%} of the descriptions; of what the change leaves,",
        f"  {result['said']['kept']:.1%} is kept.",
        f"- {cost['calls']} calls, {cost['tokens']:,} tokens, {cost['seconds']:.0f} s: {a_call:.2f} s a call on one",
        f"  core that others used, too ({once:.2f} s of processor time). Answers read as: {read}.",
        f"- The same queries once more: {cost['again']} calls, since replies are kept beside the index.",
    ]
    return "\n".join(lines) + "\n"


def plot(result: Mapping[str, Any], path: Path) -> None:
    """R@1 over β, one line for each α."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4), dpi=120)
    for alpha, style in zip(ALPHAS, ("o-", "s-", "^-", "v-", "d-"), strict=True):
        found = [100 * result["sweep"][f"{alpha:g} {beta:g}"]["R@1"] for beta in BETAS]
        axes.plot(BETAS, found, style, label=f"α = {alpha:g}", markersize=4)
    axes.set_xlabel("β, share of the description (0: weighted sum, 1: description alone)")
    axes.set_ylabel("R@1, per cent")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


if __name__ == "__main__":
    main()
