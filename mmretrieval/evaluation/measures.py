"""Measures of one ranking against graded judgements, named as in papers: nDCG@10, AP, AP@50, RR, P@5, R@1, Recall@10.

`APmin@k` divides by min(relevant, k) where `AP@k` divides by all that is relevant: it is the AP@50 of INQUIRE and the
mAP@k of CIRCO. Any other name is looked up in ir_measures, when that is installed: Rprec, Bpref, P(rel=2)@5.

`ranked` is a list of ids, best first, each at most once; `grades` maps judged ids to integers. An id is relevant
when its grade is 1 or more; an unjudged id is not. All values lie between 0 and 1, larger is better, and agree with
trec_eval wherever it has the measure. R@k is the one to watch: in image-text retrieval it is the share of queries
with a relevant image among the first k (trec_eval calls this success); what trec_eval calls recall is Recall@k.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

from mmretrieval.errors import UsageError
from mmretrieval.evaluation import trec_measures

Grades = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure and its cutoff; None means the whole ranking. Printed and parsed as "nDCG@10"."""

    name: str
    cutoff: int | None = None

    def __call__(self, ranked: Sequence[str], grades: Grades) -> float:
        """The value for one ranking; 0 when nothing is relevant."""
        if not any(grade >= 1 for grade in grades.values()):
            return 0.0
        if self.name not in _MEASURES:
            return trec_measures.value(str(self), ranked, grades)
        return _MEASURES[self.name](ranked, grades, self.cutoff)

    def __str__(self) -> str:
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"


def parse_measure(text: str) -> Measure:
    """The measure written as "nDCG@10", whatever the case of its letters; UsageError with the known names."""
    name, at, cutoff = text.strip().partition("@")
    known = {each.lower(): each for each in _MEASURES}.get(name.lower())
    is_whole = re.fullmatch("[1-9][0-9]*", cutoff) is not None
    if known is None and (is_whole or not at) and trec_measures.is_known(text.strip()):
        return Measure(name, int(cutoff) if at else None)
    if known is None or (at and not is_whole):
        raise UsageError(f"there is no measure '{text}': write one of {', '.join(_MEASURES)}, with a cutoff as in R@10")
    if not at and known in _NEEDS_CUTOFF:
        raise UsageError(f"the measure '{text}' needs a cutoff: write it as in {known}@10")
    return Measure(known, int(cutoff) if at else None)


def parse_measures(text: str) -> list[Measure]:
    """Names parted by blanks or commas, each once, in their order."""
    names = text.replace(",", " ").split()
    if not names:
        raise UsageError('no measure is named: write them as in "nDCG@10 R@1 R@10"')
    return list(dict.fromkeys(parse_measure(name) for name in names))


def _ndcg(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """The gain of an image is its grade, divided by log2(rank + 1); relative to the best possible order."""
    best = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    gains = [max(grades.get(each, 0), 0) for each in ranked[:cutoff]]
    return _discounted(gains) / _discounted(best[:cutoff])


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _average_precision(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """The mean of the precision at each relevant image; one that is not among the first `cutoff` counts 0."""
    return _sum_of_precisions(ranked[:cutoff], grades) / _all_relevant(grades)


def _capped_average_precision(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """As AP, divided by how many relevant images can stand among the first `cutoff`: a perfect head is 1."""
    return _sum_of_precisions(ranked[:cutoff], grades) / min(_all_relevant(grades), cutoff or len(grades))


def _sum_of_precisions(ranked: Sequence[str], grades: Grades) -> float:
    found, total = 0, 0.0
    for rank, each in enumerate(ranked, start=1):
        if _relevant(each, grades):
            found += 1
            total += found / rank
    return total


def _reciprocal_rank(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    ranks = (rank for rank, each in enumerate(ranked[:cutoff], start=1) if _relevant(each, grades))
    return 1 / next(ranks, float("inf"))


def _precision(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """The share of relevant images among the first `cutoff`; a shorter ranking is filled up with wrong ones."""
    assert cutoff is not None, "the parser asks for a cutoff"
    return _found(ranked, grades, cutoff) / cutoff


def _hit(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """1 if any relevant image is among the first `cutoff`; its mean is the share of queries answered."""
    return float(_found(ranked, grades, cutoff) > 0)


def _recall(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> float:
    """The share of all relevant images that are among the first `cutoff`."""
    return _found(ranked, grades, cutoff) / _all_relevant(grades)


def _found(ranked: Sequence[str], grades: Grades, cutoff: int | None) -> int:
    return sum(_relevant(each, grades) for each in ranked[:cutoff])


def _all_relevant(grades: Grades) -> int:
    return sum(grade >= 1 for grade in grades.values())


def _relevant(image_id: str, grades: Grades) -> bool:
    return grades.get(image_id, 0) >= 1


_MEASURES: dict[str, Callable[[Sequence[str], Grades, int | None], float]] = {
    "nDCG": _ndcg,
    "AP": _average_precision,
    "RR": _reciprocal_rank,
    "P": _precision,
    "R": _hit,
    "Recall": _recall,
    "APmin": _capped_average_precision,
}
_NEEDS_CUTOFF = ("APmin", "P", "R", "Recall")
