"""A ranking that another system made, as a first stage: its hits are played back, and ours rerank them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mmretrieval.errors import InvalidData
from mmretrieval.stages import FirstStage
from mmretrieval.types import Hit, Query, Ranking

if TYPE_CHECKING:
    from mmretrieval.collection import Collection


class GivenRun(FirstStage):
    """The hits of a TREC run (`evaluation.runs.read_scores`), by query id, with their scores."""

    def __init__(self, run: Mapping[str, Mapping[str, float]], collection: Collection) -> None:
        """Raises InvalidData naming the first image that the collection does not hold."""
        known = set(collection.ids)
        strange = [(qid, image) for qid, found in run.items() for image in found if image not in known]
        if strange:
            qid, image = strange[0]
            raise InvalidData(
                f"the run holds {len(strange)} hits that are not in the index, '{image}' of query '{qid}' for one: "
                "rerank it over the index of the same pictures, with the same ids"
            )
        self.run, self.collection = run, collection

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]:
        return [Ranking(query, tuple(self._hits(query)[:top_k])) for query in queries]

    def _hits(self, query: Query) -> list[Hit]:
        """The hits of the run, without those that the query excludes, as its own reference."""
        found = self.run.get(query.id, {})
        kept = [image for image in found if image not in query.exclude]
        return [
            Hit(image, self.name, found[image], self.collection.record(image).path, scores={"run": found[image]})
            for image in kept
        ]
