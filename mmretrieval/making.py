"""Index a folder of pictures as users ask for it: encoders by name, captions, and doubts that should be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmretrieval.captions import CLIP, NONE, check_spec, drop_captions, encode_captions, open_sentence
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.encoder_names import refuse_another
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.protocols import Encoder
from mmretrieval.searcher import doubts

if TYPE_CHECKING:
    from mmretrieval.indexing import IndexReport, Progress

DEFAULT = "default"


def index(
    source: Path | str,
    index: Path | str,
    encoder: str | Encoder = DEFAULT,
    manifest: Path | str | None = None,
    *,
    batch_size: int = 64,
    device: str | None = None,
    precision: Literal["fp32", "bf16"] | None = None,
    captions: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> IndexReport:
    """Bring the index folder up to date with the pictures under `source`; what stands already is not done again.

    "default" is the encoder the index was made with, or for a new one `encoders.DEFAULT_ENCODER`. `device` and
    `precision` hold for an encoder given by name; without a precision it is that of the index, or fp32. A picture
    that cannot be read is in the report's `skipped`.

    With `captions` the captions of a manifest get vectors of their own, for hybrid search: "clip" makes them with the
    encoder's text tower, "sentence:NAME" with a sentence-embedding model (extra `sentence`); "none" takes them out
    again, and an index keeps the ones it has.
    """
    from mmretrieval.encoders import open_encoder
    from mmretrieval.indexing import index as run

    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}: use 1 or more")
    if captions is not None:
        check_spec(captions)
    if not Path(source).is_dir():  # said before a model is loaded, or downloaded
        raise NotFound(f"there is no folder {source}")
    if isinstance(encoder, str):
        made_with, made_in = _made_with(Path(index))
        name = made_with if encoder == DEFAULT else encoder
        if not made_with:
            raise UsageError(f"{index}: made from ready vectors; index pictures into a folder of their own")
        if made_with != DEFAULT:
            refuse_another(name, made_with, Path(index))
        encoder = open_encoder(name, device=device, precision=precision or made_in)
    report = run(
        Path(source),
        Path(index),
        encoder=encoder,
        manifest=None if manifest is None else Path(manifest),
        batch_size=batch_size,
        progress=progress,
        stop=stop,
    )
    if not report.interrupted:
        report = replace(report, **_with_captions(Path(index), captions, encoder, device, progress, stop))
    with Collection.open(Path(index)) as collection:
        return replace(report, warnings=(*report.warnings, *doubts(collection)))


def follow_captions(
    index: Path | str,
    *,
    captions: str | None = None,
    encoder: str | Encoder | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[int, tuple[str, ...]]:
    """Give captions that changed their vectors; how many were encoded, and what a user should know of it.

    `captions` is as in `index`; an index keeps the way it has, and one that has none gets "clip".
    """
    if captions is not None:
        check_spec(captions)
    with Collection.open(index) as collection:
        spec = captions or str(collection.caption_facts.get("encoder", CLIP))
        if spec == CLIP and not collection.encoder_spec and encoder is None:
            return 0, ("captions have no vectors, since the index knows no encoder: name one with --encoder",)
        if spec == NONE:
            drop_captions(Path(index))
            return 0, ()
        texts = CheckedEncoder(collection, encoder, device) if spec == CLIP else open_sentence(spec, device)
        count, is_complete = encode_captions(Path(index), spec, texts, progress=progress, stop=stop)
    return count, () if is_complete else ("not all captions were encoded: run the same command again to go on",)


def _with_captions(
    index: Path,
    spec: str | None,
    encoder: Encoder,
    device: str | None,
    progress: Callable[[Progress], None] | None,
    stop: Callable[[], bool] | None,
) -> dict[str, Any]:
    """Brings the channel of captions up to date; what changes by it in the report."""
    from mmretrieval.indexing import Progress

    if spec == NONE:
        drop_captions(index)
        return {}
    if spec is None:
        with Collection.open(index) as collection:
            spec = collection.caption_facts.get("encoder")
    if spec is None:
        return {}
    texts = encoder if spec == CLIP else open_sentence(spec, device)

    def told(done: int, total: int) -> None:
        if progress is not None:
            progress(Progress("captions", done, total))

    count, is_complete = encode_captions(index, spec, texts, progress=told, stop=stop)
    return {"captions": count, "interrupted": not is_complete}


def _made_with(index: Path) -> tuple[str, Literal["fp32", "bf16"]]:
    """The encoder's name and precision of an index; what is usual where there is none yet."""
    try:
        with Collection.open(index) as collection:
            precision: Literal["fp32", "bf16"] = collection.fingerprint.get("precision", "fp32")
            return collection.encoder_spec, precision
    except NotFound:
        return DEFAULT, "fp32"
