"""What several searches say about the same records, on scales that can be added.

Every list is cut at some depth. A record that one list holds and another does not is not taken for a zero there: the
other search is asked for it, within such records alone, so each record stands with its true score everywhere.

Reciprocal ranks (Cormack et al. 2009) need no scale: 1 / (60 + rank). To blend scores, they are calibrated per query
and per list, since cosines of pictures with words, cosines of captions with words, and BM25 have nothing in common:

- a cosine is counted from what an average record of the collection has, in units of what the best of as many
  unrelated records would reach by chance: (s - mean) / (deviation * sqrt(2 ln n)). Mean and deviation are measured on
  a fixed sample of records. This also takes away the gap between pictures and captions of one model.
- BM25 is divided by what a record of average length scores that has each word once.
- Nothing can be said of the caption of a record that has none: in a blend the weight of captions goes to its looks.
  With a zero instead, records that are known twice would stand before those that fit better and are known once.

So the calibrated score of a record depends on the query and the collection, and on no filter, depth or other hit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from mmretrieval.first_stages._words import is_changed, without_change, words_of
from mmretrieval.types import Hit, Query, Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["rrf", "blend"]

K = 60  # of reciprocal ranks, as published
DEPTH = 200  # of each list; deeper when more hits are asked for
SAMPLE = 256  # records that stand for the average one


class Collection(Protocol):
    """What is read of a collection."""

    @property
    def ids(self) -> Sequence[str]: ...

    def position(self, record_id: str) -> int: ...


class Searches(Protocol):
    """Any first stage."""

    def search(self, queries: Sequence[Query], top_k: int) -> list[Ranking]: ...


@dataclass(frozen=True, slots=True)
class Channel:
    """A search that takes part. `scale` gives the unit of its scores; without it they are calibrated on a sample."""

    name: str
    stage: Searches
    needs_words: bool = True
    scale: Callable[[Query], float] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the channels know of the records that any of them found: `values` are (records, channels).

    A channel that cannot tell anything about the query is not among `channels`. `unknown` marks records that a channel
    can say nothing of, (records, channels). `change` is the share of their weight that the channels of words keep: less
    than 1 where the words are a change to a picture. `hits` are those of the first channel, in its order, with shares
    in the unit of the values.
    """

    query: Query
    channels: tuple[str, ...]
    hits: tuple[Hit, ...]
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    unknown: NDArray[np.bool_]
    warnings: tuple[str, ...]
    change: float = 1.0

    def weights(self, given: Mapping[str, float] | None) -> NDArray[np.float64]:
        """What each channel weighs for each record, (records, channels), with a sum of 1; all of them 1 for None."""
        if given is None:
            return np.ones(self.values.shape)
        own = np.array([given[channel] for channel in self.channels])
        own[1:] *= self.change
        own = own / own.sum() if own.sum() else np.full(len(own), 1 / len(own))
        weights = np.where(self.unknown, 0.0, own)
        weights[:, 0] += (own * self.unknown).sum(axis=1)
        return weights

    def order(self, added: NDArray[np.float64]) -> list[int]:
        """Rows by the sum of what the channels add, largest first, then by position.

        One channel alone keeps the order it gave, since it may know more than the score says.
        """
        if len(self.channels) == 1:
            return list(range(len(self.hits)))
        totals = np.array([sum(row) for row in added.tolist()])
        return [int(row) for row in np.lexsort((self.positions, -totals))]


@dataclass(slots=True)
class _List:
    """What one channel answers to one query: its hits in order, and those that it was asked for afterwards."""

    query: Query
    channel: Channel
    head: Sequence[Hit]
    rest: Sequence[Hit] = ()
    sampled: Sequence[Hit] = ()

    @property
    def hits(self) -> list[Hit]:
        return [*self.head, *self.rest]


def gathered(
    channels: Sequence[Channel],
    collection: Collection,
    queries: Sequence[Query],
    depth: int,
    method: Method,
    change: float = 1.0,
) -> list[Evidence]:
    """The evidence on each query, in order. The first channel knows every record, and needs no words.

    Words that are a change to a picture keep the share `change` of their weight; at 0, and always with ranks, the
    channels of words are not asked. A target describes all that is sought, and stands for the change.
    """
    if method == "rrf":
        change = 0.0
    lists: list[list[_List]] = [[] for _ in queries]
    warnings: list[list[str]] = [[] for _ in queries]
    for channel in channels:
        asked = [_for_words(query, change) if channel.needs_words else query for query in queries]
        able = [at for at, query in enumerate(asked) if words_of(query) or not channel.needs_words]
        rankings = channel.stage.search([asked[at] for at in able], depth) if able else []
        for at, ranking in zip(able, rankings, strict=True):
            lists[at].append(_List(asked[at], channel, ranking.hits))
            warnings[at] += ranking.warnings
    sample = _sample(collection) if method == "blend" else frozenset()
    for channel in channels:
        _ask_for_the_rest(channel, lists, frozenset() if channel.scale else sample)
    shares = [change if is_changed(query) and not query.target_share else 1.0 for query in queries]
    return [
        replace(_evidence(own, collection, method, told), change=share)
        for own, told, share in zip(lists, warnings, shares, strict=True)
    ]


