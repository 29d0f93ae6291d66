"""mmretrieval search: rank the pictures of an index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmretrieval.cli.asked import Like, Minus, Pictures, Unlike, query_of
from mmretrieval.cli.asking import (
    MaxCalls,
    MaxCost,
    MaxSeconds,
    Mllm,
    Price,
    Record,
    Replay,
    asking,
    tell_planned,
    tell_steps,
)
from mmretrieval.cli.options import (
    Compose,
    Device,
    EncoderOverride,
    Filter,
    Fuse,
    Hybrid,
    IndexFolder,
    IndexKind,
    Json,
    Refine,
    Rerank,
    Rewrite,
    Weight,
    parse_filter,
)
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import UsageError
from mmretrieval.types import Hit, Query, Ranking

if TYPE_CHECKING:
    from mmretrieval.searcher import Searcher

Preset = Annotated[
    str | None, typer.Option("--preset", metavar="PRESET", help="All stages of a preset or a .toml file.")
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Print also what each channel and part of the query adds, and why; on stderr planned calls and steps.",
    ),
]
Cutoff = Annotated[
    bool, typer.Option("--cutoff", help="Leave out what scores no better than pictures that do not belong.")
]
Strictness = Annotated[
    float | None,
    typer.Option("--strictness", metavar="S", help="With --cutoff, between 0 and 1; 0.75 is usual."),
]
Collapse = Annotated[bool, typer.Option("--collapse", help="Fold near-duplicates into the best-ranked of them.")]
Alike = Annotated[
    float | None,
    typer.Option("--alike", metavar="COSINE", help="With --collapse, what counts as near; 0.97 is usual."),
]


def search(
    index: IndexFolder,
    text: Annotated[str | None, typer.Argument(help="What is sought; with --image, the change that is wanted.")] = None,
    image: Pictures = None,
    weight: Weight = None,
    minus: Minus = None,
    like: Like = None,
    unlike: Unlike = None,
    compose: Compose = "sum",
    filter: Filter = None,  # noqa: A002 (the word that users know)
    explain: Explain = False,
    preset: Preset = None,
    hybrid: Hybrid = None,
    fuse: Fuse = None,
    rewrite: Rewrite = None,
    refine: Refine = None,
    rerank: Rerank = None,
    mllm: Mllm = None,
    max_calls: MaxCalls = None,
    max_seconds: MaxSeconds = None,
    max_cost: MaxCost = None,
    price: Price = None,
    record: Record = None,
    replay: Replay = None,
    cutoff: Cutoff = False,
    strictness: Strictness = None,
    collapse: Collapse = False,
    alike: Alike = None,
    top_k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many pictures.")] = 10,
    index_kind: IndexKind = "auto",
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Search by words, by pictures, by examples, or by several of them.

    Prints rank, score, id and path. With a picture, the words are the change that is wanted. A picture's own weight
    stands behind it, as in heron.jpg@0.5. What is folded into a hit stands in the JSON, as its duplicates.
    """
    _check_wishes(strictness, alike, cutoff=cutoff, collapse=collapse)
    model = asking(mllm, replay, record, max_calls=max_calls, max_seconds=max_seconds, max_cost=max_cost, price=price)
    stages = _stages(preset, compose, hybrid=hybrid, fuse=fuse, rewrite=rewrite, refine=refine, rerank=rerank)
    given: dict[str, Any] = {"weight": weight, "minus": minus or (), "like": like or (), "unlike": unlike or ()}
    query = query_of(text, images=image or (), compose=compose, filter=parse_filter(filter), **given)
    more = {"encoder": encoder, "index_kind": index_kind, "device": device, **model, **stages}
    searcher, query = _opened(index, query, preset, more)
    with searcher:
        if explain and replay is None:
            tell_planned(searcher.planned())
        cut, fold = cutoff if strictness is None else strictness, collapse if alike is None else alike
        ranking = searcher.search(query, top_k=top_k, cutoff=cut, collapse=fold)
    if explain:
        tell_steps(ranking.steps)
    return _report(ranking, explain=explain)


def _check_wishes(strictness: float | None, alike: float | None, *, cutoff: bool, collapse: bool) -> None:
    if (strictness is not None and not cutoff) or (alike is not None and not collapse):
        raise UsageError("--strictness needs --cutoff beside it, and --alike needs --collapse")


def _stages(preset: str | None, compose: str, **stages: str | list[str] | None) -> dict[str, Any]:
    """The arguments that name stages; none with a preset, which names them itself."""
    named = {name: value for name, value in stages.items() if value not in (None, [])}
    if preset is not None and (named or compose != "sum"):
        options = ", ".join(f"--{name}" for name in stages)
        raise UsageError(f"a preset names the stages and how a query is joined: leave out {options} and --compose")
    return named


def _opened(index: Path, query: Query, preset: str | None, more: Mapping[str, Any]) -> tuple[Searcher, Query]:
    """A searcher of the index, and the query as the preset, if there is one, joins it."""
    if preset is None:
        from mmretrieval.searcher import Searcher

        return Searcher.open(index, **more), query
    from mmretrieval.presets.opening import open_preset
    from mmretrieval.presets.preset import read_preset

    chosen = read_preset(preset)
    return open_preset(chosen, index, **more), chosen.joined(query)


def _report(ranking: Ranking, *, explain: bool) -> Report:
    found = ranking.to_dict()
    return Report(
        fields={"query": found["query"], "hits": found["hits"], "steps": found["steps"]},
        lines=[
            row(
                rank,
                "-" if hit.score is None else f"{hit.score:.4f}",
                hit.id,
                hit.path,
                *(_explained(hit) if explain else ()),
            )
            for rank, hit in enumerate(ranking.hits, start=1)
        ],
        status=ranking.status,
        warnings=ranking.warnings,
    )


def _explained(hit: Hit) -> tuple[str, str, str]:
    """Three more columns: what each channel adds to the score, what each part adds to the channel image, and why."""
    return _parts(hit.scores), _parts(hit.shares), hit.why


def _parts(values: Mapping[str, float]) -> str:
    return ",".join(f"{name}={value:+.4f}" for name, value in values.items()) or "-"
