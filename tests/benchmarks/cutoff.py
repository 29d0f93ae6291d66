"""Does a cutoff tell queries whose answer is there from those whose answer is not? Drawn pictures and photographs.

    OMP_NUM_THREADS=1 python tests/benchmarks/cutoff.py [--work FOLDER] [--images N] [--queries N] [--data FOLDER]

A query is asked twice: as it is, and with all its answers taken out of the collection, so that whatever is best then
is wrong. In the drawn collection there are also queries made for other scenes, which no picture fulfils, and things
that were never drawn. Everything stands on the demo model, whose scores on photographs mean little: there the point is
only whether the cutoff notices. `FOLDER` keeps what was drawn and indexed. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

import mmretrieval as mm
from mmretrieval.cutoff import STRICTNESS, Unrelated
from mmretrieval.demo.sample import sample
from mmretrieval.demo.wording import choose_facts, describe, kinds
from mmretrieval.demo.write import write_world
from mmretrieval.evaluation.queries import read_queries
from mmretrieval.evaluation.runs import read_qrels
from mmretrieval.remembering import Remembering
from mmretrieval.stages import FirstStage
from mmretrieval.types import Query

ROOT = Path(__file__).resolve().parents[2]
SEED, OTHER_SEED = 70707, 90909  # the model was trained on neither
PHOTOGRAPHS = ("img-coco-open", "img-grocery-store", "img-dreambooth", "img-wiki-zoo")
STRICTNESSES = (0.5, 0.75, 0.9)
_NEVER_DRAWN = """a steam train at a station|a man riding a bicycle|two children playing football|a red sports car
a laptop on a desk|a bowl of soup with dumplings|a whale jumping out of the sea|an airplane in the sky
a birthday cake with candles|a pizza with salami|a horse galloping on a beach|a cat sleeping on a sofa
traffic in a big city at night|a guitar player on a stage|a cup of coffee and a croissant|a lion in the savanna
a penguin on ice|a bride and a groom|a skyscraper|a burger with fries|a parrot on a branch|a boat on a river
a polar bear with cubs|ice cream in a cone|a bunch of bananas|a monkey climbing a tree|spaghetti with meatballs"""
NEVER_DRAWN = _NEVER_DRAWN.replace("\n", "|").split("|")


_HEAD = """A cutoff (`--cutoff`) against the best fixed threshold on the score, on {images:,} drawn pictures of a seed
that the demo model never saw, and on small sets of photographs, searched with the same model, which knows none.
Every query is asked as it is ("present") and with its answers taken out of the collection ("absent"); "words for
other scenes" are queries that no drawn picture fulfils, most of them by a single detail.

The fixed threshold is fitted to labels, on half of the queries of the very task, and both are measured on the other
half (mean of 20 halvings). The cutoff sees no labels. F1 is that of telling that the answer is there; "all kept" is
what no cutoff at all gets. Kept and passed are the shares of present and absent queries that find something at
strictness 0.75. Within one task fixed threshold and cutoff order queries alike, so their AUROC is the same.
Written by `tests/benchmarks/cutoff.py`."""
_READING = """## Reading it

- On the drawn pictures nothing orders queries of one kind better than the score itself: counting it from random
  pictures (z, tail) loses; on the photographs the differences are those of small sets. So the cutoff leaves the score
  alone and learns only where to put the line, for each kind of query.
- The line it finds for words is about as good as the one fitted to labels. For a picture with words it lies too low:
  the drawn changes are about pictures with siblings that differ in one detail, and a sibling is nearly what was asked
  for, while most records, and so most stand-ins, have none.
- On photographs this model cannot tell what is there from what is not (AUROC near one half), and then the best F1 is
  that of keeping everything, which no cutoff reaches. What the cutoff promises it keeps there, too: about a quarter of
  the absent queries pass, whereas a threshold learned elsewhere passes nearly all of some kind and nothing of others.
  (These manifests have no captions in the field of that name, so the words of stand-ins are neutral sentences.)
