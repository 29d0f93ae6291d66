"""One search and the same search with a language model, side by side: as text, and as a sheet to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval.collection import Collection
from mmretrieval.demo.contact_sheet import Row, Tile, contact_sheet
from mmretrieval.demo.stops import Stop
from mmretrieval.types import Hit, Query, Ranking, Step

if TYPE_CHECKING:
    from PIL.Image import Image

LISTED, WIDTH = 5, 96


@dataclass(frozen=True, slots=True)
class Shown:
    """A stop with its ranking before and after the model was asked; both are equally long."""

    stop: Stop
    before: Ranking
    after: Ranking

    @property
    def verdict(self) -> str:
        """What the model was good for, or that it did harm, in one line."""
        old, new = (self._first_right(ranking) for ranking in (self.before, self.after))
        had, has = (len(self.stop.right & set(ranking.ids)) for ranking in (self.before, self.after))
        depth = len(self.before.hits)
        nowhere = depth + 1  # behind the last at best
        gain = (old or nowhere) - (new or nowhere), has - had
        word = "better" if gain > (0, 0) else "worse" if gain < (0, 0) else "no better, no worse"
        place = f"first right answer at place {new}" if new else f"no right answer in the first {depth}"
        return (
            f"{word}: {place} (before: {old or 'none'}), {has} of {len(self.stop.right)} right answers in the first "
            f"{depth} (before: {had})"
        )

    @property
    def target(self) -> str:
        """What a rewriter made of the query, in its own words; empty where none was at work."""
        return next((step.note for step in self.after.steps if step.note.startswith("target: ")), "")

    def was(self, hit: Hit) -> int | None:
        """Its 1-based place before; None where it was not among the hits."""
        ids = self.before.ids
        return ids.index(hit.id) + 1 if hit.id in ids else None

    def _first_right(self, ranking: Ranking) -> int | None:
        return next((rank for rank, each in enumerate(ranking.ids, start=1) if each in self.stop.right), None)


def spoken(query: Query) -> str:
    """The query in words for people."""
    if not query.has_image:
        return f"“{query.text}”"
    return (
        f"{query.image_id}, but “{query.text}”"
        if query.is_composed
        else f"pictures of the same things as {query.image_id}"
    )


def table(shown: Shown, collection: Collection) -> list[str]:
    """Both rankings as text, right answers marked, with what was said of each hit and what it took."""
    lines = [f"{shown.stop.name}: {spoken(shown.stop.query)}", "   search alone"]
    for rank, hit in enumerate(shown.before.hits[:LISTED], start=1):
        lines.append(_row(shown, rank, "", hit, collection.record(hit.id).caption))
    lines.append(f"   {shown.stop.ways}")
    for rank, hit in enumerate(shown.after.hits[:LISTED], start=1):
        lines.append(_row(shown, rank, _moved(shown.was(hit), rank), hit, hit.why or _caption(hit, collection)))
    return [*lines, f"   {shown.verdict}", *(f"   {line}" for line in _steps(shown.after.steps))]


def draw(shown: Shown, collection: Collection) -> Image:
    """Both rankings as rows of pictures, below each other."""
    query = shown.stop.query
    reference = (
        Tile(collection.open_image(query.image_id), "the reference", False, shown.target) if query.image_id else None
    )
    rows = [
        Row("search alone", [_tile(shown, rank, hit, collection, "") for rank, hit in _first(shown.before)]),
        Row(
            str(shown.stop.ways),
            [
                _tile(shown, rank, hit, collection, _moved(shown.was(hit), rank), hit.why)
                for rank, hit in _first(shown.after)
            ],
        ),
    ]
    return contact_sheet(spoken(query), rows, foot=shown.verdict, reference=reference)


def _first(ranking: Ranking) -> Sequence[tuple[int, Hit]]:
    return list(enumerate(ranking.hits[:LISTED], start=1))


def _tile(shown: Shown, rank: int, hit: Hit, collection: Collection, moved: str, why: str = "") -> Tile:
    label = "  ".join(part for part in (str(rank), moved, hit.id) if part)
    return Tile(collection.open_image(hit.id), label, hit.id in shown.stop.right, why)


def _moved(was: int | None, rank: int) -> str:
    return "new" if was is None else "as before" if was == rank else f"was {was}"


def _row(shown: Shown, rank: int, moved: str, hit: Hit, told: str) -> str:
    mark = "✓" if hit.id in shown.stop.right else " "
    score = "      " if hit.score is None else f"{hit.score:6.3f}"
    return f" {mark} {rank}  {score}  {hit.id:<13}  {f'{moved:<9}  ' if moved else ''}{_short(told)}"


def _caption(hit: Hit, collection: Collection) -> str:
    return collection.record(hit.id).caption


def _steps(steps: Sequence[Step]) -> list[str]:
    """What each stage with a model asked, how long it took, and what it noted."""
    return [
        f"{step.name}: {step.calls} calls, {step.cached} kept replies, {step.tokens:,} tokens, {step.seconds:.2f} s"
        + (f"; {step.note}" if step.note else "")
        for step in steps
        if step.calls or step.cached
    ]


def _short(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
