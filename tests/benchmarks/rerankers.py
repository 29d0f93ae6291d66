"""What every reranker brings and costs on a drawn collection of a seed that nobody trained on, with the shipped models.

    python tests/benchmarks/rerankers.py [--vlm NAME|FOLDER] [--seed S] [--images N] [--queries N] [--keep DIR]
                                         [--only NAME,NAME] [--out STEM]

Writes STEM.md, STEM.json and STEM.png (by default assets/reports/rerankers). The first stage is the shipped CLIP on
looks alone; the language model is `--vlm`, by default the shipped one. With --keep, pictures, index and finished rows
are kept, so that a run can be taken up again. About twenty minutes on a free core for 100 queries of each kind. The
plot needs the extra `report`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mmretrieval import registry
from mmretrieval.asks import MLLM
from mmretrieval.collection import Collection
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import open_encoder
from mmretrieval.evaluation.comparison import difference
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.making import index
from mmretrieval.mllm_names import open_mllm
from mmretrieval.named_stages import NamedStages
from mmretrieval.pipeline import Pipeline
from mmretrieval.remembering import Remembering
from mmretrieval.searcher import Searcher
from mmretrieval.specs import parse_spec
from mmretrieval.types import Query, Ranking

ROOT = Path(__file__).resolve().parents[2]
MEASURES = ("nDCG@10", "R@1")
FIRST = "first stage"
DEPTH = 16  # one sheet of the grid; every method is given the same candidates where it can take them

# Each registered method at its depth; one that is not named here runs as it is.
SETTINGS: Mapping[str, str] = {
    "cotrr": "depth=6",
    "first_token": f"depth={DEPTH}",
    "grid": f"depth={DEPTH}",
    "groupwise": f"depth={DEPTH}",
    "listwise": f"depth={DEPTH}",
    "pointwise": f"depth={DEPTH}",
    "setwise": f"depth={DEPTH}",
}
FURTHER = (
    f"grid:depth={DEPTH},answer=order",
    f"grid:depth={DEPTH},orders=2",
    "grid:depth=32",
    f"listwise:depth={DEPTH},orders=2",
    f"cotrr:depth={DEPTH}",
    "cotrr:depth=6,mode=direct,orders=2",
    f"pointwise:depth={DEPTH},parts=yes",
    f"pointwise:depth={DEPTH},alpha=1",
    f"grid:depth={DEPTH},alpha=1",
)
CASCADES = (
    f"grid:depth={DEPTH} + pointwise:depth=6",
    f"grid:depth={DEPTH} + cotrr:depth=6",
    f"pointwise:depth={DEPTH} + cotrr:depth=6",
)
ELSEWHERE = {
    "ingredients": "has a table of its own above, of queries that name things",
    "second_encoder": "needs a second encoder, and one is shipped",
}


@dataclass(frozen=True)
class Row:
    """One way of searching: the measures of each query, and what a query cost on average."""

    values: Mapping[str, Mapping[str, float]]  # query -> measure -> value
    calls: float = 0.0
    tokens: float = 0.0
    seconds: float = 0.0  # of processor time, with the search itself
    flips: float | None = None
    tau: float | None = None
    status: Mapping[str, int] | None = None

    def mean(self, measure: str) -> float:
        return fmean(values[measure] for values in self.values.values())


class Watched:
    """A searcher that keeps the rankings it gave, for their steps."""

    def __init__(self, searcher: Searcher) -> None:
        self.searcher, self.rankings = searcher, list[Ranking]()

    @property
    def ids(self) -> Sequence[str]:
        return self.searcher.ids

    def search_all(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        found = self.searcher.search_all(queries, top_k)
        self.rankings += found
        return found


@dataclass
class Bench:
    """The collection and its queries, and rows that are measured once."""

    collection: Collection
    qrels: Qrels
    vlm: str
    kept: Path | None = None

    def __post_init__(self) -> None:
        self.encoder = Remembering(open_encoder("demo"))

    def row(self, kind: str, rows: Sequence[QueryRow], rerank: str, rewrite: str = "") -> Row:
        """`rerank` may be several joined by " + ", or empty. Each opens the model anew: it pays for its pictures."""
        file = self.kept / f"{kind} {rewrite} {rerank or FIRST}.json".replace("/", "_") if self.kept else None
        if file and file.is_file():
            return Row(**json.loads(file.read_text("utf-8")))
        mllm: MLLM | None = open_mllm(self.vlm) if rerank or rewrite else None
        specs = [rewrite] if rewrite else [], rerank.split(" + ") if rerank else []
        named = NamedStages(rewrite=specs[0], rerank=specs[1], asks=mllm is not None)
        pipeline = Pipeline(named.over(self.collection, self.encoder), mllm, self.collection)
        watched = Watched(Searcher(self.collection, pipeline))
        self.encoder.encode_texts(["warm"])
        began = time.process_time()
        told = evaluate(watched, rows, self.qrels, " ".join(MEASURES))
        row = summed(told.by_query, watched.rankings, (time.process_time() - began) / len(told.by_query))
        if mllm:
            mllm.close()
        if file:
            file.write_text(json.dumps(asdict(row)), "utf-8")
        line = f"{kind}: {rewrite} {rerank or FIRST}: {shown(row)}"
        sys.stderr.write(line + "\n")
        return row


def summed(values: Mapping[str, Mapping[str, float]], rankings: Sequence[Ranking], seconds: float) -> Row:
    """A row out of the rankings of all queries; flips and tau are those of the last reranker."""
    last = [ranking.steps[-1] for ranking in rankings]
    flips = [step.flips for step in last if step.flips is not None]
    taus = [step.tau for step in last if step.tau is not None]
    return Row(
        {query: dict(measured) for query, measured in values.items()},
        fmean(sum(step.calls for step in ranking.steps) for ranking in rankings),
        fmean(sum(step.tokens for step in ranking.steps) for ranking in rankings),
        seconds,
        fmean(flips) if flips else None,
        fmean(taus) if taus else None,
        dict(Counter(step.status for step in last)),
    )


def shown(row: Row) -> str:
    return " ".join(f"{measure} {100 * row.mean(measure):.1f}" for measure in MEASURES) + f" calls {row.calls:.1f}"


def change(measure: str, base: Row, other: Row) -> tuple[float, float, float]:
    """Of the mean, in points, with its 95 % interval: paired bootstrap over queries."""
    values = [{query: measured[measure] for query, measured in row.values.items()} for row in (base, other)]
    delta = difference(measure, *values).delta
    return 100 * delta.mean, 100 * delta.low, 100 * delta.high


def table(rows: Mapping[str, Row]) -> list[str]:
    """The rows of a table against its first."""
    base = next(iter(rows.values()))
    lines = [
        "| way | nDCG@10 | R@1 | change of nDCG@10 | change of R@1 | calls | tokens | CPU-s | flips | tau | answers |",
        "|---" * 11 + "|",
    ]
    for name, row in rows.items():
        cells = [f"`{name}`" if name != FIRST else name, *(f"{100 * row.mean(measure):.1f}" for measure in MEASURES)]
        changes = [change(measure, base, row) for measure in MEASURES]
        cells += ["" if row is base else "{:+.1f} ({:+.1f} to {:+.1f})".format(*each) for each in changes]
        cells += [f"{row.calls:.1f}", f"{row.tokens:,.0f}", f"{row.seconds:.2f}"]
        cells += ["" if number is None else f"{number:.2f}" for number in (row.flips, row.tau)]
        cells.append("" if row is base else ", ".join(f"{n} {status}" for status, n in (row.status or {}).items()))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def against(name: str, base: Row, other_name: str, other: Row) -> str:
    """One sentence on what one costs and brings beside another."""
    delta = "; ".join(
        "{}: {:+.1f} points ({:+.1f} to {:+.1f})".format(measure, *change(measure, base, other)) for measure in MEASURES
    )
    share = other.calls / base.calls if base.calls else float("nan")
    tokens = other.tokens / base.tokens if base.tokens else float("nan")
    return f"- `{other_name}` beside `{name}`: {delta}; {share:.3f} of its calls, {tokens:.2f} of its tokens."


def plot(rows: Mapping[str, Row], path: Path) -> None:
    """Change of R@1 with its interval over the calls of a query."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    base = rows[FIRST]
    others = sorted((name for name in rows if name != FIRST), key=lambda name: change("R@1", base, rows[name])[0])
    figure, axes = plt.subplots(figsize=(8.4, 0.36 * len(others) + 1.3), dpi=120)
    for place, name in enumerate(others):
        mean, low, high = change("R@1", base, rows[name])
        axes.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", color="#2a6f97", capsize=3)
        axes.annotate(f"{rows[name].calls:.1f} calls", (high, place), (6, -3), textcoords="offset points", fontsize=8)
    axes.axvline(0, color="0.4", linewidth=1)
    axes.set_yticks(range(len(others)), others, fontsize=8)
    axes.set_xlabel("change of R@1 against the first stage, points, with 95 % interval")
    axes.margins(x=0.15)
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def ways(only: Sequence[str]) -> list[str]:
    """Every registered reranker at its depth, further settings, and cascades."""
    alone = [name for name in registry.names("rerankers") if name not in ELSEWHERE]
    found = [f"{name}:{SETTINGS[name]}" if name in SETTINGS else name for name in alone]
    found += [*FURTHER, *CASCADES]
    return [way for way in found if not only or parse_spec(way.split(" + ")[0])[0] in only]


