"""The one door to a language model: what was answered before is not asked again, and a budget is never exceeded.

An ask is looked up in the cache, then paid for from the budget, then given to the model in chunks; what comes back is
kept and recorded before the next chunk begins, so a kill costs the chunk in hand. Stages know nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from mmretrieval.asks import MLLM, Ask, Failed, Reply, answering, fitted
from mmretrieval.budget import Budget
from mmretrieval.errors import MMRetrievalError
from mmretrieval.mllm_names import open_mllm
from mmretrieval.pacing import Steps
from mmretrieval.recording import Recording
from mmretrieval.reply_cache import ReplyCache
from mmretrieval.transcript import Pictures, ask_facts, key_of


class Calls(MLLM):
    """A model behind a cache of replies, a budget and a recording; to all who ask it is the model itself.

    A reply from the cache says so and carries the tokens that it once took. Of equal asks in one batch the first is
    asked, and the others are cached at no tokens. What the budget leaves over gets `Failed` with the reason. A failed
    ask is never kept, so the next run asks it again; a recording holds it as it was. Safe to use from many threads
    where the model is.
    """

    def __init__(
        self,
        model: MLLM,
        cache: ReplyCache | None = None,
        budget: Budget | None = None,
        recording: Recording | None = None,
    ) -> None:
        self.model = model
        self.cache = cache
        self.budget = budget or Budget()
        self.recording = recording
        self._pace = 0.0  # seconds an ask, as the last chunk had it
        self._steps = Steps(max(model.at_once, 1))
        self._owned = ExitStack()
        self.spec, self.answers, self.compact = model.spec, model.answers, model.compact
        self.at_once = model.at_once

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self.model.fingerprint

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of how replies are kept."""
        return tuple(self.cache.warnings) if self.cache else ()

    def tokens_at_most(self, ask: Ask) -> int:
        return self.model.tokens_at_most(ask)

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """As the model would; raises MMRetrievalError for one that gives another number of replies than of asks."""
        known = {place: reply for part in self.replies(asks) for place, reply in part.items()}
        return [known[place] for place in range(len(asks))]

    def replies(self, asks: Sequence[Ask], *, soon: bool = False) -> Iterator[Mapping[int, Reply]]:
        """What is kept comes first, all at once; then chunk by chunk what the model says."""
        pictures = Pictures()
        asks = [fitted(ask, self) for ask in asks]
        facts = [ask_facts(ask, pictures) for ask in asks]
        keys = [key_of(each) for each in facts]
        known = self.cache.find(keys) if self.cache and keys else {}
        places: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, []).append(place)
        for key, reply in known.items():
            self._record(facts[places[key][0]], key, reply)
        todo = {key: (asks[same[0]], facts[same[0]]) for key, same in places.items() if key not in known}
        for part in chain([known] if known else [], self._asked(todo, soon=soon)):
            yield {
                place: _again(reply) if nth else reply
                for key, reply in part.items()
                for nth, place in enumerate(places[key])
            }

    def close(self) -> None:
        """Close what was opened with it; a model that was given opened stays open."""
        self._owned.close()

    def closing(self, *things: Any) -> None:
        """Close these with it, too, in the opposite order."""
        for thing in things:
            self._owned.callback(thing.close)

    def _asked(self, todo: Mapping[str, tuple[Ask, Mapping[str, Any]]], *, soon: bool) -> Iterator[dict[str, Reply]]:
        """The replies to asks that are not known, chunk by chunk, as far as the budget goes."""
        left = list(todo)
        while left:
            asks = [todo[key][0] for key in left[: self._at_once_now(soon=soon)]]
            most = [self.model.tokens_at_most(ask) for ask in asks]
            grant = self.budget.grant(most)
            if not grant.count:
                yield {key: Failed(grant.reason, asked=False) for key in left}
                return
            chunk, left = left[: grant.count], left[grant.count :]
            calls, tokens = grant.count, grant.tokens  # as long as nothing is known, all of it is spent
            try:
                got = self._chunk(asks[: grant.count])
                calls = sum(map(_was_a_call, got))
                tokens = sum(_spent(reply, at_most) for reply, at_most in zip(got, most, strict=False))
            finally:
                self.budget.settle(grant, calls=calls, tokens=tokens)
            replies = dict(zip(chunk, got, strict=True))
            self._keep({key: (*todo[key], reply) for key, reply in replies.items()})
            yield replies

    def _at_once_now(self, *, soon: bool) -> int:
        """As many as the model likes; with a limit of time one to see its pace, then what it can answer by the end."""
        most = self._steps.size if soon else max(self.model.at_once, 1)
        left = self.budget.seconds_left
        if left == math.inf:
            return most
        return max(1, min(most, int(left / self._pace))) if self._pace else 1

    def _chunk(self, asks: Sequence[Ask]) -> list[Reply]:
        self.model.deadline = self.budget.deadline
        began = self.budget.clock()
        replies = self.model.answer(asks)
        took = self.budget.clock() - began
        self._pace = took / len(asks)
        self._steps.took(len(asks), took)
        if len(replies) != len(asks):
            raise MMRetrievalError(f"the model '{self.spec}' gave {len(replies)} replies to {len(asks)} asks")
        return [answering(ask, reply) for ask, reply in zip(asks, replies, strict=True)]

    def _keep(self, answered: Mapping[str, tuple[Ask, Mapping[str, Any], Reply]]) -> None:
        """Keep what the model itself answered just now, and record whatever it was asked."""
        if self.cache:
            kinds = {type(ask).__name__ for ask, _, _ in answered.values()}
            for kind in sorted(kinds):
                fresh = {k: r for k, (ask, _, r) in answered.items() if type(ask).__name__ == kind and not r.cached}
                self.cache.keep(kind, fresh)
        for key, (_, facts, reply) in answered.items():
            self._record(facts, key, reply)

    def _record(self, facts: Mapping[str, Any], key: str, reply: Reply) -> None:
        if self.recording and not (isinstance(reply, Failed) and not reply.asked):
            self.recording.add(facts, key, reply)


def open_calls(
    mllm: str | MLLM,
    folder: Path | None = None,
    *,
    budget: Budget | None = None,
    record: Path | str | None = None,
    device: str | None = None,
) -> Calls:
    """The door to a model, by its name or opened already, with the replies that are kept in a folder.

    Without a folder nothing is kept. Close it: the model too is closed where it was opened here. A door that is given
    comes back as it is. Raises as `open_mllm`, `ReplyCache` and `Recording` do.
    """
    if isinstance(mllm, Calls):
        return mllm
    with ExitStack() as undo:
        model = open_mllm(mllm, device=device) if isinstance(mllm, str) else mllm
        if isinstance(mllm, str):
            undo.callback(model.close)
        cache = None if folder is None else ReplyCache(folder, model.fingerprint, model.spec)
        if cache:
            undo.callback(cache.close)
        recording = None if record is None else Recording(Path(record), model)
        calls = Calls(model, cache, budget, recording)
        calls.closing(undo.pop_all())
    return calls


def _was_a_call(reply: Reply) -> bool:
    return not reply.cached and not (isinstance(reply, Failed) and not reply.asked)


def _spent(reply: Reply, at_most: int) -> int:
    """The tokens of a reply that was paid for just now; where a server tells none, the most that it can have been."""
    if not _was_a_call(reply):
        return 0
    return reply.tokens or (0 if isinstance(reply, Failed) else at_most)


def _again(reply: Reply) -> Reply:
    """The reply to an ask that stands in a batch a second time."""
    if isinstance(reply, Failed):
        return replace(reply, tokens=0, asked=False)
    return replace(reply, tokens=0, cached=True)