- Figures for a model that knows photographs are missing here, since none was at hand."""
_COLUMNS = "collection|task|present, absent|AUROC|F1 fixed, fitted|F1 cutoff 0.5|0.75|0.9|all kept|kept|passed"


@dataclass(frozen=True)
class Task:
    """Queries of one kind on one collection; `absent` are queries whose answer is not there."""

    name: str
    present: tuple[Query, ...]
    absent: tuple[Query, ...]


@dataclass
class Scored:
    """Best scores of a task's queries in several forms, and what the collection's unrelated pictures reach."""

    collection: str
    name: str
    present: dict[str, np.ndarray]
    absent: dict[str, np.ndarray]
    unrelated: np.ndarray


def with_answers_taken_out(query: Query, answers: Iterable[str]) -> Query:
    return replace(query, id=f"{query.id} without", exclude=query.exclude.union(answers))


def paired(name: str, rows: Sequence[Query], qrels: dict[str, dict[str, int]], known: frozenset[str]) -> Task | None:
    """A task of queries that have an answer in the collection."""
    present, absent = [], []
    for query in rows:
        answers = {doc for doc, grade in qrels.get(query.id, {}).items() if grade >= 1} & known - query.exclude
        if answers and (query.image_id is None or query.image_id in known):
            present.append(query)
            absent.append(with_answers_taken_out(query, answers))
    return Task(name, tuple(present), tuple(absent)) if len(present) >= 10 else None


def of_files(
    folder: Path, stem: str, name: str, known: frozenset[str], most: int, *, words: bool = True
) -> Task | None:
    queries, qrels = folder / f"{stem}queries.jsonl", folder / f"{stem}qrels.tsv"
    if not queries.is_file():
        return None
    rows = [row.query for row in read_queries(queries)][:most]
    rows = [
        replace(q, text=q.text if words else "", exclude=q.exclude | ({q.image_id} if q.image_id else set()))
        for q in rows
    ]
    return paired(name, rows, read_qrels(qrels), known)


def queries_for_other_scenes(images: int, most: int) -> list[Query]:
    """Words about scenes of another seed that no picture of this one fulfils."""
    facts = [sample(SEED, number).scene.facts for number in range(images)]
    found: list[Query] = []
    number = 0
    while len(found) < most:
        each, rng = sample(OTHER_SEED, number), Random(f"query:{number}")
        said = (choose_facts(each.scene, 0.75, rng), each.scene.facts, kinds(each.scene))[number % 3]
        if not any(said <= own for own in facts):
            found.append(Query(f"other-{number}", describe(each.scene, said, rng)))
        number += 1
    return found


def tasks_of(name: str, folder: Path, known: frozenset[str], images: int, most: int) -> list[Task]:
    found = [
        of_files(folder, "", "words", known, most),
        of_files(folder, "composed_", "picture and words", known, most),
        of_files(folder, "image_", "picture", known, most, words=False),
    ]
    tasks = [task for task in found if task]
    if name == "drawn":
        words = tasks[0]
        tasks.append(Task("words for other scenes", words.present, tuple(queries_for_other_scenes(images, most))))
        never = tuple(Query(f"never-{number}", text) for number, text in enumerate(NEVER_DRAWN))
        tasks.append(Task("things never drawn", words.present, never))
    return tasks


def best_scores(stage: FirstStage, queries: Sequence[Query], sampled: frozenset[str]) -> dict[str, np.ndarray]:
    """The best score of each query, plain and against what random pictures score for the same query."""
    plain = [ranking.hits[0].score for ranking in stage.search(queries, 1)]
    random = stage.search([replace(q, within=sampled, exclude=frozenset()) for q in queries], len(sampled))
    null = [np.array([hit.score for hit in ranking.hits]) for ranking in random]
    z = [(score - own.mean()) / own.std() for score, own in zip(plain, null, strict=True)]
    top = [score - np.sort(own)[-max(1, len(own) // 50) :].mean() for score, own in zip(plain, null, strict=True)]
    return {"score": np.array(plain), "z": np.array(z), "tail": np.array(top)}


def scored(collection: str, searcher: mm.Searcher, task: Task, unrelated: Unrelated) -> Scored:
    stage, ids = searcher.pipeline.first_stage, searcher.ids
    sampled = frozenset(ids[at] for at in np.linspace(0, len(ids) - 1, min(256, len(ids))).astype(int))
    return Scored(
        collection,
        task.name,
        best_scores(stage, task.present, sampled),
        best_scores(stage, task.absent, sampled),
        unrelated.best_scores(task.present[0]),
    )


def auroc(present: np.ndarray, absent: np.ndarray) -> float:
    """How often a query with an answer scores higher than one without; ties count half."""
    above = (present[:, None] > absent[None]).mean() + 0.5 * (present[:, None] == absent[None]).mean()
    return float(above)


def f1(present: np.ndarray, absent: np.ndarray, floor: float) -> float:
    """Of telling that the answer is there."""
    right, wrong, missed = (present >= floor).sum(), (absent >= floor).sum(), (present < floor).sum()
    return float(2 * right / max(1, 2 * right + wrong + missed))


def best_floor(present: np.ndarray, absent: np.ndarray) -> float:
    floors = np.unique(np.concatenate([present, absent]))
    return float(floors[np.argmax([f1(present, absent, floor) for floor in floors])])


def halves(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(len(values))
    return values[order[: len(order) // 2]], values[order[len(order) // 2 :]]


def calibrated(one: Scored, values: np.ndarray) -> np.ndarray:
    """Scores counted from what the best unrelated pictures reach, so that tasks can be put together."""
    low, high = np.quantile(one.unrelated, [0.5, STRICTNESS])
    return (values - high) / max(float(high - low), 1e-9)


def per_task(results: Sequence[Scored], rounds: int) -> list[dict[str, object]]:
    """AUROC by form; F1 of the fixed threshold fitted on half, and of the cutoff, both on the other half."""
    table = []
    for one in results:
        found: dict[str, list[float]] = {}
        for seed in range(rounds):
            fit_p, test_p = halves(one.present["score"], seed)
            fit_a, test_a = halves(one.absent["score"], seed)
            tried = {"fixed": best_floor(fit_p, fit_a), "all kept": -np.inf}
            tried |= {f"cutoff {s}": float(np.quantile(one.unrelated, s)) for s in STRICTNESSES}
            for name, floor in tried.items():
                found.setdefault(name, []).append(f1(test_p, test_a, floor))
        table.append(
            {
                "collection": one.collection,
                "task": one.name,
                "present": len(one.present["score"]),
                "absent": len(one.absent["score"]),
                "auroc": {form: auroc(one.present[form], one.absent[form]) for form in one.present},
                "f1": {name: float(np.mean(values)) for name, values in found.items()},
                "floor": float(np.quantile(one.unrelated, STRICTNESS)),
                "kept": float((one.present["score"] >= np.quantile(one.unrelated, STRICTNESS)).mean()),
                "passed": float((one.absent["score"] >= np.quantile(one.unrelated, STRICTNESS)).mean()),
            }
        )
    return table


def together(results: Sequence[Scored], rounds: int) -> dict[str, dict[str, float]]:
    """All kinds of queries in one bag, each task weighing the same: one fixed threshold against one strictness."""
    rng = np.random.default_rng(0)

    def bag(make: Callable[[Scored, str], np.ndarray], side: str) -> np.ndarray:
        return np.concatenate([rng.choice(make(one, side), 300) for one in results])

    def raw(form: str) -> Callable[[Scored, str], np.ndarray]:
        return lambda one, side: getattr(one, side)[form]

    ways = {"fixed": raw("score"), "z": raw("z"), "tail": raw("tail")}
    ways["cutoff"] = lambda one, side: calibrated(one, getattr(one, side)["score"])
    told: dict[str, dict[str, float]] = {}
    for name, make in ways.items():
        present, absent = bag(make, "present"), bag(make, "absent")
        fitted = []
        for seed in range(rounds):
            (fit_p, test_p), (fit_a, test_a) = halves(present, seed), halves(absent, seed)
            fitted.append(f1(test_p, test_a, best_floor(fit_p, fit_a)))
        told[name] = {"auroc": auroc(present, absent), "f1 fitted": float(np.mean(fitted))}
        if name == "cutoff":
            told[name]["f1 unfitted"] = f1(present, absent, 0.0)
    return told


def elsewhere(results: Sequence[Scored]) -> list[dict[str, object]]:
    """Shares of queries that find something: by the threshold fitted to words on the drawn pictures, by the cutoff."""
    fixed = best_floor(results[0].present["score"], results[0].absent["score"])
    table = []
    for one in results:
        floors = {"fixed": fixed, "cutoff": float(np.quantile(one.unrelated, STRICTNESS))}
        shares = {
            name: [float((each["score"] >= floor).mean()) for each in (one.present, one.absent)]
            for name, floor in floors.items()
        }
        table.append({"collection": one.collection, "task": one.name, **shares})
    return table


def opened(name: str, folder: Path, work: Path) -> mm.Searcher:
    encoder = Remembering(mm.open_encoder("demo"))  # every query is asked several times
    index = work / ("world.idx" if name == "drawn" else f"{name}.idx")
    if not index.is_dir():
        mm.index(folder, index, "demo")
    return mm.Searcher.open(index, encoder=encoder)


def report(table: Sequence[dict], pooled: dict[str, dict], transfer: Sequence[dict], images: int) -> str:
    lines = [
        "# Where matches end",
        "",
        _HEAD.format(images=images),
        "",
        "## Each kind of query for itself",
        "",
        f"| {_COLUMNS.replace('|', ' | ')} |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        scores = row["f1"]
        cells = [row["auroc"]["score"], scores["fixed"], *(scores[f"cutoff {s}"] for s in STRICTNESSES)]
        cells += [scores["all kept"], row["kept"], row["passed"]]
        counts = f"{row['present']}, {row['absent']}"
        lines.append(
            f"| {row['collection']} | {row['task']} | {counts} | " + " | ".join(f"{c:.3f}" for c in cells) + " |"
        )
    lines += [
        "",
        "## Other forms that were tried: AUROC",
        "",
        "| collection | task | score | z | tail |",
        "|---|---|---|---|---|",
    ]
    for row in table:
        cells = " | ".join(f"{row['auroc'][form]:.3f}" for form in ("score", "z", "tail"))
        lines.append(f"| {row['collection']} | {row['task']} | {cells} |")
    lines += [
        "",
        "*z* counts the best score in deviations from what 256 random pictures score for the same query, *tail* from",
        "the best 2 % of those.",
        "",
        "## All kinds of queries together",
        "",
        "One bag of equally many queries of every task: one threshold has to serve them all.",
        "",
        "| bag | form | AUROC | F1, fitted on half | F1 at strictness 0.75, unfitted |",
        "|---|---|---|---|---|",
    ]
    for name, forms in pooled.items():
        for form, values in forms.items():
            unfitted = values.get("f1 unfitted")
            shown = "" if unfitted is None else f"{unfitted:.3f}"
            lines.append(f"| {name} | {form} | {values['auroc']:.3f} | {values['f1 fitted']:.3f} | {shown} |")
    lines += [
        "",
        "## Taken elsewhere",
        "",
        "Shares of present and absent queries that find something, by the fixed threshold that is best for words on",
        "the drawn pictures, and by the cutoff at strictness 0.75, which should let a quarter of what is absent pass.",
        "",
        "| collection | task | fixed: present | absent | cutoff: present | absent |",
        "|---|---|---|---|---|---|",
    ]
    for row in transfer:
        cells = " | ".join(f"{share:.2f}" for share in (*row["fixed"], *row["cutoff"]))
        lines.append(f"| {row['collection']} | {row['task']} | {cells} |")
    lines += ["", _READING]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "cutoff.md")
    given = parser.parse_args()
    results: list[Scored] = []
    with tempfile.TemporaryDirectory() as scratch:
        work = given.work or Path(scratch)
        write_world(work / "world", SEED, given.images)
        folders = {"drawn": work / "world"}
        folders |= {name: given.data / name / "dev" for name in PHOTOGRAPHS if (given.data / name / "dev").is_dir()}
        for name, folder in folders.items():
            with opened(name, folder, work) as searcher:
                unrelated = Unrelated(searcher.pipeline.first_stage, searcher.collection)
                for task in tasks_of(name, folder, frozenset(searcher.ids), given.images, given.queries):
                    results.append(scored(name, searcher, task, unrelated))
                    sys.stderr.write(f"{name}: {task.name}, {len(task.present)} and {len(task.absent)} queries\n")
    drawn = [one for one in results if one.collection == "drawn"]
    pooled = {"drawn": together(drawn, 20), "all": together(results, 20)}
    table, transfer = per_task(results, 20), elsewhere(results)
    text = report(table, pooled, transfer, given.images)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, "utf-8")
    facts = {
        "images": given.images,
        "strictness": STRICTNESS,
        "tasks": table,
        "together": pooled,
        "elsewhere": transfer,
    }
    given.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
