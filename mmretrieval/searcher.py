"""The one façade: open an index, search it, and go over to what is new in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmretrieval.asks import MLLM
from mmretrieval.budget import Budget
from mmretrieval.calls import Calls
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.cutoff import STRICTNESS, Cutoff, Unrelated
from mmretrieval.encoders import is_demo
from mmretrieval.errors import UsageError
from mmretrieval.finishing import search as search_and_finish
from mmretrieval.given_run import GivenRun
from mmretrieval.named_stages import NamedStages
from mmretrieval.near_duplicates import THRESHOLD
from mmretrieval.near_duplicates import checked as checked_threshold
from mmretrieval.opening import open_model
from mmretrieval.pipeline import Pipeline
from mmretrieval.planned import Planned, planned_calls
from mmretrieval.planner import AUTO
from mmretrieval.protocols import Encoder
from mmretrieval.types import MINUS_WEIGHT, Compose, Encoded, Part, Query, Ranking
from mmretrieval.under_way import OnError
from mmretrieval.watching import NOBODY, Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

DRAWN_WORLD_ONLY = (
    "this index was made with the demo model, which knows nothing but the drawn demo pictures: for photographs its "
    "order means little; index them again into a new folder with a real model (mmretrieval index --help names one)"
)
EMPTY = (
    "this index holds no picture, so nothing can be found; mmretrieval info --files tells what was left out, and why"
)
_NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})


def _picture(image: Path | str | Image | NDArray[np.floating[Any]] | None) -> Path | Image | Encoded | None:
    if isinstance(image, np.ndarray):
        return Encoded(tuple(image.ravel().tolist()))
    return Path(image) if isinstance(image, str) else image


def doubts(collection: Collection) -> tuple[str, ...]:
    """What a user should know of any answer from this index."""
    misused = is_demo(collection.encoder_spec) and not collection.is_drawn and collection.count
    return (DRAWN_WORLD_ONLY,) if misused else ()


class Searcher:
    """An opened index with its encoder and pipeline; use it as a context manager, or close it.

    The encoder is loaded at the first query that needs it, and is then checked against the index: another one, or
    one that computes otherwise than on the day of indexing, is refused with FingerprintMismatch.
    """

    def __init__(
        self,
        collection: Collection,
        pipeline: Pipeline,
        renew: Callable[[Collection], Pipeline] | None = None,
        calls: Calls | None = None,
    ) -> None:
        """Use `Searcher.open`, or give a pipeline of your own over an opened collection.

        `renew` makes the same pipeline over a newer snapshot, for `refresh`. `calls` is closed with the searcher.
        """
        self._renew = renew
        self._calls = calls
        self._before: Collection | None = None  # the snapshot before this one, for searches that still read it
        self._stand_on(collection, pipeline)

    def _stand_on(self, collection: Collection, pipeline: Pipeline) -> None:
        self.collection = collection
        self.pipeline = pipeline
        self._warnings = doubts(collection) if collection.count else (EMPTY,)
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
        fuse: str | None = None,
        rewrite: str | Sequence[str] = (),
        rerank: str | Sequence[str] = (),
        mllm: str | MLLM | None = None,
        budget: Budget | None = None,
        record: Path | str | None = None,
        run: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Searcher:
        """Open an index folder for reading; None means the encoder that the index names.

        `hybrid` joins the vectors with the words of captions and metadata, by ranks ("rrf") or by scores ("blend").
        `fuse`, as in "image=0.7,caption=0.3", scores each picture by its looks and its own caption, see `fusion`; a
        query that is a picture gets its caption too, the stored one or by the model.
        `rewrite`, `refine` and `rerank` name methods in the order in which they work, as in "superglobal:form=full"
        (see `specs`); rerankers work last. `mllm` is the language model that they ask, by its name (see `open_mllm`)
        or opened already. What it answers is kept in the index folder and not asked again; `budget` holds for all
        searches together, and `record` is a file that takes all asks and replies, for "replay:FILE". With `run`,
        scores by image by query id, the hits that another system found take the place of a search. Raises NotFound
        without an index, UsageError for an unknown `index_kind`, `hybrid` or method (see `mmretrieval list`), for a
        method that asks a language model when none is named, and for a model that none asks.
        """
        named = NamedStages(
            index_kind=index_kind,
            hybrid=hybrid,
            fuse=fuse,
            rewrite=rewrite,
            refine=refine,
            rerank=rerank,
            asks=mllm is not None,
            device=device,
        )
        with ExitStack() as undo:
            collection = Collection.open(Path(index))
            undo.callback(collection.close)
            checked = CheckedEncoder(collection, encoder, device)
            stages = named.over(collection, checked, None if run is None else GivenRun(run, collection))
            calls = open_model(stages, mllm, Path(index), budget=budget, record=record, device=device)
            own = calls if calls is not mllm else None  # one that was given is closed by its owner
            if own:
                undo.callback(own.close)
            pipeline = Pipeline(stages, calls, collection)
            undo.pop_all()

        def over(snapshot: Collection) -> Pipeline:
            nonlocal checked
            checked = checked.over(snapshot)
            first = None if run is None else GivenRun(run, snapshot)
            return Pipeline(named.over(snapshot, checked, first), calls, snapshot)

        return cls(collection, pipeline, over, own)

    def refresh(self) -> bool:
        """Go over to what a writer has committed since; whether there was anything. For programs that run for long.

        The encoder stays loaded. Searches that other threads have begun end on the snapshot they began with, which is
        closed by the next refresh, so do not refresh more often than a search takes. Raises UsageError for a
        searcher with a pipeline of one's own, and as `Collection.open` does; then the old snapshot stays.
        """
        if self._renew is None:
            raise UsageError("this searcher has a pipeline of its own: open the collection again, and make it anew")
        newest = self.collection.refresh()
        if newest is self.collection:
            return False
        try:
            pipeline = self._renew(newest)
        except BaseException:
            newest.close()
            raise
        if self._before is not None:
            self._before.close()
        self._before = self.collection
        self._stand_on(newest, pipeline)
        return True

    @property
    def ids(self) -> Sequence[str]:
        """All ids of the collection, sorted."""
        return self.collection.ids

    def search(
        self,
        query: str | Query | None = None,
        *,
        image: Path | str | Image | NDArray[np.floating[Any]] | None = None,
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
        watch: Watch = NOBODY,
    ) -> Ranking:
        """The best `top_k` images for words, for a picture (a file, an opened image, or an id), or for both.

        A vector (dim,) of the index's encoder, as `image`, stands for the picture it was made of, and needs no model.
        With a picture the words are the change that is wanted. `weights` holds a number for "text" and "image".
        `minus` holds words to lead away from, `like` and `unlike` ids of examples and counter-examples, `compose` says
        how the parts are joined, and `filter` restricts the search to the records it describes. For `cutoff`,
        `collapse` and `watch` see `search_all`.
        """
        if isinstance(query, Query):
            parts = (image_id, weights, filter, *minus, *like, *unlike)
            if image is not None or any(part not in (None, "") for part in parts) or compose != "sum":
                raise UsageError("a Query holds its own picture, weights and filter: give either a Query or its parts")
        else:
            query = Query(
                "q",
                query or "",
                _picture(image),
                image_id,
                weights or _NO_WEIGHTS,
                parts=tuple(Part(text=text, weight=-MINUS_WEIGHT) for text in minus),
                like=tuple(like),
                unlike=tuple(unlike),
                compose=compose,
                filter=filter,
            )
        return self.search_all([query], top_k, cutoff=cutoff, collapse=collapse, watch=watch)[0]

    def search_all(
        self,
        queries: Sequence[Query],
        top_k: int = 10,
        *,
        on_error: OnError = "raise",
        cutoff: bool | float = False,
        collapse: bool | float | None = None,
        watch: Watch = NOBODY,
    ) -> list[Ranking]:
        """One ranking per query, in order; together they cost less than one by one.

        `cutoff` takes away what scores no better than what does not belong, and so may leave nothing: True, or its
        strictness between 0 and 1 (see `cutoff`). `collapse` folds near-duplicates into the best-ranked of them:
        True, or the cosine from which on they are some (see `near_duplicates`). `watch` is told how far the
        search is and what the model says, and may stop it with the best order so far (see `watching`). Raises
        UsageError where the first stage's scores cannot be cut.
        """
        rankings = search_and_finish(
            self.pipeline,
            self.collection,
            queries,
            top_k,
            cut=self._cutoff(STRICTNESS if cutoff is True else cutoff) if cutoff is not False else None,
            threshold=checked_threshold(THRESHOLD if collapse is True else collapse) if collapse else None,
            on_error=on_error,
            watch=watch,
        )
        return [self._warned(ranking) for ranking in rankings]

    def planned(self, queries: int = 1) -> list[Planned]:
        """What so many queries will ask of the language model at most, stage by stage."""
        return planned_calls(self.pipeline, self.collection.count, queries)

    def close(self) -> None:
        """Close the collection, and the language model that was opened by name; a closed searcher cannot search."""
        if self._calls is not None:
            self._calls.close()
        if self._before is not None:
            self._before.close()
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
        if ranking.query.filter and not len(self.collection.matching(ranking.query.filter)):
            misfits = self.collection.filters.misfits(ranking.query.filter)
            told = (*told, *(f"query '{ranking.query.id}': {misfit}" for misfit in misfits))
        kept = self.pipeline.mllm.warnings if isinstance(self.pipeline.mllm, Calls) else ()
        return replace(ranking, warnings=(*self._warnings, *kept, *told))