def kinds(world: Path, most: int) -> dict[str, list[QueryRow]]:
    """The queries by kind: sentences, names of food, and changes of a picture; `most` of each, spread over all."""
    words = read_queries(world / "queries.jsonl")
    found = {
        "words": [row for row in words if row.type in ("subset", "dense")],
        "food": [row for row in words if row.type == "ingredients"],
        "composed": read_queries(world / "composed_queries.jsonl"),
    }
    return {kind: [rows[len(rows) * at // most] for at in range(min(most, len(rows)))] if len(rows) > most else rows
            for kind, rows in found.items()}  # fmt: skip


def measured(bench: Bench, queries: Mapping[str, list[QueryRow]], only: Sequence[str]) -> dict[str, dict[str, Row]]:
    """All tables."""
    words, food, composed = (queries[kind] for kind in ("words", "food", "composed"))
    tables = {"words": {FIRST: bench.row("words", words, "")}}
    tables["words"] |= {way: bench.row("words", words, way) for way in ways(only)}
    own = [way for way in ("ingredients", f"pointwise:depth={DEPTH}") if not only or way.split(":")[0] in only]
    tables["food"] = {FIRST: bench.row("food", food, "")} | {way: bench.row("food", food, way) for way in own}
    some = [f"pointwise:depth={DEPTH}", f"grid:depth={DEPTH}", "cotrr:depth=6"]
    some = [way for way in some if not only or way.split(":")[0] in only]
    tables["composed"] = {FIRST: bench.row("composed", composed, "")}
    tables["composed"] |= {way: bench.row("composed", composed, way) for way in some}
    target = "target_caption"
    tables["target"] = {f"{target}, {FIRST}": bench.row("composed", composed, "", target)}
    tables["target"] |= {f"{target}, {way}": bench.row("composed", composed, way, target) for way in some}
    return tables


_TITLES = {
    "words": "Sentences",
    "food": "Names of food",
    "composed": "A picture plus a change",
    "target": "A picture plus a change, with a description of the target",
}
_ABOUT = {
    "words": """\
Half of them mention about three quarters of what one picture shows, half all of it; a fifth of the pictures have
siblings that differ in a single thing.""",
    "food": """\
The query names all ingredients of one picture; right is every picture that shows all of these. `ingredients` has the
model list what is in each candidate.""",
    "composed": """\
The small model sees one picture: it is asked for the words of the change, and cannot tell if the rest was kept.""",
    "target": """\
The same queries after `--rewrite target_caption`: the rerankers are asked for the description that the model wrote.
The first row is the search with it.""",
}


def findings(rows: Mapping[str, Row]) -> list[str]:
    """What the first table says of the calls of the grid, and of harm."""
    point, grid = f"pointwise:depth={DEPTH}", f"grid:depth={DEPTH}"
    told = [against(point, rows[point], other, rows[other]) for other in (grid, f"{grid},answer=order")
            if point in rows and other in rows]  # fmt: skip
    base = rows[FIRST]
    worse = [name for name, row in rows.items() if "alpha=1" not in name and change("nDCG@10", base, row)[2] < 0]
    better = [name for name, row in rows.items() if change("R@1", base, row)[1] > 0]
    told.append("- Below the first stage with the usual blend, the interval of nDCG@10 without 0: " + _names(worse))
    told.append("- Above the first stage, the interval of R@1 without 0: " + _names(better))
    return told


def _names(names: Sequence[str]) -> str:
    return (", ".join(f"`{name}`" for name in names) or "none") + "."


def report(given: argparse.Namespace, tables: Mapping[str, Mapping[str, Row]]) -> str:
    head = f"""# Rerankers

The demo CLIP finds the candidates by looks alone, the small demo VLM reads them again: {given.images:,} drawn pictures
of seed {given.seed}, on which neither was trained. Written by `tests/benchmarks/rerankers.py`. Per cent; changes are in
points against the first row, with paired bootstrap intervals (95 %) over the queries. Calls, tokens and processor
seconds are for one query, without any cache; seconds include the search, and every row pays for reading its pictures.
*flips* is the share of pairs that are ordered otherwise when shown in another order (only where several were shown),
*tau* the agreement with the order before the last reranker (1: nothing moved). All blend with the order before by half
unless a row says alpha=1, which is what the papers do. A small model cannot write reasoning, so that `cotrr` asks it
yes or no for each part of the query; `mode=direct` is one call without reasoning. Many rows are compared with one, so
a few intervals miss 0 by chance. Settings and cascades were written down before they were measured, but for one thing:
that an answer counts less when another order of showing turns it round, and that a small model is shown a sheet twice
and labels in turn, came after a first run, in which sheets, and lists in two orders, fell below the first stage."""
    lines = head.splitlines()
    for kind, rows in tables.items():
        count = len(next(iter(rows.values())).values)
        lines += ["", f"## {_TITLES[kind]}", "", f"{_ABOUT[kind]} {count} queries.", "", *table(rows)]
        if kind == "words":
            lines += ["", *findings(rows), "", f"![Change of R@1]({given.out.name}.png)"]
    lines += ["", "Not in the first table:", *(f"- `{name}` {why}." for name, why in ELSEWHERE.items())]
    return "\n".join(lines) + "\n"


def run_name(given: argparse.Namespace) -> str:
    """Of what a kept row depends on; other weights under the same name are another run."""
    mllm = open_mllm(given.vlm)
    facts = [given.seed, given.images, given.queries, dict(mllm.fingerprint)]
    mllm.close()
    return "rows-" + hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def main(arguments: Sequence[str] | None = None, log: Callable[[str], Any] = sys.stdout.write) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vlm", default="demo")
    parser.add_argument("--seed", type=int, default=515151)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--queries", type=int, default=100, help="of each kind, at most")
    parser.add_argument("--only", default="", help="names of rerankers, joined by commas")
    parser.add_argument("--keep", type=Path, help="a folder in which pictures, index and finished rows stay")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "rerankers")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        work = given.keep or Path(scratch)
        world, folder, rows = work / "world", work / "world.idx", work / run_name(given)
        rows.mkdir(parents=True, exist_ok=True)
        write_world(world, given.seed, given.images)
        if not folder.is_dir():
            index(world, folder, "demo")
        qrels = read_qrels(world / "qrels.tsv") | read_qrels(world / "composed_qrels.tsv")
        collection = Collection.open(folder)
        bench = Bench(collection, qrels, given.vlm, rows if given.keep else None)
        only = [name for name in given.only.split(",") if name]
        tables = measured(bench, kinds(world, given.queries), only)
        collection.close()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    text = report(given, tables)
    given.out.with_suffix(".md").write_text(text, "utf-8")
    facts = {kind: {name: asdict(row) for name, row in rows.items()} for kind, rows in tables.items()}
    told = {"seed": given.seed, "images": given.images, "model": given.vlm, "tables": facts}
    given.out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    plot(tables["words"], given.out.with_suffix(".png"))
    log(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
