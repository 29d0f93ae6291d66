"""Opens an index with the pipeline of a preset, or with the part of it that ends at the first stage."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mmretrieval.asks import MLLM
from mmretrieval.budget import Budget
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.encoders import open_encoder
from mmretrieval.errors import UsageError
from mmretrieval.fusion import Fusion
from mmretrieval.opening import open_first_stage, open_model
from mmretrieval.pipeline import Pipeline
from mmretrieval.planner import AUTO, open_index
from mmretrieval.presets.preset import Preset, StageSpec
from mmretrieval.protocols import Encoder
from mmretrieval.searcher import Searcher
from mmretrieval.specs import make
from mmretrieval.stages import Stage


def first_stage_of(preset: Preset) -> Preset:
    """The same preset without what refines and reranks; the very same where there is nothing of it."""
    head = tuple(stage for stage in preset.stages if stage.verb in ("rewrite", "search"))
    kept = {stage.method for stage in head} | {"query", "encoder"}
    origins = {name: told for name, told in preset.origins.items() if name.partition(".")[0] in kept}
    return preset if head == preset.stages else replace(preset, stages=head, origins=origins)


def open_preset(
    preset: Preset,
    index: Path,
    *,
    encoder: str | Encoder | None = None,
    mllm: str | MLLM | None = None,
    budget: Budget | None = None,
    record: Path | str | None = None,
    index_kind: str = AUTO,
    device: str | None = None,
) -> Searcher:
    """A searcher over an index folder with the stages of a preset; `mllm`, `budget` and `record` as in `Searcher.open`.

    The encoder is that of the index, as everywhere; `preset.encoder` is for those who make one. Raises
    MissingPrerequisite naming stages that this version lacks, UsageError for a setting that a stage does not have, for
    stages out of order, for one that asks a language model when `mllm` is None, and for a name that none asks.
    """
    preset.need_all()
    with ExitStack() as undo:
        collection = Collection.open(index)
        undo.callback(collection.close)
        checked = CheckedEncoder(collection, encoder, device)
        given = {
            "encoder": checked,
            "collection": collection,
            "index": open_index(collection, index_kind),
            "open_encoder": partial(open_encoder, device=device),
        }
        stages = [_made(stage, given, index_kind, device) for stage in preset.stages]
        calls = open_model(stages, mllm, index, budget=budget, record=record, device=device)
        own = calls if calls is not mllm else None
        if own:
            undo.callback(own.close)
        searcher = Searcher(collection, Pipeline(stages, calls, collection), calls=own)
        undo.pop_all()
    return searcher


def _made(stage: StageSpec, given: Mapping[str, Any], index_kind: str, device: str | None) -> Stage:
    if (stage.verb, stage.method) in (("search", "hybrid"), ("search", "fused")):
        more: dict[str, Any] = {"index_kind": index_kind, "device": device}  # they stand on what is made in one place
        return open_first_stage(given["collection"], given["encoder"], **_joined(stage), **more)
    made: Stage = make(stage.kind, str(stage), **given)
    return made


def _joined(stage: StageSpec) -> dict[str, Any]:
    """How looks are joined with captions, as `open_first_stage` takes it."""
    known = {"hybrid": ("method",), "fused": ("image", "caption", "how")}[stage.method]
    for name in stage.settings.keys() - set(known):
        told = f"its setting is {known[0]}" if len(known) == 1 else f"its settings are {', '.join(known)}"
        raise UsageError(f"'{stage.method}' has no setting '{name}' in a preset: {told}")
    if stage.method == "hybrid":
        return {"hybrid": str(stage.settings.get("method", "rrf"))}
    usual = Fusion()
    weights = ",".join(f"{name}={stage.settings.get(name, getattr(usual, name))}" for name in ("image", "caption"))
    return {"fuse": Fusion.parse(f"{stage.settings.get('how', usual.how)}:{weights}")}
