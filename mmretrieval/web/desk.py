"""Answers searches from the web: one opened index, one encoder, one language model, for many visitors at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mmretrieval.asks import MLLM
from mmretrieval.budget import Budget
from mmretrieval.calls import Calls, open_calls
from mmretrieval.catalog import NAME
from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.errors import NotFound
from mmretrieval.planned import Planned
from mmretrieval.planner import AUTO
from mmretrieval.protocols import Encoder
from mmretrieval.types import Hit, Query, Ranking
from mmretrieval.watching import NOBODY, Exchange, Progress, Watch
from mmretrieval.web.form import SearchForm, Settings
from mmretrieval.web.gathering import Gathering
from mmretrieval.web.limits import Gate, Limits
from mmretrieval.web.pictures import Pictures
from mmretrieval.web.snapshot import Snapshot
from mmretrieval.web.uploads import Uploads

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What searches share that can run together: all but the query."""

    snapshot: Snapshot
    settings: Settings
    hits: int
    cutoff: bool | float
    collapse: bool | float

    def ranked(self, queries: Sequence[Query], calls: Calls | None = None, watch: Watch = NOBODY) -> list[Ranking]:
        searcher = self.snapshot.searcher(self.settings, calls)
        return searcher.search_all(queries, self.hits, cutoff=self.cutoff, collapse=self.collapse or None, watch=watch)


