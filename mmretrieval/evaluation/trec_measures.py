"""Measures that this package does not compute itself, through ir_measures and its trec_eval: Rprec, Bpref, P(rel=2)@5.

The everyday measures stay in `measures`, for three reasons: a ranking here is an order, while trec_eval sorts by score
and breaks ties by its own rule; the field calls success at k what trec_eval calls nothing, R@k; and evaluation must
work on the default install. Tests hold both to the same values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from mmretrieval.errors import MissingExtra, UsageError

# Our R@k is the share of queries with a hit and our Recall@k the share of what is relevant; theirs have other names.
_THEIR_NAMES = {"r": "Success", "recall": "R", "ap": "AP", "ndcg": "nDCG", "rr": "RR", "p": "P"}


@cache
def is_known(text: str) -> bool:
    """Whether trec_eval has a measure of that name and arguments; False too where ir_measures is not installed."""
    try:
        _parsed(text)
    except (UsageError, MissingExtra):
        return False
    return True


def value(text: str, ranked: Sequence[str], grades: Mapping[str, int]) -> float:
    """The measure of one ranking, best first; raises MissingExtra without ir_measures, UsageError for another name."""
    import ir_measures

    measure = _parsed(text)
    run = {"q": {each: 1 / rank for rank, each in enumerate(ranked, start=1)}}
    if not ranked:
        return 0.0
    (metric,) = ir_measures.pytrec_eval.iter_calc([measure], {"q": dict(grades)}, run)
    return float(metric.value)


@cache
def _parsed(text: str) -> Any:
    try:
        import ir_measures
    except ImportError:
        raise MissingExtra(f"the measure '{text}'", "ir-measures", "report") from None
    name = re.split(r"[(@]", text, maxsplit=1)[0]
    theirs = _THEIR_NAMES.get(name.lower(), name) + text[len(name) :]
    try:
        measure = ir_measures.parse_measure(theirs)
    except (NameError, AssertionError, ValueError, SyntaxError, AttributeError, TypeError, IndexError):
        measure = None  # its parser reads the name as Python, and fails in as many ways
    if measure is None or not ir_measures.pytrec_eval.supports(measure):
        raise UsageError(f"there is no measure '{text}', neither here nor in ir_measures")
    return measure