def _for_words(query: Query, change: float) -> Query:
    is_described = query.target_share > 0 or not change
    return without_change(query) if is_described and is_changed(query) else query


def _sample(collection: Collection) -> frozenset[str]:
    count = len(collection.ids)
    places = np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.int64).tolist() if count else []
    return frozenset(collection.ids[place] for place in places)


def _ask_for_the_rest(channel: Channel, lists: Sequence[Sequence[_List]], sample: frozenset[str]) -> None:
    """One more search for the records that other channels found, and for the sample, within these alone."""
    asked: list[tuple[_List, frozenset[str]]] = []
    for own in lists:
        pool = frozenset(hit.id for each in own for hit in each.head)
        for each in own:
            missing = pool - {hit.id for hit in each.head}
            if each.channel is channel and (missing or sample):
                asked.append((each, missing))
    queries = [replace(each.query, within=missing | sample, exclude=frozenset(), filter="") for each, missing in asked]
    most = max((len(query.within or ()) for query in queries), default=0)
    rankings: Sequence[Ranking] = channel.stage.search(queries, most) if queries else ()
    for (each, missing), ranking in zip(asked, rankings, strict=True):
        each.rest = [hit for hit in ranking.hits if hit.id in missing]
        each.sampled = [hit for hit in ranking.hits if hit.id in sample]


def _evidence(lists: Sequence[_List], collection: Collection, method: Method, warnings: Sequence[str]) -> Evidence:
    leading, count = lists[0], len(collection.ids)
    hits = leading.hits
    values, unknown = np.zeros((len(hits), len(lists))), np.zeros((len(hits), len(lists)), dtype=bool)
    row_of = {hit.id: row for row, hit in enumerate(hits)}
    for column, each in enumerate(lists):
        scored = _reciprocal_ranks(each) if method == "rrf" else _calibrated(each, count)
        for record_id, value in scored.items():
            values[row_of[record_id], column] = value
        if each.channel.scale is None:  # one with a scale gives 0 where the words are not found
            unknown[:, column] = [hit.id not in scored for hit in hits]
    # A rank is not the sum of what the parts of the query add: with ranks there are no shares.
    hits = _with_calibrated_shares(leading, count) if method == "blend" else [replace(h, shares={}) for h in hits]
    names = tuple(each.channel.name for each in lists)
    positions = np.array([collection.position(hit.id) for hit in hits], dtype=np.int64)
    return Evidence(leading.query, names, tuple(hits), positions, values, unknown, tuple(dict.fromkeys(warnings)))


def _reciprocal_ranks(one: _List) -> dict[str, float]:
    return {hit.id: 1 / (K + rank) for rank, hit in enumerate(one.hits, start=1)}


def _calibrated(one: _List, count: int) -> dict[str, float]:
    mean, unit = _mean_and_unit(one, count)
    return {hit.id: (_score(hit) - mean) / unit for hit in one.hits}


def _mean_and_unit(one: _List, count: int) -> tuple[float, float]:
    """What is subtracted from a score, and what it is divided by then."""
    if one.channel.scale:
        return 0.0, one.channel.scale(one.query) or 1.0
    scores = np.array([_score(hit) for hit in one.sampled])
    if len(scores) < 2:
        return float(scores.sum()), 1.0
    return float(scores.mean()), float(scores.std()) * sqrt(2 * log(count)) or 1.0


def _with_calibrated_shares(one: _List, count: int) -> list[Hit]:
    """The parts of the query, counted from what each adds to an average record, so that they still add up."""
    _, unit = _mean_and_unit(one, count)
    keys = dict.fromkeys(key for hit in one.sampled for key in hit.shares)
    means = {key: float(np.mean([hit.shares[key] for hit in one.sampled])) for key in keys}
    return [
        replace(hit, shares={key: (share - means.get(key, 0.0)) / unit for key, share in hit.shares.items()})
        for hit in one.hits
    ]


def _score(hit: Hit) -> float:
    assert hit.score is not None, "the channels of a hybrid search score what they find"
    return hit.score
