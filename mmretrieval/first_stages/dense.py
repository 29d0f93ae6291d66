"""Search by vectors: words, a picture, or a picture plus a change, against the pictures of a collection.

Words alone or a picture alone are compared by cosine. A picture plus a change is the weighted sum of both, each
after subtracting the mean of its kind: q = w_i unit(x_i - mean_i) + w_t unit(x_t - mean_t), made a unit vector.
Without the means the sum is dominated by what all pictures and all texts share. A part of weight 0 counts as not
given, so the weights 1 and 0 are a search by picture alone, and 0 and 1 one by words alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.errors import NotFound
from mmretrieval.first_stages._query_vectors import Collection, Sought, reads_text, vectors_of
from mmretrieval.protocols import Encoder, Index
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Query, Ranking
from mmretrieval.vectors import row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAMES = {"image": "picture", "text": "words"}


@dataclass(slots=True)
class _Result:
    """What was found for one query."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    warnings: list[str] = field(default_factory=list)


class Dense(FirstStage):
    """Nearest pictures to a query's vector; the score is the inner product of unit vectors, larger is nearer.

    A picture of the collection that is searched by its id alone is its own first hit, unless it is excluded.
    """

    reads = frozenset({"image"})

    def __init__(self, encoder: Encoder, collection: Collection, index: Index) -> None:
        """`index` must stand over `collection.rows("image")`."""
        self.encoder = encoder
        self.collection = collection
        self.index = index

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`. Texts of all queries are encoded together, and so are their pictures.

        Raises NotFound for a picture that is not there, UnreadableImage for one that cannot be decoded, UsageError for
        a query whose parts all weigh nothing or cancel each other out.
        """
        sought = vectors_of(queries, self.encoder, self.collection)
        results: dict[int, _Result] = {}
        for numbers in _alike(queries):
            found = self._found([sought[number] for number in numbers], top_k)
            results.update(zip(numbers, found, strict=True))
        for number in self._cut_off(queries):
            results[number].warnings.append(
                f"query '{queries[number].id}': the text is longer than the model can read, and its end was left out"
            )
        return [self._ranking(one, results[number]) for number, one in enumerate(sought)]

    def _found(self, sought: Sequence[Sought], top_k: int) -> list[_Result]:
        """The nearest rows for queries with the same restrictions."""
        query = sought[0].query
        within, not_within = self._positions(query.within)
        exclude, not_excluded = self._positions(query.exclude)
        vectors = np.stack([one.vector for one in sought])
        results = [_Result(*found) for found in self.index.search(vectors, top_k, within=within, exclude=exclude)]
        for one, result in zip(sought, results, strict=True):
            result.warnings += _not_here(one.query, "search within", not_within)
            result.warnings += _not_here(one.query, "leave out", not_excluded)
            if one.is_own_picture:
                self._put_itself_first(one, result, top_k)
        return results

    def _put_itself_first(self, sought: Sought, result: _Result, top_k: int) -> None:
        """A copy of the picture ties with it and may have the smaller id; still, what was asked by comes first."""
        query = sought.query
        assert query.image_id is not None
        if query.image_id in query.exclude or not (query.within is None or query.image_id in query.within):
            return
        itself = self.collection.position(query.image_id)
        others = np.flatnonzero(result.positions != itself)[: top_k - 1]
        own_score = row_scores(self.index.rows.take(np.array([itself])), sought.vector)
        result.positions = np.concatenate([[itself], result.positions[others]])
        result.scores = np.concatenate([own_score, result.scores[others]])

    def _positions(self, ids: Iterable[str] | None) -> tuple[NDArray[np.int64] | None, list[str]]:
        """Positions of ids, sorted, and those ids that the collection does not have."""
        if ids is None:
            return None, []
        here, unknown = [], []
        for record_id in ids:
            try:
                here.append(self.collection.position(record_id))
            except NotFound:
                unknown.append(record_id)
        return np.array(sorted(here), dtype=np.int64), sorted(unknown)

    def _cut_off(self, queries: Sequence[Query]) -> list[int]:
        """Which queries have words that the model cannot read to their end."""
        numbers = [number for number, query in enumerate(queries) if reads_text(query)]
        if not numbers:
            return []
        told = self.encoder.too_long([queries[number].text for number in numbers])
        return [number for number, is_cut in zip(numbers, told, strict=True) if is_cut]

    def _ranking(self, sought: Sought, result: _Result) -> Ranking:
        records = self.collection.records([self.collection.ids[position] for position in result.positions])
        rows = self.index.rows.take(result.positions).astype(np.float64)
        shares = {kind: rows @ summand for kind, summand in sought.summands.items()}
        hits = [
            Hit(
                record.id,
                self.name,
                score=float(score),
                path=record.path,
                why=_why({kind: float(share[rank]) for kind, share in shares.items()}, sought.query),
                scores={"image": float(score)},
            )
            for rank, (record, score) in enumerate(zip(records, result.scores, strict=True))
        ]
        return Ranking(sought.query, tuple(hits), warnings=tuple(result.warnings))


def _alike(queries: Sequence[Query]) -> list[list[int]]:
    """Numbers of the queries, those with the same restrictions together."""
    groups: dict[tuple[frozenset[str] | None, frozenset[str]], list[int]] = {}
    for number, query in enumerate(queries):
        groups.setdefault((query.within, query.exclude), []).append(number)
    return list(groups.values())


def _not_here(query: Query, purpose: str, unknown: Sequence[str]) -> list[str]:
    if not unknown:
        return []
    return [
        f"query '{query.id}': {len(unknown)} of the ids to {purpose} are not in this collection, such as '{unknown[0]}'"
    ]


def _why(shares: dict[str, float], query: Query) -> str:
    """One line for the user: the cosine to the one thing that was given, or the two shares that add up to the score."""
    if len(shares) == 1:
        ((kind, share),) = shares.items()
        against = "against" if query.weights.get(kind, 1.0) < 0 else "to"
        return f"cosine {share if against == 'to' else -share:.2f} {against} the {_NAMES[kind]}"
    return " ".join(
        f"{'+' if share >= 0 else '-'} {abs(share):.2f} from the {_NAMES[kind]}" for kind, share in shares.items()
    ).removeprefix("+ ")
