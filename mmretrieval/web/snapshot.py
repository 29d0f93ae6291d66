"""One state of an index that is being served: its collection, and a searcher for each setting that was asked for."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

from mmretrieval import registry
from mmretrieval.asks import MLLM
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.errors import UsageError
from mmretrieval.named_stages import NamedStages
from mmretrieval.opening import open_texts
from mmretrieval.pipeline import Pipeline
from mmretrieval.planner import open_index
from mmretrieval.protocols import TextEncoder
from mmretrieval.remembering import Remembering
from mmretrieval.searcher import Searcher
from mmretrieval.specs import parse_spec
from mmretrieval.stages import Stage
from mmretrieval.web.form import Settings

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_KEPT = 32  # settings whose stages stay open; a slider passes through many


class Snapshot:
    """A collection with what was opened over it; safe to use from many threads.

    The encoder is loaded at most once, and remembers what it encoded lately, so another weight costs no encoding.
    """

    def __init__(
        self,
        collection: Collection,
        checked: CheckedEncoder,
        index_kind: str,
        device: str | None,
        texts: TextEncoder | None = None,
    ) -> None:
        """`texts` is the encoder of captions, where one was opened for the same captions already."""
        self.collection = collection
        self.checked = checked
        self._encoder = Remembering(checked)
        self._texts = texts or open_texts(collection, self._encoder, device)
        self._nearest = open_index(collection, index_kind)  # one for all settings: it may hold much memory
        self._index_kind, self._device = index_kind, device
        self._stages: dict[tuple[Settings, bool], list[Stage]] = {}
        self._searchers: dict[Settings, Searcher] = {}
        self._opening = threading.Lock()

    def over(self, newer: Collection) -> Snapshot:
        """The same over a newer state; the encoders stay loaded."""
        texts = self._texts if newer.caption_facts == self.collection.caption_facts else None
        return Snapshot(newer, self.checked.over(newer), self._index_kind, self._device, texts)

    def searcher(self, settings: Settings, calls: MLLM | None = None) -> Searcher:
        """A searcher with these stages; with `calls` one of its own, since a budget is for one search.

        Raises UsageError for a method that there is not, that opens a model of its own, or that asks a language model
        where there is none.
        """
        with self._opening:
            if calls is None and settings in self._searchers:
                return self._searchers[settings]
            stages = self._opened(settings, asks=calls is not None)
            searcher = Searcher(self.collection, Pipeline(stages, calls, self.collection))
            if calls is None:
                self._searchers[settings] = searcher
                _forget_oldest(self._searchers)
            return searcher

    def _opened(self, settings: Settings, *, asks: bool) -> list[Stage]:
        key = (settings, asks)
        if key not in self._stages:
            for kind, specs in (("rewriters", settings.rewrite), ("rerankers", settings.rerank)):
                for spec in specs:
                    _refuse_opening(kind, spec)
            named = NamedStages(
                index_kind=self._index_kind,
                hybrid=settings.hybrid,
                fuse=settings.fuse,
                rewrite=settings.rewrite,
                refine=settings.refine,
                rerank=settings.rerank,
                asks=asks,
                device=self._device,
            )
            self._stages[key] = named.over(self.collection, self._encoder, texts=self._texts, nearest=self._nearest)
            _forget_oldest(self._stages)
        for stage in self._stages[key]:
            if stage.needs and not asks:
                raise UsageError(f"'{stage.name}' asks a language model, and this server was started without --mllm")
        return self._stages[key]

    def close(self) -> None:
        self.collection.close()


def _refuse_opening(kind: str, spec: str) -> None:
    """Which models are loaded is for the one who started the server to say."""
    name = parse_spec(spec)[0]
    method: Callable[..., object] = registry.load(kind, name)
    if "open_encoder" in inspect.signature(method).parameters:
        raise UsageError(f"'{name}' loads a model of its own, which a server does not do for its visitors")


def _forget_oldest(kept: dict[K, V]) -> None:
    while len(kept) > _KEPT:
        del kept[next(iter(kept))]
