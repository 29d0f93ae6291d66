"""Tasks with exact answers made from the facts of a drawn collection: words to avoid, examples, feedback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from mmretrieval.types import Part, Query

KINDS = ("ingredient=", "animal=")
UNSAID = ("plate", "plate.colour", "table", "habitat", "weather", "plant")


@dataclass(frozen=True)
class Task:
    """Queries with their answers; the variants of a task ask the same questions in other ways."""

    queries: tuple[Query, ...]
    qrels: Mapping[str, Mapping[str, int]]
    measures: str = "AP@100 R@1 R@10"


class Facts:
    """Which pictures show what."""

    def __init__(self, world: Path) -> None:
        rows = [json.loads(line) for line in (world / "manifest.jsonl").read_text("utf-8").splitlines()]
        self.of = {row["id"]: frozenset(row["facts"]) for row in rows}
        self.showing: dict[str, set[str]] = {}
        for name, facts in self.of.items():
            for fact in facts:
                self.showing.setdefault(fact, set()).add(name)
        self.kinds = sorted(fact for fact in self.showing if fact.startswith(KINDS))


def word(fact: str) -> str:
    return fact.partition("=")[2]


def avoiding(facts: Facts, most: int = 200) -> list[tuple[str, str, Mapping[str, int]]]:
    """Pairs of kinds that occur together and apart: (wanted, unwanted, the pictures with the first alone)."""
    found = []
    for wanted in facts.kinds:
        for unwanted in facts.kinds:
            both = facts.showing[wanted] & facts.showing[unwanted]
            alone = facts.showing[wanted] - facts.showing[unwanted]
            if wanted != unwanted and len(both) >= 4 and len(alone) >= 8:
                found.append((wanted, unwanted, dict.fromkeys(sorted(alone), 1)))
    return Random(1).sample(found, min(most, len(found)))


def avoiding_task(pairs: Sequence[tuple[str, str, Mapping[str, int]]], weight: float, form: str = "minus") -> Task:
    """`form`: "minus" leads away by a part of that weight, "words" says it in the text, "none" does not say it."""
    queries, qrels = [], {}
    for wanted, unwanted, right in pairs:
        name = f"{wanted} not {unwanted}"
        text = f"{word(wanted)} without {word(unwanted)}" if form == "words" else word(wanted)
        parts = (Part(text=word(unwanted), weight=-weight),) if form == "minus" and weight else ()
        queries.append(Query(name, text, parts=parts))
        qrels[name] = right
    return Task(tuple(queries), qrels)


def alike_task(facts: Facts, examples: int, draws: int = 4, most: int = 5) -> Task:
    """Find the other pictures of a kind from so many examples of it; all `most` examples stay out of the ranking."""
    queries, qrels = [], {}
    for kind in facts.kinds:
        for draw in range(draws):
            own = sorted(facts.showing[kind])
            if len(own) < 3 * most:
                continue
            chosen = Random(f"{kind}:{draw}").sample(own, most)
            name = f"{kind} {draw}"
            queries.append(Query(name, like=tuple(chosen[:examples]), exclude=frozenset(chosen)))
            qrels[name] = dict.fromkeys((each for each in own if each not in chosen), 1)
    return Task(tuple(queries), qrels)


def judged_pages(
    queries: Sequence[Query],
    qrels: Mapping[str, Mapping[str, int]],
    run: Mapping[str, Sequence[str]],
    page: int = 20,
    most: int = 3,
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Per query the first right and the first wrong pictures of its first page, as a user would mark them.

    Only queries with a right and a wrong one there, and with right ones left to find.
    """
    marked = {}
    for query in queries:
        right = [name for name in run[query.id][:page] if name in qrels[query.id]][:most]
        wrong = [name for name in run[query.id][:page] if name not in qrels[query.id]][:most]
        if right and wrong and len(qrels[query.id]) > len(right):
            marked[query.id] = (tuple(right), tuple(wrong))
    return marked


def feedback_task(
    queries: Sequence[Query],
    qrels: Mapping[str, Mapping[str, int]],
    marked: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
    *,
    like: float,
    unlike: float,
    by_chance: Mapping[str, tuple[str, ...]] | None = None,
) -> Task:
    """The queries with what was marked; everything that was marked, or drawn by chance, stays out of every ranking.

    `by_chance` takes pictures drawn at random for the examples.
    """
    changed, left = [], {}
    for query in queries:
        if query.id not in marked:
            continue
        right, wrong = marked[query.id]
        drawn = () if by_chance is None else by_chance[query.id]
        seen = frozenset((*right, *wrong, *drawn))
        examples = right if by_chance is None else drawn
        own = replace(query, exclude=query.exclude | seen, weights={"like": like, "unlike": unlike})
        changed.append(replace(own, like=examples, unlike=wrong))
        left[query.id] = {name: grade for name, grade in qrels[query.id].items() if name not in seen}
    return Task(tuple(changed), left)


def drawn_by_chance(
    facts: Facts, qrels: Mapping[str, Mapping[str, int]], number: int = 3
) -> dict[str, tuple[str, ...]]:
    """For each query pictures that have nothing to do with it."""
    every = sorted(facts.of)
    return {
        name: tuple(Random(f"chance:{name}").sample([each for each in every if each not in right], number))
        for name, right in qrels.items()
    }


def unsaid_task(facts: Facts, like: float, unlike: float, *, words: bool = True, most: int = 300) -> Task:
    """Words name a kind of thing, and examples show what else is wanted: a plate, a table, a habitat, the weather.

    Three pictures with both are marked right, three with the kind alone wrong; all six stay out of the ranking.
    """
    found = []
    for kind in facts.kinds:
        for other in sorted(facts.showing):
            own = sorted(facts.showing[kind] & facts.showing[other])
            if other.partition("=")[0] in UNSAID and len(own) >= 9:
                found.append((kind, other, own))
    queries, qrels = [], {}
    for kind, other, own in Random(3).sample(found, min(most, len(found))):
        random = Random(f"{kind} {other}")
        right, wrong = random.sample(own, 3), random.sample(sorted(facts.showing[kind] - set(own)), 3)
        name = f"{kind} {other}"
        query = Query(name, word(kind), like=tuple(right), unlike=tuple(wrong), exclude=frozenset((*right, *wrong)))
        marks = {"like": like, "unlike": unlike}
        queries.append(replace(query, text=query.text if words else "", weights=marks))
        qrels[name] = dict.fromkeys((each for each in own if each not in right), 1)
    return Task(tuple(queries), qrels)


def more_task(facts: Facts, each: int = 12) -> Task:
    """One picture seeks all others that show the same kinds of things, whatever else they show."""
    kinds = {name: frozenset(fact for fact in own if fact.startswith(KINDS)) for name, own in facts.of.items()}
    queries, qrels = [], {}
    for name in sorted(facts.of)[::each]:
        right = {other: 1 for other, own in kinds.items() if other != name and own >= kinds[name]}
        if right:
            queries.append(Query(name, image_id=name, exclude=frozenset({name})))
            qrels[name] = right
    return Task(tuple(queries), qrels)


def kind_task(facts: Facts) -> Task:
    """One picture of a kind seeks all pictures with that kind: many right answers."""
    queries, qrels = [], {}
    for kind in facts.kinds:
        own = sorted(facts.showing[kind])
        for name in Random(kind).sample(own, min(4, len(own))):
            queries.append(Query(f"{kind} {name}", image_id=name, exclude=frozenset({name})))
            qrels[f"{kind} {name}"] = dict.fromkeys((other for other in own if other != name), 1)
    return Task(tuple(queries), qrels)
