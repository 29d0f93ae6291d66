"""The tour: draw a collection, index it, search it in six ways with and without a language model, show what is right.

Both models are those that ship. A stage that changed nothing, or did harm, is shown like one that helped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mmretrieval.asks import MLLM
from mmretrieval.demo.before_and_after import Shown, draw, table
from mmretrieval.demo.stops import KINDS, LOOKED_AT, Stop, Ways, stops
from mmretrieval.demo.write import write_world
from mmretrieval.encoders import open_encoder
from mmretrieval.evaluation.experiment import Evaluation, evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.making import index
from mmretrieval.mllm_names import open_mllm
from mmretrieval.protocols import Encoder
from mmretrieval.searcher import Searcher
from mmretrieval.types import Query

SEED, IMAGES = 2026, 500
FOLDER = Path("demo")
SHOWN = 10
ALONE = Ways()
Progress = Callable[[str, int, int], None]
CHOICE = """\
Each query is the first of its kind that search alone gets wrong at its first hit, so that there is something to gain;
the table at the end counts the easy ones, too. ✓ marks a known right answer."""
LIMITS = """\
Rerankers that show several pictures at once are for larger models; `mmretrieval list rerankers` names them all.
Both demo models were trained on drawings like these and know nothing else: not one photograph, no other animal or dish.
For your own pictures name real models; they are fetched once:
  mmretrieval index PHOTOS --index PHOTOS.index
  mmretrieval search "a dog on a red sofa" --index PHOTOS.index --rerank pointwise --mllm Qwen/Qwen3-VL-2B-Instruct"""


class _Searchers:
    """One searcher for each way to search; they share the models."""

    def __init__(self, folder: Path, encoder: Encoder, mllm: MLLM) -> None:
        self._folder, self._encoder, self._mllm = folder, encoder, mllm
        self._opened: dict[Ways, Searcher] = {}
        self.stack = ExitStack()

    def by(self, ways: Ways) -> Searcher:
        if ways not in self._opened:
            mllm = self._mllm if ways != ALONE else None
            opened = Searcher.open(
                self._folder, encoder=self._encoder, rewrite=ways.rewrite, rerank=ways.rerank, mllm=mllm
            )
            self._opened[ways] = self.stack.enter_context(opened)
        return self._opened[ways]

    def first_hits(self, queries: Sequence[Query]) -> list[str]:
        return [ranking.ids[0] for ranking in self.by(ALONE).search_all(queries, 1)]

    def show(self, stop: Stop) -> Shown:
        before, after = (self.by(ways).search(stop.query, top_k=SHOWN) for ways in (ALONE, stop.ways))
        return Shown(stop, before, after)


def run(out: Path | None = None, progress: Progress | None = None) -> list[str]:
    """Writes world, index and contact sheets below `out` ("demo" by default) and returns the text to print.

    What already stands there is not made again, and what the language model answered is not asked again.
    """
    out = out or FOLDER
    world, folder, sheets = out / "world", out / "index", out / "sheets"
    tell: Progress = progress or (lambda *_: None)
    write_world(world, SEED, IMAGES, progress=lambda done, total: tell("drawn", done, total))
    report = index(world, folder, "demo", progress=lambda now: tell("indexed", now.done, now.total))
    sheets.mkdir(parents=True, exist_ok=True)
    lines = [f"{IMAGES} drawn pictures in {world}: {report.indexed} indexed now, {report.unchanged} were already."]
    lines += CHOICE.splitlines()
    searchers = _Searchers(folder, open_encoder("demo"), open_mllm("demo"))
    with searchers.stack:
        collection = searchers.by(ALONE).collection
        for stop in stops(world, collection, searchers.first_hits):
            shown = searchers.show(stop)
            sheet = sheets / f"{stop.name.replace(' ', '-')}.png"
            draw(shown, collection).save(sheet)
            lines += ["", *table(shown, collection), f"   picture: {sheet}"]
        lines += ["", *_quality(searchers, world, tell), "", LIMITS]
    return lines


def _quality(searchers: _Searchers, world: Path, tell: Progress) -> list[str]:
    """Of how many queries the first hit, and one of the first ten, is right: search alone → with the model."""
    lines = [f"the first {LOOKED_AT} queries of each kind, search alone → with the demo language model"]
    lines.append(f"   {'kind':<12} {'queries':>7}   {'first hit right':<15}   {'mean AP@10':<13}   with what")
    asked = dict.fromkeys(("calls", "cached", "seconds"), 0.0)
    for number, (kind, ways) in enumerate(KINDS.items(), start=1):
        rows, qrels = _of(kind, world)
        before, after = (evaluate(searchers.by(each), rows, qrels, "R@1 AP@10") for each in (ALONE, ways))
        first, mean = (_change(before.measures, after.measures, name) for name in ("R@1", "AP@10"))
        lines.append(f"   {kind:<12} {len(rows):>7}   {first:<15}   {mean:<13}   {ways}")
        asked = {name: so_far + _sum(after, name) for name, so_far in asked.items()}
        tell("measured", number, len(KINDS))
    lines.append("   {calls:.0f} calls of the model, {cached:.0f} kept replies, {seconds:.1f} s".format(**asked))
    return lines


def _of(kind: str, world: Path) -> tuple[list[QueryRow], Qrels]:
    which = "composed_" if kind == "composed" else ""
    rows = [row for row in read_queries(world / f"{which}queries.jsonl") if row.type == kind][:LOOKED_AT]
    qrels = read_qrels(world / f"{which}qrels.tsv")
    return rows, {row.query.id: qrels[row.query.id] for row in rows}


def _change(before: Mapping[str, float], after: Mapping[str, float], name: str) -> str:
    return f"{before[name]:.0%} → {after[name]:.0%}"


def _sum(measured: Evaluation, name: str) -> float:
    return sum(float(step[name]) for step in measured.steps if step["calls"] or step["cached"])