class Desk:
    """An opened index with all that a server needs; use it as a context manager, or close it.

    Safe to use from many threads. The encoder and the language model are loaded once, when they are first needed, and
    what is opened for a setting is kept, so moving a slider loads nothing. `uploads` and `pictures` are its pictures.
    """

    def __init__(
        self,
        index: Path | str,
        *,
        encoder: str | Encoder | None = None,
        index_kind: str = AUTO,
        device: str | None = None,
        mllm: str | MLLM | None = None,
        limits: Limits | None = None,
        allow_index: Sequence[Path] = (),
    ) -> None:
        """`allow_index` are the folders that may be indexed from the page; raises as `Searcher.open` does."""
        self.index = Path(index)
        self.limits = limits or Limits()
        self.mllm, self._device = mllm, device
        self.allow_index = tuple(Path(each).resolve() for each in allow_index)
        self.on_search: Callable[[Ranking], None] = lambda _: None  # called with every ranking, to count it
        self.uploads = Uploads(self.limits)
        self.pictures = Pictures()
        self._door = Gate(self.limits.searches + self.limits.waiting, 0, self.limits.patience)
        self._together = Gathering[Query, Ranking](self._run)
        self._gate = Gate(self.limits.searches, self.limits.waiting, self.limits.patience)
        is_served = isinstance(mllm, str) and mllm.startswith("openai:")
        models = self.limits.server_searches if is_served else self.limits.model_searches
        self._model_gate = Gate(models, self.limits.waiting, self.limits.model_seconds)
        self._owned = ExitStack()
        self._lock = threading.Lock()
        self._model: Calls | None = None
        self._opening_model = threading.Lock()
        self._refreshing = threading.Lock()
        self._seen = _stamp(self.index)
        collection = Collection.open(self.index)
        self._snapshot = Snapshot(collection, CheckedEncoder(collection, encoder, device), index_kind, device)
        self._readers: dict[Snapshot, int] = {self._snapshot: 0}  # those that are not closed yet

    @property
    def collection(self) -> Collection:
        """The newest state; what is read of it for longer than a moment is read within `reading`."""
        return self._snapshot.collection

    @property
    def model_name(self) -> str | None:
        """The name of the language model; None without one."""
        return self.mllm if self.mllm is None or isinstance(self.mllm, str) else self.mllm.spec

    @property
    def under_way(self) -> int:
        """How many searches run or wait."""
        return self._door.present

    @property
    def encoder(self) -> Encoder:
        """The encoder of the index, loaded when it is first used; nothing that it encodes is remembered."""
        return self._snapshot.checked

    @contextmanager
    def reading(self) -> Iterator[Collection]:
        """The newest state, which stays open as long as the block runs."""
        with self._standing() as snapshot:
            yield snapshot.collection

    def search(
        self,
        form: SearchForm,
        *,
        within: Sequence[str] | None = None,
        progress: Callable[[Progress], None] | None = None,
        stop: Callable[[], bool] | None = None,
        trace: Callable[[Exchange], None] | None = None,
    ) -> Ranking:
        """The hits from the one after `form.offset` on, at most `form.top_k`; the order is that of `Searcher`.

        `within` restricts the search to these ids. `progress`, `stop` and `trace` are those of `watching.Watch`.
        Raises Busy, NotFound for an upload or an id that there is not, and as `Searcher.search` does.
        """
        watch = Watch(progress, stop, trace)
        with self._door.entered(), self._standing() as snapshot:
            query = self._query(form, snapshot.collection, within)
            kind = _Kind(snapshot, form.settings, form.offset + form.top_k, form.cutoff, form.collapse)
            if watch == NOBODY and not self._asks(form):
                ranking = self._together(kind, query)
            else:
                with (self._model_gate if self._asks(form) else self._gate).entered(stop):
                    ranking = kind.ranked([query], self._calls(form), watch)[0]
        self.on_search(ranking)
        return replace(ranking, hits=ranking.hits[form.offset :])

    def similar(self, image_id: str, top_k: int = 24, offset: int = 0) -> Ranking:
        """What looks most like a picture of the collection."""
        return self.search(SearchForm(image_id=image_id, top_k=top_k, offset=offset))

    def explain(self, form: SearchForm, image_id: str) -> tuple[int | None, Hit]:
        """One picture's place in a search, from 1, and its hit; the place is None where it is beyond `form.top_k`.

        Then the hit is what the first stage says of it alone. Raises NotFound for an id that there is not, and for
        one that the search may not return.
        """
        ranking = self.search(form.model_copy(update={"offset": 0}))
        for rank, hit in enumerate(ranking.hits, start=1):
            if image_id == hit.id or image_id in hit.duplicates:
                return rank, hit
        alone = {"offset": 0, "rerank": (), "refine": (), "rewrite": (), "cutoff": False, "collapse": False}
        found = self.search(form.model_copy(update=alone), within=[image_id]).hits
        if not found:
            raise NotFound(f"'{image_id}' cannot be found by this search: it is excluded, or its filter leaves it out")
        return None, found[0]

    def planned(self, form: SearchForm) -> list[Planned]:
        """What the search will ask of the language model at most, stage by stage; nothing is spent."""
        with self._standing() as snapshot:
            searcher = snapshot.searcher(form.settings, self._calls(form))
            return searcher.planned()

    def warm(self) -> None:
        """Load the encoder and open the index now, before anybody waits; an index without a model has none to load."""
        if self.collection.encoder_spec and self.collection.count:
            self.search(SearchForm(text="a picture", top_k=1))

    def refresh(self) -> bool:
        """Go over to what a writer has committed since; whether there was anything. Searches under way go on."""
        with self._refreshing:
            newest = self._snapshot.collection.refresh()
            if newest is self._snapshot.collection:
                return False
            with self._lock:
                self._snapshot = self._snapshot.over(newest)
                self._readers[self._snapshot] = 0
            self._close_unread()
            return True

    def keep_up(self) -> bool:
        """As `refresh`, after a look at the files of the catalogue that costs next to nothing."""
        stamp = _stamp(self.index)
        if stamp == self._seen:
            return False
        is_new = self.refresh()
        self._seen = stamp  # only now, so that what failed is tried again
        return is_new

    def close(self) -> None:
        """Close the index, and the language model that was opened by name."""
        self._owned.close()
        with self._lock:
            snapshots = list(self._readers)
            self._readers.clear()
        for snapshot in snapshots:
            snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _standing(self) -> Iterator[Snapshot]:
        with self._lock:
            snapshot = self._snapshot
            self._readers[snapshot] += 1
        try:
            yield snapshot
        finally:
            with self._lock:
                if snapshot in self._readers:
                    self._readers[snapshot] -= 1
            self._close_unread()

    def _close_unread(self) -> None:
        with self._lock:
            done = [each for each, readers in self._readers.items() if not readers and each is not self._snapshot]
            for each in done:
                del self._readers[each]
        for each in done:
            each.close()

    def _query(self, form: SearchForm, collection: Collection, within: Sequence[str] | None) -> Query:
        upload = None if form.image is None else self.uploads.get(form.image)
        query = form.query(None if upload is None else upload.data)
        if within is None:
            return query
        for record_id in within:
            collection.position(record_id)  # raises NotFound for an id that there is not
        return replace(query, within=frozenset(within))

    def _run(self, kind: Hashable, queries: Sequence[Query]) -> list[Ranking]:
        """Searches that came while others ran, together: they share the encoder's work and one reading of vectors."""
        assert isinstance(kind, _Kind), "searches are gathered by their kind"
        with self._gate.entered():
            return kind.ranked(queries)

    def _asks(self, form: SearchForm) -> bool:
        return form.asks and self.mllm is not None

    def _calls(self, form: SearchForm) -> Calls | None:
        """The door to the model, with a budget for this search alone; None where nothing is to be asked."""
        if self.mllm is None or not self._asks(form):
            return None
        with self._opening_model:
            if self._model is None:
                self._model = open_calls(self.mllm, self.index, device=self._device)
                self._owned.callback(self._model.close)
        calls, seconds = self.limits.model_calls, self.limits.model_seconds
        budget = Budget(
            calls if form.max_calls is None else min(calls, form.max_calls),
            seconds if form.max_seconds is None else min(seconds, form.max_seconds),
        )
        return Calls(self._model.model, self._model.cache, budget)


def _stamp(index: Path) -> tuple[tuple[int, int], ...]:
    """What changes when a writer commits: time and size of the catalogue and of its log."""
    files = [index / NAME, index / f"{NAME}-wal"]
    facts = [file.stat() for file in files if file.exists()]
    return tuple((fact.st_mtime_ns, fact.st_size) for fact in facts)
