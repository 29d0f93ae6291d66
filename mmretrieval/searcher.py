"""The one façade: index a folder, open the index, search it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from mmretrieval import registry
from mmretrieval.captions import CLIP, NONE, check_spec, drop_captions, encode_captions, open_sentence
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.cutoff import STRICTNESS, Cutoff, Unrelated
from mmretrieval.encoders import is_demo
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.finishing import search as search_and_finish
from mmretrieval.near_duplicates import THRESHOLD
from mmretrieval.near_duplicates import checked as checked_threshold
from mmretrieval.opening import check_hybrid, open_first_stage
from mmretrieval.pipeline import OnError, Pipeline
from mmretrieval.planner import AUTO
from mmretrieval.protocols import Encoder
from mmretrieval.specs import make
from mmretrieval.types import MINUS_WEIGHT, Compose, Part, Query, Ranking

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.indexing import IndexReport, Progress

DEFAULT = "default"
DRAWN_WORLD_ONLY = (
    "this index was made with the demo model, which knows nothing but the drawn demo pictures: for photographs its "
    "order means little; index them again into a new folder with a real model (mmretrieval index --help names one)"
)
EMPTY = (
    "this index holds no picture, so nothing can be found; mmretrieval info --files tells what was left out, and why"
)
_NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


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
        return replace(report, warnings=(*report.warnings, *_doubts(collection)))


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


def _doubts(collection: Collection) -> tuple[str, ...]:
    """What a user should know of any answer from this index."""
    misused = is_demo(collection.encoder_spec) and not collection.is_drawn and collection.count
    return (DRAWN_WORLD_ONLY,) if misused else ()


def _made_with(index: Path) -> tuple[str, Literal["fp32", "bf16"]]:
    """The encoder's name and precision of an index; what is usual where there is none yet."""
    try:
        with Collection.open(index) as collection:
            precision: Literal["fp32", "bf16"] = collection.fingerprint.get("precision", "fp32")
            return collection.encoder_spec, precision
    except NotFound:
        return DEFAULT, "fp32"


class Searcher:
    """An opened index with its encoder and pipeline; use it as a context manager, or close it.

    The encoder is loaded at the first query that needs it, and is then checked against the index: another one, or
    one that computes otherwise than on the day of indexing, is refused with FingerprintMismatch.
    """

    def __init__(self, collection: Collection, pipeline: Pipeline) -> None:
        """Use `Searcher.open`, or give a pipeline of your own over an opened collection."""
        self.collection = collection
        self.pipeline = pipeline
        self._warnings = _doubts(collection) if collection.count else (EMPTY,)
        self._unrelated: Unrelated | None = None

    @classmethod
    def open(
        cls,
        index: Path | str,
        *,
        encoder: str | Encoder | None = None,
        index_kind: str = AUTO,
        device: str | None = None,
        refine: str | Sequence[str] = (),
        hybrid: str | None = None,
    ) -> Searcher:
        """Open an index folder for reading; None means the encoder that the index names.

        `hybrid` joins the vectors with the words of captions and metadata, by ranks ("rrf") or by scores ("blend").
        `refine` names refiners in the order in which they work, as in "superglobal:form=full" (see `specs`). Raises
        NotFound without an index, UsageError for an unknown `index_kind`, `hybrid` or refiner (see `mmretrieval list`).
        """
        refiners = [make("refiners", spec) for spec in ([refine] if isinstance(refine, str) else refine)]
        if index_kind != AUTO:
            registry.load("indexes", index_kind)  # a misspelt kind is told before anything is opened
        check_hybrid(hybrid)
        with ExitStack() as undo:
            collection = Collection.open(Path(index))
            undo.callback(collection.close)
            checked = CheckedEncoder(collection, encoder, device)
            first = open_first_stage(collection, checked, index_kind=index_kind, hybrid=hybrid, device=device)
            pipeline = Pipeline([first, *refiners], collection=collection)
            undo.pop_all()
        return cls(collection, pipeline)

    @property
    def ids(self) -> Sequence[str]:
        """All ids of the collection, sorted."""
        return self.collection.ids

    def search(
        self,
        query: str | Query | None = None,
        *,
        image: Path | str | Image | None = None,
        image_id: str | None = None,
        weights: Mapping[str, float] | None = None,
        top_k: int = 10,
        filter: str = "",  # noqa: A002 (the word that users know)
        compose: Compose = "sum",
        minus: Sequence[str] = (),
        like: Sequence[str] = (),
        unlike: Sequence[str] = (),
        cutoff: bool | float = False,
        collapse: bool | float | None = None,
    ) -> Ranking:
        """The best `top_k` images for words, for a picture (a file, an opened image, or an id), or for both.

        With a picture the words are the change that is wanted. `weights` holds a number for "text" and "image".
        `minus` holds words to lead away from, `like` and `unlike` ids of examples and counter-examples, `compose` says
        how the parts are joined, and `filter` restricts the search to the records it describes. For `cutoff` and
        `collapse` see `search_all`.
        """
        if isinstance(query, Query):
            parts = (image, image_id, weights, filter, *minus, *like, *unlike)
            if any(part not in (None, "") for part in parts) or compose != "sum":
                raise UsageError("a Query holds its own picture, weights and filter: give either a Query or its parts")
        else:
            query = Query(
                "q",
                query or "",
                Path(image) if isinstance(image, str) else image,
                image_id,
                weights or _NO_WEIGHTS,
                parts=tuple(Part(text=text, weight=-MINUS_WEIGHT) for text in minus),
                like=tuple(like),
                unlike=tuple(unlike),
                compose=compose,
                filter=filter,
            )
        return self.search_all([query], top_k, cutoff=cutoff, collapse=collapse)[0]

    def search_all(
        self,
        queries: Sequence[Query],
        top_k: int = 10,
        *,
        on_error: OnError = "raise",
        cutoff: bool | float = False,
        collapse: bool | float | None = None,
    ) -> list[Ranking]:
        """One ranking per query, in order; together they cost less than one by one.

        `cutoff` takes away what scores no better than what does not belong, and so may leave nothing: True, or its
        strictness between 0 and 1 (see `cutoff`). `collapse` folds near-duplicates into the best-ranked of them:
        True, or the cosine from which on they are some (see `near_duplicates`). Raises UsageError where the first
        stage's scores cannot be cut.
        """
        rankings = search_and_finish(
            self.pipeline,
            self.collection,
            queries,
            top_k,
            cut=self._cutoff(STRICTNESS if cutoff is True else cutoff) if cutoff is not False else None,
            threshold=checked_threshold(THRESHOLD if collapse is True else collapse) if collapse else None,
            on_error=on_error,
        )
        return [self._warned(ranking) for ranking in rankings]

    def close(self) -> None:
        """Close the collection; a closed searcher cannot search."""
        self.collection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cutoff(self, strictness: float) -> Cutoff:
        """What it learns of a kind of query is kept as long as the searcher."""
        if self._unrelated is None:
            self._unrelated = Unrelated(self.pipeline.first_stage, self.collection)
        return Cutoff(self._unrelated, strictness)

    def _warned(self, ranking: Ranking) -> Ranking:
        told = ranking.warnings
        if ranking.query.filter and not ranking.hits:
            misfits = self.collection.filters.misfits(ranking.query.filter)
            told = (*told, *(f"query '{ranking.query.id}': {misfit}" for misfit in misfits))
        return replace(ranking, warnings=(*self._warnings, *told))
