"""CIRR's measures: Recall@k with the reference removed, and Recall_subset@k within the set the reference comes from.

Every query has one target. The reference leaves the ranking before anything is counted. For the subset the ranking
keeps only the other members of the reference's set of six look-alikes, so that chance is 20, 40 and 60 %.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

from mmretrieval.errors import InvalidData

RECALL_AT = (1, 5, 10, 50)
SUBSET_AT = (1, 2, 3)


def recall(ranked: Sequence[str], target: str, reference: str, k: int) -> float:
    """1 if the target is among the first k once the reference has left; raises InvalidData for a doubled name."""
    return float(target in _without(ranked, {reference})[:k])


def recall_subset(ranked: Sequence[str], target: str, reference: str, members: Collection[str], k: int) -> float:
    """1 if the target is among the first k members of its set, the reference left out.

    Members that the ranking lacks are not found. Raises InvalidData for a doubled name, and for a target that is no
    member.
    """
    if target not in members:
        raise InvalidData(f"the target '{target}' is no member of its query's set")
    others = set(members) - {reference}
    return float(target in [name for name in _without(ranked, {reference}) if name in others][:k])


def summary(
    run: Mapping[str, Sequence[str]],
    targets: Mapping[str, str],
    references: Mapping[str, str],
    members: Mapping[str, Collection[str]],
) -> dict[str, float]:
    """All recalls over the queries of `targets`, and the mean of R@5 and Rsub@1; a query without ranking counts 0."""
    values = {
        f"R@{k}": fmean(recall(run.get(q, ()), target, references[q], k) for q, target in targets.items())
        for k in RECALL_AT
    }
    for k in SUBSET_AT:
        values[f"Rsub@{k}"] = fmean(
            recall_subset(run.get(q, ()), target, references[q], members[q], k) for q, target in targets.items()
        )
    return values | {"mean(R@5, Rsub@1)": (values["R@5"] + values["Rsub@1"]) / 2}


def upper_bound(
    run: Mapping[str, Sequence[str]], references: Mapping[str, str], members: Mapping[str, Collection[str]], k: int
) -> float:
    """The most that R@k can be where targets are secret: the share of queries with a member other than the reference.

    Every CIRR target is a member of its query's set. Lists with doubled names are allowed, as they were published.
    """
    others = {query: set(members[query]) - {references[query]} for query in run}
    return fmean(float(not others[query].isdisjoint(ranked[:k])) for query, ranked in run.items())


def _without(ranked: Sequence[str], names: set[str]) -> list[str]:
    if len(set(ranked)) != len(ranked):
        raise InvalidData("a ranking holds a name twice, so a candidate was lost: repair it before it is scored")
    return [name for name in ranked if name not in names]
