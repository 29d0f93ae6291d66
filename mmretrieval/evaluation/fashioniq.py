"""FashionIQ's measures: R@10 and R@50 in each category (dress, shirt, toptee), and their means over the categories.

Two protocols circulate and are not comparable: the gallery is the split list of the category, or the union of all; say
which. The reference stays in the ranking in the common code line, which costs a place where it is ranked high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from mmretrieval.errors import InvalidData

AT = (10, 50)


def summary(
    run: Mapping[str, Sequence[str]],
    targets: Mapping[str, str],
    categories: Mapping[str, str],
    references: Mapping[str, str] | None = None,
    at: Sequence[int] = AT,
) -> dict[str, dict[str, float]]:
    """R@k by category; "average" is the mean of the categories, each counting alike however many queries it has.

    With `references`, each query's reference leaves its ranking first. A query without ranking counts 0; one without
    a category is an InvalidData.
    """
    hits: dict[str, dict[str, list[float]]] = {}
    for query, target in targets.items():
        if query not in categories:
            raise InvalidData(f"query '{query}' has no category")
        reference = None if references is None else references[query]
        ranked = [name for name in run.get(query, ()) if name != reference]
        row = hits.setdefault(categories[query], {})
        for k in at:
            row.setdefault(f"R@{k}", []).append(float(target in ranked[:k]))
    table = {name: {measure: fmean(values) for measure, values in row.items()} for name, row in sorted(hits.items())}
    average = {f"R@{k}": fmean(row[f"R@{k}"] for row in table.values()) for k in at}
    return table | {"average": average | {"mean": fmean(average.values())}}
