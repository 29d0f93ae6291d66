"""CIRCO's measures: mAP@k over several targets, recall of the one first target, and mAP@10 for each semantic aspect.

AP@k = sum of P@i over the relevant places i up to k, divided by min(targets, k). As in the official evaluator a list
that holds an image twice is an error, and so is a query without a list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.measures import Measure

AT = (5, 10, 25, 50)


def summary(
    run: Mapping[str, Sequence[str]], targets: Mapping[str, Sequence[str]], at: Sequence[int] = AT
) -> dict[str, float]:
    """mAP@k over all targets and Recall@k of the first one, which is the one people chose, for each k."""
    _check(run, targets)
    grades = {query: dict.fromkeys(found, 1) for query, found in targets.items()}
    values = {f"mAP@{k}": fmean(Measure("APmin", k)(run[q], grades[q]) for q in targets) for k in at}
    return values | {f"Recall@{k}": fmean(float(targets[q][0] in run[q][:k]) for q in targets) for k in at}


def by_aspect(
    run: Mapping[str, Sequence[str]],
    targets: Mapping[str, Sequence[str]],
    aspects: Mapping[str, Collection[str]],
    k: int = 10,
) -> dict[str, float]:
    """mAP@k over the queries of each aspect, by its name; a query has several aspects, or none."""
    _check(run, targets)
    values: dict[str, list[float]] = {}
    for query, found in targets.items():
        value = Measure("APmin", k)(run[query], dict.fromkeys(found, 1))
        for aspect in aspects.get(query, ()):
            values.setdefault(aspect, []).append(value)
    return {aspect: fmean(values[aspect]) for aspect in sorted(values)}


def _check(run: Mapping[str, Sequence[str]], targets: Mapping[str, Sequence[str]]) -> None:
    for query, found in targets.items():
        if not found:
            raise InvalidData(f"query '{query}' has no target")
        if query not in run:
            raise InvalidData(f"query '{query}' has no list of images: every query needs one")
        if len(set(run[query])) != len(run[query]):
            raise InvalidData(f"the list of query '{query}' holds an image twice")
