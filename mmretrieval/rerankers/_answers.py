"""An answer about pictures shown together, read as one value for each: larger is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mmretrieval.asks import ChoiceScores, Reply, Text
from mmretrieval.ordering import best_first
from mmretrieval.parsing import permutation
from mmretrieval.rerankers._odds import finite, probabilities


@dataclass(frozen=True, slots=True)
class Read:
    """Values by place, none where the answer says nothing; and how an answer in words was read.

    A reply that is no answer counts nowhere, since the step itself counts asks that failed.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    parsed: Mapping[str, int] = field(default_factory=dict)


def read(reply: Reply, shown: Sequence[int], marks: Sequence[str] = ()) -> Read:
    """What a reply says of the places that were shown, in the order of showing, under their numbers or `marks`.

    An order gives n to its first and 1 to its last; choices give their log-probabilities.
    """
    if isinstance(reply, ChoiceScores):
        told = reply.log_probs if probabilities(reply) and len(reply.log_probs) == len(shown) else ()
        return Read(
            {place: value for place, log in zip(shown, told, strict=False) if (value := finite(log)) is not None}
        )
    if not isinstance(reply, Text):
        return Read()
    order, status = permutation(reply.text, len(shown), labels=marks)
    if status == "failed":
        return Read(parsed={status: 1})
    return Read({shown[at]: float(len(order) - rank) for rank, at in enumerate(order)}, {status: 1})


def by_value(places: Sequence[int], values: Mapping[int, float]) -> list[int]:
    """The places, largest value first; those without one behind, and equal ones in their old order."""
    return [places[at] for at in best_first([values.get(place, float("-inf")) for place in places])]
