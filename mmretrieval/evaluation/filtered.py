"""Measuring a part of a collection: queries and judgements as if nothing but what a filter keeps were there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from mmretrieval.errors import InvalidData
from mmretrieval.evaluation.queries import QueryRow
from mmretrieval.evaluation.runs import Qrels
from mmretrieval.filters.parser import both

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Collection(Protocol):
    """What has to be asked of a collection."""

    @property
    def ids(self) -> Sequence[str]: ...

    def matching(self, expression: str) -> NDArray[np.int64]: ...


def filtered(
    collection: Collection, expression: str, rows: Sequence[QueryRow], qrels: Qrels
) -> tuple[list[QueryRow], Qrels, list[str]]:
    """The queries with the filter, the judgements of the records it keeps, and warnings; all as given without one.

    A query of which no relevant record is kept has no judgement left, and so is not measured. Raises InvalidData when
    the filter keeps nothing, and as `Collection.matching` does.
    """
    if not expression:
        return list(rows), qrels, []
    positions = collection.matching(expression)
    if not len(positions):
        raise InvalidData(f"no record matches the filter {expression}, so there is nothing to measure")
    kept = {collection.ids[position] for position in positions.tolist()}
    judged = {qid: {name: grade for name, grade in own.items() if name in kept} for qid, own in qrels.items()}
    asked = [replace(row, query=replace(row.query, filter=both(row.query.filter, expression))) for row in rows]
    before, after = (sum(map(len, each.values())) for each in (qrels, judged))
    warnings = [f"the filter leaves {after} of {before} judgements"] if after < before else []
    return asked, {qid: own for qid, own in judged.items() if own}, warnings
