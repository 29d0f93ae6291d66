"""The tour: draw a collection, index it with the shipped model, search it in six ways, show what is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmretrieval.collection import Collection
from mmretrieval.demo.contact_sheet import Tile, contact_sheet
from mmretrieval.demo.write import write_world
from mmretrieval.evaluation.experiment import evaluate
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import Qrels, read_qrels
from mmretrieval.making import index
from mmretrieval.searcher import Searcher
from mmretrieval.types import Hit, Query, Ranking

if TYPE_CHECKING:
    from PIL.Image import Image

SEED, IMAGES = 2026, 500
FOLDER = Path("demo")
SHOWN = 10
Progress = Callable[[str, int, int], None]
LIMITS = """\
The demo model was trained on drawings like these and knows nothing else: not one photograph, no other animal or dish.
For your own pictures name a real model; open_clip fetches it once:
  mmretrieval index PHOTOS --index PHOTOS.index
  mmretrieval search "a dog on a red sofa" --index PHOTOS.index"""


@dataclass(frozen=True, slots=True)
class Stop:
    """One search of the tour: its name, the query, and the ids known to be right."""

    name: str
    query: Query
    right: frozenset[str]


def run(out: Path | None = None, progress: Progress | None = None) -> list[str]:
    """Writes world, index and contact sheets below `out` ("demo" by default) and returns the text to print.

    What already stands there is not made again.
    """
    out = out or FOLDER
    world, folder, sheets = out / "world", out / "index", out / "sheets"
    tell: Progress = progress or (lambda *_: None)
    write_world(world, SEED, IMAGES, progress=lambda done, total: tell("drawn", done, total))
    report = index(world, folder, "demo", progress=lambda now: tell("indexed", now.done, now.total))
    sheets.mkdir(parents=True, exist_ok=True)
    lines = [f"{IMAGES} drawn pictures in {world}: {report.indexed} indexed now, {report.unchanged} were already."]
    with Searcher.open(folder) as searcher:
        for stop in stops(world):
            ranking = searcher.search(stop.query, top_k=SHOWN)
            sheet = sheets / f"{stop.name.replace(' ', '-')}.png"
            draw_sheet(searcher.collection, stop, ranking).save(sheet)
            lines += ["", *table(stop, ranking, searcher.collection), f"   picture: {sheet}"]
        lines += ["", *quality(searcher, world), "", LIMITS]
    return lines


def stops(world: Path) -> Iterator[Stop]:
    """The five searches, each the first of its kind that has something to find."""
    words, judged = read_queries(world / "queries.jsonl"), read_qrels(world / "qrels.tsv")
    composed, targets = read_queries(world / "composed_queries.jsonl"), read_qrels(world / "composed_qrels.tsv")
    yield _stop("words", next(row for row in words if row.type == "subset"), judged)
    picture = next(row for row in composed if "food" in str(row.query.image_id)).query.image_id or ""
    yield Stop("picture", Query("picture", image_id=picture), frozenset({picture}))
    yield _stop("food by ingredients", next(row for row in words if row.type == "ingredients"), judged)
    yield _stop("natural world", next(row for row in words if row.type == "animals"), judged)
    for name, domain in (("picture plus change food", "food"), ("picture plus change nature", "nature")):
        row = next(row for row in composed if domain in str(row.query.image_id))
        query = Query(name, row.query.text, image_id=row.query.image_id, exclude=frozenset({str(row.query.image_id)}))
        yield Stop(name, query, frozenset(targets[row.query.id]))


def _stop(name: str, row: QueryRow, qrels: Qrels) -> Stop:
    return Stop(name, row.query, frozenset(qrels[row.query.id]))


def spoken(query: Query) -> str:
    """The query in words for people."""
    if not query.has_image:
        return f"“{query.text}”"
    return f"{query.image_id}, but “{query.text}”" if query.is_composed else f"pictures like {query.image_id}"


def table(stop: Stop, ranking: Ranking, collection: Collection) -> list[str]:
    """The ranking as text, right answers marked."""
    found = len(stop.right & set(ranking.ids))
    rows = [f"{stop.name}: {spoken(stop.query)}", f"   {found} of {len(stop.right)} right answers in the first {SHOWN}"]
    for rank, hit in enumerate(ranking.hits[:5], start=1):
        mark = "✓" if hit.id in stop.right else " "
        rows.append(f" {mark} {rank}  {_score(hit)}  {hit.id}  {_short(collection.record(hit.id).caption)}")
    return rows


def draw_sheet(collection: Collection, stop: Stop, ranking: Ranking) -> Image:
    """The hits of a stop with their pictures."""
    tiles = [
        Tile(collection.open_image(hit.id), f"{rank}  {_score(hit)}  {hit.id}", hit.id in stop.right)
        for rank, hit in enumerate(ranking.hits, start=1)
    ]
    reference = collection.open_image(stop.query.image_id) if stop.query.image_id else None
    return contact_sheet(spoken(stop.query), tiles, reference=reference)


def quality(searcher: Searcher, world: Path) -> list[str]:
    """How often the first hit, and one of the first ten, is right, over all queries of this collection."""
    rows = ["over all queries of this collection   first hit right   right one in ten   queries"]
    for queries, judged in (("queries.jsonl", "qrels.tsv"), ("composed_queries.jsonl", "composed_qrels.tsv")):
        asked, qrels = read_queries(world / queries), read_qrels(world / judged)
        got = evaluate(searcher, asked, qrels, "R@1 R@10")
        for kind, measures in sorted(got.by_type.items()):
            number = sum(row.type == kind for row in asked)
            rows.append(f"   {kind:<32} {measures['R@1']:>14.0%} {measures['R@10']:>18.0%} {number:>13}")
    return rows


def _score(hit: Hit) -> str:
    return "     " if hit.score is None else f"{hit.score:.3f}"


def _short(text: str, width: int = 76) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
