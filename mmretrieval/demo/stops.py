"""What the tour asks: one query of each kind, the stages that help with that kind, and what is known to be right."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmretrieval.collection import Collection
from mmretrieval.evaluation.queries import QueryRow, read_queries
from mmretrieval.evaluation.runs import read_qrels
from mmretrieval.types import Query

LOOKED_AT = 30  # queries of a kind: those that are counted, and among which the tour looks for one to show
THINGS = ("ingredient=", "animal=")  # the facts that name what a picture holds


@dataclass(frozen=True, slots=True)
class Ways:
    """The stages that join a search, as `Searcher.open` takes them."""

    rewrite: tuple[str, ...] = ()
    rerank: tuple[str, ...] = ()

    def __str__(self) -> str:
        rewritten = f"rewritten by {', '.join(self.rewrite)}" if self.rewrite else ""
        reranked = f"reranked by {', '.join(self.rerank)}" if self.rerank else ""
        return ", ".join(part for part in (rewritten, reranked) if part) or "search alone"


LISTS = Ways(rerank=("ingredients",))
TARGET = Ways(rewrite=("target-caption",))

# the kinds of queries that the drawn world comes with, and what is tried on each
KINDS = {"subset": LISTS, "ingredients": LISTS, "animals": LISTS, "composed": TARGET}


@dataclass(frozen=True, slots=True)
class Stop:
    """One search of the tour: its name, the query, the ids known to be right, and the stages that are tried on it."""

    name: str
    query: Query
    right: frozenset[str]
    ways: Ways


def stops(
    world: Path, collection: Collection, first_hits: Callable[[Sequence[Query]], Sequence[str]]
) -> Iterator[Stop]:
    """The six searches. Of each kind it is the first query that search alone answers wrongly with its first hit.

    `first_hits` is that search; where it is right about all of the first `LOOKED_AT`, the first of them is taken.
    """
    words, judged = read_queries(world / "queries.jsonl"), read_qrels(world / "qrels.tsv")
    composed, targets = read_queries(world / "composed_queries.jsonl"), read_qrels(world / "composed_qrels.tsv")

    def one(name: str, rows: Sequence[QueryRow], qrels: Mapping[str, Iterable[str]], ways: Ways) -> Stop:
        few = rows[:LOOKED_AT]
        firsts = first_hits([row.query for row in few])
        wrong = (row for row, first in zip(few, firsts, strict=True) if first not in qrels[row.query.id])
        row = next(wrong, few[0])
        return Stop(name, row.query, frozenset(qrels[row.query.id]), ways)

    def of(kind: str) -> list[QueryRow]:
        return [row for row in words if row.type == kind]

    def about(domain: str) -> list[QueryRow]:
        return [row for row in composed if domain in str(row.query.image_id)]

    yield one("words", of("subset"), judged, LISTS)
    alike = _alike([str(row.query.image_id) for row in composed], collection)
    yield one("picture", [QueryRow(query, "picture") for query, _ in alike], {q.id: r for q, r in alike}, LISTS)
    yield one("food by ingredients", of("ingredients"), judged, LISTS)
    yield one("natural world", of("animals"), judged, LISTS)
    yield one("picture plus change food", about("food"), targets, TARGET)
    yield one("picture plus change nature", about("nature"), targets, TARGET)


def _alike(pictures: Iterable[str], collection: Collection) -> list[tuple[Query, frozenset[str]]]:
    """Queries for pictures like these; right are all others that hold the very same things, and there are some."""
    things = {each: _things(collection, each) for each in collection.ids}
    asked = []
    for picture in dict.fromkeys(pictures):
        right = frozenset(each for each in things if each != picture and things[each] == things[picture])
        if right:
            asked.append((Query(f"like {picture}", image_id=picture, exclude=frozenset({picture})), right))
    return asked


def _things(collection: Collection, record_id: str) -> frozenset[str]:
    facts = collection.record(record_id).meta["facts"]
    return frozenset(fact for fact in facts if fact.startswith(THINGS))
