"""Choices between two captions as an ordinary benchmark, so that every pipeline, cache and report serves them too.

A picture seeks among its two captions alone; R@1 is then the share of right choices. The negative caption stands before
the right one wherever their scores are equal, so that a tie counts as wrong, as published.
"""

from __future__ import annotations

from pathlib import Path

from mmretrieval.benchmarks import Benchmark, Choice, Choices
from mmretrieval.errors import NotFound
from mmretrieval.types import Query

NEGATIVE, POSITIVE = "negative", "positive"  # in the order of positions, which breaks ties


def questions(task: Choices, data: Path) -> Benchmark:
    """One query a choice, over a pool of two.

    Where no picture is there, its other captions are asked with in its place. Choices that have neither are left out,
    and a note counts them. Raises NotFound when nothing can be asked.
    """
    seen = frozenset(image for image, path in task.images.items() if (data / path).is_file())
    asked = [(choice, query) for choice in task.choices if (query := _query(task, choice, data, seen))]
    if not asked:
        example = next(iter(task.images.values()), "none is named")
        raise NotFound(
            f"none of the {len(task.images):,} pictures of {task.name} is below {data}, as {example}, and there are no "
            "other captions of them, as in annotations/captions_val2017.json of COCO: put either there"
        )
    return Benchmark(
        task.name,
        task.split,
        queries=tuple(query for _, query in asked),
        qrels={choice.id: {_id(choice, POSITIVE): 1} for choice, _ in asked},
        categories={choice.id: choice.category for choice, _ in asked},
        texts={
            _id(choice, which): text
            for choice, _ in asked
            for which, text in ((NEGATIVE, choice.negative), (POSITIVE, choice.caption))
        },
        measures=("R@1",),
        notes=(*task.notes, *_notes(task, len(asked), by_pictures=bool(seen))),
        licence=task.licence,
    )


def _query(task: Choices, choice: Choice, data: Path, seen: frozenset[str]) -> Query | None:
    pool = frozenset({_id(choice, NEGATIVE), _id(choice, POSITIVE)})
    if seen:
        return Query(choice.id, image=data / task.images[choice.image], within=pool) if choice.image in seen else None
    others = [line for line in task.texts.get(choice.image, "").splitlines() if _plain(line) != _plain(choice.caption)]
    return Query(choice.id, " ".join(others), within=pool) if others else None


def _notes(task: Choices, asked: int, *, by_pictures: bool) -> list[str]:
    told = ["R@1 is the share of right choices between two captions; a tie counts as wrong, and chance is 50 percent"]
    if not by_pictures:
        told.append("the other captions of each picture are asked with in its place; no picture was seen")
    if asked < len(task.choices):
        lack = "their picture" if by_pictures else "another caption of their picture"
        told.append(f"{asked:,} of {len(task.choices):,} choices have {lack} here; the others are left out")
    return told


def _id(choice: Choice, which: str) -> str:
    return f"{choice.id}:{which}"


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" .").split())
