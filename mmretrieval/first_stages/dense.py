"""Search by vectors: words, a picture, or a picture plus a change, against the pictures of a collection.

One part alone is compared by cosine; how several are joined is told in `_query_vectors`, with u = unit(x - mean):

- "sum": q = w_i u_i + w_t u_t + …, made a unit vector; several parts of one kind are summed as they are.
- "slerp": along the arc from the pictures to the words, w_t / (w_i + w_t) of the way. Equal weights give the order of
  the sum; towards the ends the arc turns more evenly.
- "product": all parts must be met, see `_product`.

A part of weight 0 counts as not given, so the weights 1 and 0 are a search by picture alone, and 0 and 1 one by words
alone, whatever the operator. Words to avoid, examples and counter-examples lead the result on; counter-examples never
come back, and examples that do not fit the rest of the query are left out with a warning, see `_usable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mmretrieval.first_stages import _why
from mmretrieval.first_stages._allowed import Allowed, alike, allowed
from mmretrieval.first_stages._parts import Collection, texts_of
from mmretrieval.first_stages._product import Conditions, Multiplied, Product, ranked
from mmretrieval.first_stages._query_vectors import Sought, vectors_of
from mmretrieval.first_stages._usable import FLOOR
from mmretrieval.protocols import Encoder, Index
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Query, Ranking
from mmretrieval.vectors import row_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(slots=True)
class _Result:
    """What was found for one query."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    product: Conditions | None = None
    warnings: list[str] = field(default_factory=list)


class Dense(FirstStage):
    """Nearest pictures to a query's vector; the score is the inner product of unit vectors, larger is nearer.

    A picture of the collection that is searched by its id alone is its own first hit, unless it is excluded.
    """

    reads = frozenset({"image"})

    def __init__(
        self,
        encoder: Encoder,
        collection: Collection,
        index: Index,
        *,
        product: Product | None = None,
        floor: float = FLOOR,
    ) -> None:
        """`index` must stand over `collection.rows("image")`; `product` says how products are scored.

        `floor` is the least standing of an example that is believed, in standard deviations, see `_usable`.
        """
        self.encoder = encoder
        self.collection = collection
        self.index = index
        self.floor = floor
        self.multiplied = Multiplied(product or Product(), encoder, collection, index)

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        """As in `FirstStage`. Texts of all queries are encoded together, and so are their pictures.

        Raises NotFound for a picture that is not there, UnreadableImage for one that cannot be decoded, UsageError for
        a query whose parts all weigh nothing or cancel each other out, or whose operator has nothing to join.
        """
        sought = vectors_of(queries, self.encoder, self.collection, self.floor)
        results: dict[int, _Result] = {}
        for numbers in alike(queries):
            found = self._found([sought[number] for number in numbers], top_k)
            results.update(zip(numbers, found, strict=True))
        for number in self._cut_off(queries):
            results[number].warnings.append(
                f"query '{queries[number].id}': the text is longer than the model can read, and its end was left out"
            )
        return [self._ranking(one, results[number]) for number, one in enumerate(sought)]

    def _found(self, sought: Sequence[Sought], top_k: int) -> list[_Result]:
        """The nearest rows for queries with the same restrictions."""
        may = allowed(sought[0].query, self.collection)
        plain = [one for one in sought if not one.is_product]
        found = iter(
            self.index.search(np.stack([one.vector for one in plain]), top_k, within=may.within, exclude=may.exclude)
            if plain
            else ()
        )
        results = [self._multiplied(one, top_k, may) if one.is_product else _Result(*next(found)) for one in sought]
        for one, result in zip(sought, results, strict=True):
            result.warnings += one.warnings
            result.warnings += may.warnings(one.query)
            if one.is_own_picture:
                self._put_itself_first(one, result, top_k, may)
        return results

    def _multiplied(self, sought: Sought, top_k: int, may: Allowed) -> _Result:
        wanted = self.multiplied.conditions(sought)
        positions = self.multiplied.candidates(sought, wanted, top_k, within=may.within, exclude=may.exclude)
        return _Result(*ranked(wanted, self.index, positions, top_k), wanted)

    def _put_itself_first(self, sought: Sought, result: _Result, top_k: int, may: Allowed) -> None:
        """A copy of the picture ties with it and may have the smaller id; still, what was asked by comes first."""
        assert sought.query.image_id is not None
        itself = self.collection.position(sought.query.image_id)
        if not may.holds(itself):
            return
        others = np.flatnonzero(result.positions != itself)[: top_k - 1]
        own_score = row_scores(self.index.rows.take(np.array([itself])), sought.vector)
        result.positions = np.concatenate([[itself], result.positions[others]])
        result.scores = np.concatenate([own_score, result.scores[others]])

    def _cut_off(self, queries: Sequence[Query]) -> list[int]:
        """Which queries have words that the model cannot read to their end."""
        texts = [(number, text) for number, query in enumerate(queries) for text in texts_of(query)]
        told = self.encoder.too_long([text for _, text in texts]) if texts else []
        return sorted({number for (number, _), is_cut in zip(texts, told, strict=True) if is_cut})

    def _ranking(self, sought: Sought, result: _Result) -> Ranking:
        records = self.collection.records_at(result.positions)
        explained = _explained(sought, result, self.index.rows.take(result.positions))
        hits = [
            Hit(
                record.id,
                self.name,
                score=float(score),
                path=record.path,
                why=why,
                scores={"image": float(score)},
                shares=shares,
            )
            for record, score, (shares, why) in zip(records, result.scores, explained, strict=True)
        ]
        return Ranking(sought.query, tuple(hits), warnings=tuple(result.warnings))


def _explained(sought: Sought, result: _Result, rows: NDArray[np.float32]) -> list[tuple[dict[str, float], str]]:
    """For each row the shares that add up to its score, and one line on them."""
    if result.product is None:
        columns = {key: rows.astype(np.float64) @ summand for key, summand in sought.summands.items()}
        shares = [{key: float(column[rank]) for key, column in columns.items()} for rank in range(len(rows))]
        return [(own, _why.of_sum(sought, own)) for own in shares]
    met = result.product.met(rows)
    product, penalty = result.product.terms(met)
    return [
        ({"product": float(gain), "penalty": float(loss)}, _why.of_product(sought, own, float(loss)))
        for gain, loss, own in zip(product, penalty, met.tolist(), strict=True)
    ]
