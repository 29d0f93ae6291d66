"""mmretrieval search: rank the pictures of an index."""

from __future__ import annotations

from typing import Annotated

import typer

from mmretrieval.cli.options import Device, EncoderOverride, IndexFolder, IndexKind, Json, parse_image, parse_weights
from mmretrieval.cli.report import Report, row
from mmretrieval.errors import UsageError
from mmretrieval.types import Ranking


def search(
    index: IndexFolder,
    text: Annotated[str | None, typer.Argument(help="What is sought; with --image, the change that is wanted.")] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="FILE|id:ID", help="A picture file, or a picture of the index.")
    ] = None,
    weight: Annotated[
        str | None, typer.Option("--weight", metavar="text=W,image=W", help="How much the words and the picture count.")
    ] = None,
    top_k: Annotated[int, typer.Option("-k", "--top-k", min=1, help="How many pictures.")] = 10,
    index_kind: IndexKind = "auto",
    encoder: EncoderOverride = None,
    device: Device = None,
    json: Json = False,
) -> Report:
    """Search by words, by a picture, or by both.

    Prints rank, score, id and path. With a picture, the words are the change that is wanted.
    """
    path, image_id = parse_image(image) if image is not None else (None, None)
    if weight is not None and (image is None or not text):
        raise UsageError("--weight shares a search between words and a picture: give both, or leave it out")
    weights = parse_weights(weight) if weight is not None else None
    if not (text or "").strip() and image is None:
        raise UsageError("there is nothing to search for: give words, --image, or both")
    from mmretrieval.searcher import Searcher

    with Searcher.open(index, encoder=encoder, index_kind=index_kind, device=device) as searcher:
        ranking = searcher.search(text, image=path, image_id=image_id, weights=weights, top_k=top_k)
    return _report(ranking)


def _report(ranking: Ranking) -> Report:
    found = ranking.to_dict()
    return Report(
        fields={"query": found["query"], "hits": found["hits"], "steps": found["steps"]},
        lines=[
            row(rank, "-" if hit.score is None else f"{hit.score:.4f}", hit.id, hit.path)
            for rank, hit in enumerate(ranking.hits, start=1)
        ],
        warnings=ranking.warnings,
    )
