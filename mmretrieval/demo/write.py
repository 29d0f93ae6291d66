"""Writes a drawn collection with its queries and exact judgements.

    DIR/images/*.png  manifest.jsonl
    DIR/queries.jsonl           qrels.tsv             words: `qid`, `type`, `text`
    DIR/composed_queries.jsonl  composed_qrels.tsv    picture plus change: `qid`, `reference`, `text`

Types of queries: "subset" mentions about three quarters of a picture's facts, "dense" all of them, "ingredients"
and "animals" nothing but kinds. Relevant is every picture that contains all that is mentioned; for a composed query
every picture that shows exactly the changed scene. Everything follows from seed, number of pictures and domain.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from mmretrieval.demo.sample import Domain, Sample, sample
from mmretrieval.demo.scenes import FoodPlate
from mmretrieval.demo.wording import choose_facts, describe, kinds
from mmretrieval.errors import UsageError

SIZE = 256
MENTIONED = 0.75
_SIGN = "world.json"


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What lies in `folder`; `drawn` counts the pictures that this call drew."""

    folder: Path
    images: int
    drawn: int
    queries: int
    composed_queries: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "images": self.images,
            "drawn": self.drawn,
            "queries": self.queries,
            "composed_queries": self.composed_queries,
        }


@dataclass(frozen=True, slots=True)
class DrawnQuery:
    """A query with the ids that are relevant to it; `reference` is set when it is composed."""

    id: str
    type: str
    text: str
    relevant: tuple[str, ...]
    reference: str = ""


def write_world(
    folder: Path,
    seed: int,
    images: int,
    domain: Domain = "both",
    progress: Callable[[int, int], None] | None = None,
) -> WorldReport:
    """Draws what is missing in `folder`, about 15 ms a picture. The same arguments give the same bytes.

    Raises UsageError when the folder holds something else than this very world.
    """
    sign = {"format": 1, "seed": seed, "images": images, "domain": domain, "size": SIZE}
    _claim(folder, sign)
    samples = [sample(seed, number, domain) for number in range(images)]
    drawn = 0
    for number, each in enumerate(samples, start=1):
        target = folder / "images" / f"{each.id}.png"
        if not target.exists():
            partial = target.with_suffix(".partial")
            each.render(SIZE).save(partial, format="PNG")
            partial.replace(target)
            drawn += 1
        if progress:
            progress(number, images)
    _write_lines(folder / "manifest.jsonl", [_row(each) for each in samples])
    queries = list(word_queries(samples))
    composed = list(composed_queries(samples))
    _write_lines(folder / "queries.jsonl", [{"qid": q.id, "type": q.type, "text": q.text} for q in queries])
    _write_lines(
        folder / "composed_queries.jsonl",
        [{"qid": q.id, "type": q.type, "reference": q.reference, "text": q.text} for q in composed],
    )
    _write_qrels(folder / "qrels.tsv", queries)
    _write_qrels(folder / "composed_qrels.tsv", composed)
    return WorldReport(folder, images, drawn, len(queries), len(composed))


def word_queries(samples: Sequence[Sample]) -> Iterator[DrawnQuery]:
    """One query for every picture, of alternating types, with all pictures that contain what it mentions."""
    facts = [each.scene.facts for each in samples]
    for number, each in enumerate(samples):
        rng = Random(f"query:{each.look}")
        if number % 2 == 0:
            kind, said = "subset", choose_facts(each.scene, MENTIONED, rng)
        elif number % 4 == 1:
            kind, said = "dense", each.scene.facts
        else:
            kind, said = ("ingredients" if each.scene.domain == "food" else "animals"), kinds(each.scene)
        relevant = tuple(other.id for other, known in zip(samples, facts, strict=True) if said <= known)
        yield DrawnQuery(f"{kind}-{number:06d}", kind, describe(each.scene, said, rng), relevant)


def composed_queries(samples: Sequence[Sample]) -> Iterator[DrawnQuery]:
    """One query for every sibling: the picture it was made from, plus the words of the change."""
    for number, each in enumerate(samples):
        if each.reference is not None:
            relevant = tuple(other.id for other in samples if other.scene.facts == each.scene.facts)
            yield DrawnQuery(f"composed-{number:06d}", "composed", each.modification, relevant, each.reference)


def _row(each: Sample) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": each.id,
        "path": f"images/{each.id}.png",
        "caption": each.caption,
        "facts": sorted(each.scene.facts),
        "domain": each.scene.domain,
    }
    if isinstance(each.scene, FoodPlate):
        row["ingredients"] = each.scene.ingredients
    return row


def _claim(folder: Path, sign: dict[str, Any]) -> None:
    """Marks the folder as this world before anything is drawn, so that a broken run can be finished later."""
    known = folder / _SIGN
    if known.exists():
        if known.read_text() != json.dumps(sign) + "\n":
            raise UsageError(f"{folder} holds a world with other arguments; name another folder or delete this one")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty and holds no drawn world; name a folder that is new or empty")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    known.write_text(json.dumps(sign) + "\n")


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _write_qrels(path: Path, queries: Sequence[DrawnQuery]) -> None:
    path.write_text("".join(f"{q.id}\t0\t{relevant}\t1\n" for q in queries for relevant in q.relevant))
