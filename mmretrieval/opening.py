"""The first stage of a collection, as it was asked for: dense search alone, hybrid search, or fused search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmretrieval import registry
from mmretrieval.calls import Calls, open_calls
from mmretrieval.captions import CHANNEL, CLIP, open_caption_encoder
from mmretrieval.errors import UsageError
from mmretrieval.first_stages.hybrid import METHODS
from mmretrieval.fusion import Fusion, early_rows
from mmretrieval.planner import AUTO, open_index
from mmretrieval.remembering import Remembering, RememberingTexts
from mmretrieval.specs import make
from mmretrieval.stages import Reranker, Rewriter

if TYPE_CHECKING:
    from mmretrieval.asks import MLLM
    from mmretrieval.budget import Budget
    from mmretrieval.collection import Collection
    from mmretrieval.protocols import Encoder, Index, TextEncoder
    from mmretrieval.stages import FirstStage, Stage


def check_hybrid(hybrid: str | None) -> None:
    """Raise UsageError for a kind of hybrid search that there is not."""
    if hybrid is not None and hybrid not in METHODS:
        raise UsageError(f"there is no hybrid search '{hybrid}': choose one of: {', '.join(METHODS)}")


def open_first_stage(
    collection: Collection,
    encoder: Encoder,
    *,
    index_kind: str = AUTO,
    hybrid: str | None = None,
    fuse: Fusion | None = None,
    device: str | None = None,
    texts: TextEncoder | None = None,
    nearest: Index | None = None,
) -> FirstStage:
    """Dense search, or with `hybrid` "rrf" or "blend" all channels of the collection joined, or with `fuse` two.

    A blend has the weights that were fitted for this collection, else the usual ones. `device` is for the encoder of
    captions, where the collection has one of its own; `texts` is that encoder, and `nearest` the index over the
    vectors of pictures, opened already. Raises UsageError for `hybrid` and `fuse` together, and for a fusion of a
    collection whose captions have no vectors.
    """
    check_hybrid(hybrid)
    if fuse is not None:
        if hybrid is not None:
            raise UsageError("--hybrid and --fuse both join looks and captions: give one of them")
        return _open_fused(collection, encoder, fuse, index_kind, texts or open_texts(collection, encoder, device))
    nearest = open_index(collection, index_kind) if nearest is None else nearest
    dense: Callable[..., FirstStage] = registry.load("first_stages", "dense")
    if hybrid is None:
        return dense(encoder, collection, nearest)
    remembering = Remembering(encoder)
    captions = open_captions(collection, remembering, device, texts) if CHANNEL in collection.channels else None
    joined: Callable[..., FirstStage] = registry.load("first_stages", "hybrid")
    return joined(
        collection,
        dense(remembering, collection, nearest),
        registry.load("first_stages", "bm25")(collection),
        captions,
        method=hybrid,
        weights=collection.blend,
    )


def open_model(
    stages: Sequence[Stage],
    mllm: str | MLLM | None,
    index: Path,
    *,
    budget: Budget | None = None,
    record: Path | str | None = None,
    device: str | None = None,
) -> Calls | None:
    """The door to the language model that these stages ask, with the replies that are kept in the index folder.

    None where no model was named. Raises UsageError, before a model is loaded, for a name when no stage asks one, and
    for a stage that asks when none was named.
    """
    if mllm is None:
        for stage in stages:
            if stage.needs:
                raise UsageError(
                    f"'{stage.name}' asks a language model: name one with --mllm (in Python: mllm=), as in demo"
                )
        return None
    # some stages ask only where there is a model, so any of these verbs may
    if isinstance(mllm, str) and not any(isinstance(stage, Rewriter | Reranker) for stage in stages):
        raise UsageError(
            f"the language model '{mllm}' was named, and no stage asks one: name such a stage, as with --rewrite or "
            "--rerank, or leave the model out"
        )
    return open_calls(mllm, index, budget=budget, record=record, device=device)


def _open_fused(
    collection: Collection, encoder: Encoder, fusion: Fusion, index_kind: str, texts: TextEncoder
) -> FirstStage:
    """Fused search; an index of the kind that was asked for stands over early fused rows, else an exact one."""
    if CHANNEL not in collection.channels:
        raise UsageError(
            f"{collection.index}: its captions have no vectors, so looks cannot be fused with them: let a model "
            f"describe the pictures with: mmretrieval caption --index {collection.index} --mllm NAME, or encode the "
            "captions that there are with: mmretrieval index PICTURES --captions clip"
        )
    fused: Callable[..., FirstStage] = registry.load("first_stages", "fused")
    spec = str(collection.caption_facts["encoder"])
    if fusion.how == "early":
        if spec != CLIP:
            raise UsageError(
                f"{collection.index}: its captions are encoded by '{spec}', its pictures are not: fuse late"
            )
        kind, cache = "exact" if index_kind == AUTO else index_kind, collection.index / "cache" / "fused"
        early = make("indexes", kind, rows=early_rows(collection, fusion), cache=cache)
        return fused(encoder, collection, fusion, early=early)
    return fused(encoder, collection, fusion, captions=None if spec == CLIP else texts)


def open_texts(collection: Collection, encoder: Encoder, device: str | None = None) -> TextEncoder:
    """The encoder of the channel of captions, loaded when it is first needed; `encoder` is the one of the pictures."""
    return RememberingTexts(lambda: open_caption_encoder(collection.caption_facts, encoder, device))


def open_captions(
    collection: Collection, encoder: Encoder, device: str | None = None, texts: TextEncoder | None = None
) -> FirstStage:
    """Search by the sense of captions; `encoder` is the one of the collection. The vectors are searched exactly."""
    nearest = registry.load("indexes", "exact")(collection.rows(CHANNEL))
    caption: Callable[..., FirstStage] = registry.load("first_stages", "caption")
    return caption(texts or open_texts(collection, encoder, device), collection, nearest)
