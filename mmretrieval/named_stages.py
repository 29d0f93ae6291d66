"""The stages of a search by their names, checked before anything is opened, and made anew for each snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

from mmretrieval import registry
from mmretrieval.encoders import open_encoder
from mmretrieval.fusion import Fusion
from mmretrieval.opening import check_hybrid, open_first_stage
from mmretrieval.planner import AUTO
from mmretrieval.specs import make, parse_spec

if TYPE_CHECKING:
    from mmretrieval.collection import Collection
    from mmretrieval.protocols import Encoder, Index, TextEncoder
    from mmretrieval.stages import FirstStage, Stage

Names = str | Sequence[str]


class NamedStages:
    """What a search was asked to be made of; see `Searcher.open` for the names.

    `asks` says whether there is a language model. Raises UsageError for a name that there is not.
    """

    def __init__(
        self,
        *,
        index_kind: str = AUTO,
        hybrid: str | None = None,
        fuse: str | None = None,
        rewrite: Names = (),
        refine: Names = (),
        rerank: Names = (),
        asks: bool = False,
        device: str | None = None,
    ) -> None:
        self._refiners: list[Stage] = [make("refiners", spec) for spec in _each(refine)]
        self._rewrite, self._rerank = _each(rewrite), _each(rerank)
        self._index_kind, self._hybrid, self._asks, self._device = index_kind, hybrid, asks, device
        self._open_encoder = cache(partial(open_encoder, device=device))  # loaded once for all snapshots
        self._fusion = None if fuse is None else Fusion.parse(fuse)
        check_hybrid(hybrid)
        if index_kind != AUTO:
            registry.load("indexes", parse_spec(index_kind)[0])
        for kind, specs in (("rewriters", self._rewrite), ("rerankers", self._rerank)):
            for spec in specs:
                registry.load(kind, parse_spec(spec)[0])

    def over(
        self,
        collection: Collection,
        encoder: Encoder,
        first: FirstStage | None = None,
        texts: TextEncoder | None = None,
        nearest: Index | None = None,
    ) -> list[Stage]:
        """The stages in their order: rewriters, the first stage, refiners, rerankers; `first` is one of your own.

        `texts` is the encoder of captions and `nearest` the index over the pictures' vectors, opened already.
        """
        given = {"encoder": encoder, "collection": collection, "open_encoder": self._open_encoder}
        rewriters = [make("rewriters", spec, **given, ask=self._asks) for spec in self._rewrite]
        if self._fusion is not None:
            own_caption = registry.load("rewriters", "own_caption")
            rewriters.append(own_caption(collection, share=self._fusion.caption, ask=self._asks))
        if first is None:
            first = open_first_stage(
                collection,
                encoder,
                index_kind=self._index_kind,
                hybrid=self._hybrid,
                fuse=self._fusion,
                device=self._device,
                texts=texts,
                nearest=nearest,
            )
        return [*rewriters, first, *self._refiners, *(make("rerankers", spec, **given) for spec in self._rerank)]


def _each(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
