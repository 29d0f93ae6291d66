"""SuperGlobal's reranking: the shortlist smoothed by its own neighbours, from stored vectors alone.

With the rows X of the shortlist and G = X X', each row is blended with its K nearest in the shortlist,
x_i' = (x_i + β Σ G_ij x_j) / (1 + β Σ G_ij), so its score becomes s1_i = (s_i + β Σ G_ij s_j) / (1 + β Σ G_ij): the
query itself is not needed. That is the half called "dba". The "full" form takes the largest number in each dimension
over the best K + 1 of x' as a new query and averages: (s1 + s2) / 2. With few right answers it fails, since the
neighbours it trusts are wrong ones; hence the guard.

Deviations from the paper: only the reranking, since its pooling needs maps of patches; K is at most the number of
pictures that lie near the best one, and nothing happens when there is none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.stages import Collection, Refiner
from mmretrieval.types import Hit, Query, Ranking, Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]


_COSINES = ("dense", "superglobal")  # whose scores are inner products of rows, or means of such


class SuperGlobal(Refiner):
    """Smooths the scores of a shortlist by those of its nearest neighbours, when the best hit has some.

    `form` "dba" works for all queries; "full" is for a picture that seeks pictures of the same thing, and leaves other
    queries alone. Costs 2 M² d multiplications for a shortlist of M, no model and no storage.
    """

    paper: ClassVar[str] = "SuperGlobal (ICCV 2023)"
    reads = frozenset({"image"})

    def __init__(
        self,
        form: Literal["dba", "full"] = "dba",
        shortlist: int = 400,
        neighbours: int = 9,
        beta: float = 0.15,
        gap: float = 0.5,
    ) -> None:
        """`gap`: how far a neighbour may lie on the way from the best hit to the middle of the shortlist, 0 to 1."""
        if form not in ("dba", "full"):
            raise UsageError(f"superglobal has no form '{form}': choose dba or full")
        if shortlist < 1 or neighbours < 0 or not 0 <= beta < float("inf") or not 0 <= gap <= 1:
            raise UsageError(
                "superglobal takes a shortlist of 1 or more, 0 or more neighbours, a beta of 0 or more, and a gap "
                f"between 0 and 1: it was given {shortlist}, {neighbours}, {beta} and {gap}"
            )
        self.form, self.depth, self.neighbours, self.beta, self.gap = form, shortlist, neighbours, beta, gap

    def refine(self, ranking: Ranking, collection: Collection) -> Ranking:
        """The shortlist in its new order, then the untouched rest."""
        shortlist, rest = ranking.hits[: self.depth], ranking.hits[self.depth :]
        reason = self._cannot(ranking.query, shortlist)
        if reason:
            return _as_it_was(ranking, self.name, reason)
        rows = collection.vectors("image", [hit.id for hit in shortlist]).astype(np.float64)
        similar = rows @ rows.T
        neighbours = min(self.neighbours, near_the_best(similar[0], self.gap))
        if not neighbours:
            return _as_it_was(ranking, self.name, "no picture lies near the best one")
        scores = np.array([hit.score for hit in shortlist], dtype=np.float64)
        new, smooth = smoothed(rows, similar, scores, neighbours, self.beta)
        if self.form == "full":
            new = (new + pooled_scores(new, smooth, neighbours)) / 2
        order = np.lexsort((np.arange(len(new)), -new))
        hits = [self._hit(shortlist[place], float(new[place])) for place in order]
        told = Step(self.name, note=f"{neighbours} neighbours")
        return replace(ranking, hits=(*hits, *rest), steps=(*ranking.steps, told))

    def _cannot(self, query: Query, shortlist: tuple[Hit, ...]) -> str:
        """Why this ranking is left as it is; empty when it need not be."""
        if any(hit.score is None for hit in shortlist):
            return "the hits have no scores to smooth"
        seeks_alike = query.has_image or bool(query.like)
        has_words = bool(query.text.strip()) or any(part.text.strip() for part in query.parts)
        if self.form == "full" and (has_words or not seeks_alike):
            return "the full form is for pictures that seek pictures"
        if self.form == "full" and any(hit.by not in _COSINES for hit in shortlist):
            return f"the full form needs cosines, and the scores are those of '{shortlist[0].by}'"
        return "" if len(shortlist) > 1 else "there are no neighbours in a list so short"

    def _hit(self, hit: Hit, score: float) -> Hit:
        assert hit.score is not None, "refine leaves hits without scores alone"
        change = score - hit.score
        scores = {**hit.scores, self.name: hit.scores.get(self.name, 0.0) + change}
        why = "; ".join(part for part in (hit.why, f"{change:+.2f} by its neighbours") if part)
        return replace(hit, by=self.name, score=score, scores=scores, why=why)


def near_the_best(similar: Rows, gap: float) -> int:
    """How many of (m,) similarities to the best hit, its own the first, are at most the gap below its own.

    The gap is a share of the way down to the median, so that it means the same for encoders with narrow cones.
    """
    middle = float(np.median(similar))
    floor = similar[0] - gap * (similar[0] - middle)
    return int((similar[1:] > max(floor, middle)).sum())


def smoothed(rows: Rows, similar: Rows, scores: Rows, neighbours: int, beta: float) -> tuple[Rows, Rows]:
    """The scores (m,) and rows (m, dim) blended with those of the nearest rows, which are not made unit rows again."""
    others = similar.copy()
    np.fill_diagonal(others, -np.inf)
    kept = np.zeros_like(similar)
    for place, line in enumerate(others):
        nearest = np.lexsort((np.arange(len(line)), -line))[: min(neighbours, len(line) - 1)]
        kept[place, nearest] = np.maximum(0.0, similar[place, nearest])  # what points away adds nothing
    whole = 1 + beta * kept.sum(axis=1)
    return (scores + beta * kept @ scores) / whole, (rows + beta * kept @ rows) / whole[:, None]


def pooled_scores(scores: Rows, rows: Rows, neighbours: int) -> Rows:
    """The inner products (m,) of the rows with the elementwise maximum over the best `neighbours` + 1 of them."""
    best = np.lexsort((np.arange(len(scores)), -scores))[: neighbours + 1]
    products: Rows = rows @ rows[best].max(axis=0)
    return products


def _as_it_was(ranking: Ranking, name: str, reason: str) -> Ranking:
    return replace(ranking, steps=(*ranking.steps, Step(name, note=f"left as it was: {reason}")))
