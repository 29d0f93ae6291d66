"""All candidates on one marked sheet, ordered in one look.

Paper: SQUARE's efficient batch reranking (arXiv 2509.26330): the candidates in one picture, each with a visual mark,
and one call that returns their order; for a picture plus a change the reference stands beside it. Runs untrained on
any model that reads several pictures. What the paper leaves open is ours: 4 x 4 cells, marks in strips above the
pictures, and further sheets for deeper lists. One call for each sheet, whatever the number of candidates on it; what
is paid for that is detail, since each picture has but one cell.

Deviations: the order is blended with the one before (`alpha=1` is the paper), the less the more pairs turn round when
the cells are dealt out in another order, as they are twice for small models; `answer=best`, the usual one for small
models, reads the probability of every mark as the best instead of a written order, as FIRST (arXiv 2406.15657) does
with labels of passages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from math import ceil, sqrt
from typing import Literal, Self

from mmretrieval import list_prompts
from mmretrieval.asks import MLLM, Ask, Generate, ScoreChoices
from mmretrieval.errors import UsageError
from mmretrieval.rerankers._answers import Read, by_value, read
from mmretrieval.rerankers._blend import ALPHA, Join, checked_alpha, falling
from mmretrieval.rerankers._orders import Asking, Pass, checked_orders
from mmretrieval.rerankers._showing import Shown, side_by_side
from mmretrieval.rerankers._spots import dealt_out, on_own_spots
from mmretrieval.sheet import Marks, mark_names, sheet
from mmretrieval.stages import Candidate, Reranked, Reranker
from mmretrieval.types import Query
from mmretrieval.windows import aligned, grouped, sliding

Merge = Literal["anchors", "overlap"]
Answer = Literal["order", "best"]

ANCHORS = 2  # candidates that every sheet shows, when there are several
CELL, STRIP, GAP = 288, 40, 8  # pixels
SMALL_CELL, SMALL_STRIP, SMALL_GAP = 96, 32, 0  # what the demo model's tower has learned, and its stride
SMALL_ORDERS = 2


class Grid(Reranker):
    """One call orders a sheet of candidates (SQUARE)."""

    paper = "arXiv 2509.26330"

    def __init__(
        self,
        depth: int = 16,
        columns: int = 4,
        rows: int = 4,
        cell: int | None = None,
        strip: int | None = None,
        gap: int | None = None,
        marks: Marks = "number",
        merge: Merge = "anchors",
        answer: Answer | None = None,
        orders: int | None = None,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """A sheet has at most `columns` x `rows` cells of `cell` pixels, below strips of `strip`, `gap` apart.

        Without numbers a cell has 288 pixels, its strip 40 and the gap 8; for a small model 96, 32 and none. More
        candidates than cells take several sheets: at once, with two candidates in common by which they are aligned,
        and then the best of all on one more ("anchors"), or one after the other from the end of the list, each
        passing on its better half ("overlap"). `answer` is the "order" of all marks, or the "best" of them, of which
        every mark's probability is read; a small model, which loses its way in a long order, is asked for the best.
        `orders` shows the candidates so many times in different places, and takes the mean: once without a number, and
        twice for a small model, which may go by the places alone. UsageError for what cannot be laid out.
        """
        if columns < 1 or rows < 1 or columns * rows < ANCHORS + 1:
            raise UsageError(f"'grid' has {columns} x {rows} cells: give at least {ANCHORS + 1}")
        self.depth, self.columns, self.rows = depth, columns, rows
        self.cell, self.strip, self.gap, self.marks = cell, strip, gap, marks
        self.merge, self.answer = merge, answer
        self.orders = None if orders is None else checked_orders("grid", orders)
        self.alpha, self.join = checked_alpha(alpha), join
        self.needs = frozenset({ScoreChoices if answer == "best" else Generate})

    def calls(self, candidates: int) -> int:
        cells = self.columns * self.rows
        sheets = asked = len(self._sheets(min(candidates, self.depth)))
        while sheets > 1 and self.merge == "anchors":
            sheets = ceil(sheets * max(1, cells // sheets) / cells)
            asked += sheets
        return (self.orders or 1) * asked

    def suited(self, mllm: MLLM) -> Self:
        """With the cells and the question that suit a small model, where no others were asked for."""
        if not mllm.compact:
            return self
        small = copy(self)
        small.cell = SMALL_CELL if self.cell is None else self.cell
        small.strip = SMALL_STRIP if self.strip is None else self.strip
        small.gap = SMALL_GAP if self.gap is None else self.gap
        small.answer = self.answer or "best"
        small.orders = self.orders or SMALL_ORDERS
        small.needs = frozenset({ScoreChoices if small.answer == "best" else Generate})
        return small

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Asking[Reranked]:
        cell = CELL if self.cell is None else self.cell
        return (
            yield from side_by_side(
                self.name,
                query,
                candidates,
                self._look,
                orders=self.orders or 1,
                alpha=self.alpha,
                join=self.join,
                long_side=2 * cell,  # so that scaling to the cell loses next to nothing
            )
        )

    def _sheets(self, count: int) -> list[list[int]]:
        """Which places of the list each sheet shows."""
        cells = self.columns * self.rows
        if self.merge == "overlap" and count > cells:
            return [list(range(*span)) for span in sliding(count, cells, ceil(cells / 2))]
        return grouped(count, cells, ANCHORS) if count > 1 else []

    def _look(self, shown: Shown, places: list[int]) -> Asking[Pass]:
        """All candidates once, in the order of `places`, on as many sheets as they take."""
        sheets = [[places[at] for at in spots] for spots in self._sheets(len(places))]
        if self.merge == "overlap" and len(sheets) > 1:
            return (yield from self._one_by_one(shown, places))
        told = yield from self._read_all(shown, sheets)
        if len(sheets) == 1:
            return Pass([told[0].values.get(place) for place in range(len(places))], _counted(told))
        if all(len(set(each.values.values())) < 2 for each in told):  # all alike: no order, not that of showing either
            alike = {place: 0.0 for each in told for place in each.values}
            return Pass([alike.get(place) for place in range(len(places))], _counted(told))
        values = aligned([on_own_spots(each.values, places) for each in told if each.values])
        if values:
            order = yield from self._knockout(shown, sheets, told)
            values |= dealt_out(order, values)
        return Pass([values.get(place) for place in range(len(places))], _counted(told))

    def _knockout(self, shown: Shown, sheets: Sequence[Sequence[int]], told: list[Read]) -> Asking[list[int]]:
        """The best of every sheet on further ones, until one sheet holds all that are left: in its order.

        Anchors cannot tell which of two winners is the better. What is asked on the way is added to `told`.
        """
        latest, cells = list(told), self.columns * self.rows
        while len(sheets) > 1:
            each = max(1, cells // len(sheets))
            best = {
                place for on, said in zip(sheets, latest, strict=True) for place in by_value(on, said.values)[:each]
            }
            left = sorted(best)
            sheets = [[left[at] for at in spots] for spots in grouped(len(left), cells, 0)]
            latest = yield from self._read_all(shown, sheets)
            told += latest
        return by_value(sheets[0], latest[0].values)

    def _one_by_one(self, shown: Shown, places: list[int]) -> Asking[Pass]:
        """From the end of the list to its top; what a sheet puts in front is shown again on the next."""
        order, told = list(places), []
        for spots in self._sheets(len(places)):
            on_sheet = [order[spot] for spot in spots]
            told += yield from self._read_all(shown, [on_sheet])
            order[spots[0] : spots[-1] + 1] = by_value(on_sheet, told[-1].values)
        is_told = any(each.values for each in told)
        return Pass(falling(order) if is_told else [None] * len(order), _counted(told))

    def _read_all(self, shown: Shown, sheets: Sequence[Sequence[int]]) -> Asking[list[Read]]:
        """What the model says of each sheet, all asked at once."""
        replies = yield [self._ask(shown, on_sheet) for on_sheet in sheets]
        marks = [mark_names(len(on_sheet), self.marks) if self.marks == "letter" else [] for on_sheet in sheets]
        return [read(*each) for each in zip(replies, sheets, marks, strict=True)]

    def _ask(self, shown: Shown, places: Sequence[int]) -> Ask:
        made = sheet(
            [shown.images[place] for place in places],
            columns=min(self.columns, ceil(sqrt(len(places)))),
            cell=CELL if self.cell is None else self.cell,
            strip=STRIP if self.strip is None else self.strip,
            gap=GAP if self.gap is None else self.gap,
            marks=self.marks,
        )
        ask = list_prompts.best_of_sheet if self.answer == "best" else list_prompts.order_of_sheet
        return ask(made.image, [cell.mark for cell in made.cells], shown.sought)


def _counted(told: Sequence[Read]) -> Counter[str]:
    """How the answers were read, all together."""
    return sum((Counter(each.parsed) for each in told), Counter())
