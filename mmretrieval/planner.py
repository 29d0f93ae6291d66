"""Which index serves a collection: chosen when it is indexed, tuned to a stated recall, written into the catalogue.

Up to about 200,000 vectors exact search is quick enough and is what is used. Above that, a coarse index proposes
rows and the float16 rows decide. Its effort is raised until recall@10 holds on queries that are like texts, and on
queries that are like pictures, each by itself: words lie far from all pictures in the space of vectors, so an index
that was tuned on pictures alone finds too little for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval import registry
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.errors import StorageError, UsageError
from mmretrieval.lock import sole_writer
from mmretrieval.specs import make, parse_spec
from mmretrieval.vectors import legal_queries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.protocols import Index
    from mmretrieval.segments import Rows

AUTO, EXACT = "auto", "exact"
RECALL = 0.98
META = "first_stage"  # the catalogue's name for the plan
EXACT_UP_TO = 200_000  # vectors
STALE = 0.2  # share of slots that are dead, or were written after training, from which on it is built again
TAIL = 50_000  # slots behind the index, all scanned by every search, from which on they are added to it
QUERIES = 200  # of each kind, to tune on

Progress = Callable[[str, int, int], None]  # what is being done, how much of it, out of how much


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was chosen for a collection, and how well it does.

    `recall` is the measured recall@10 on queries like texts and like pictures, None where there was none to measure
    on. `curve` holds, per effort that was tried, the effort, the recalls and the milliseconds of one query.
    """

    kind: str
    asked: str = AUTO  # the kind that was asked for; it stays when the index is built again
    bytes: int = 0  # of the index file; 0 for exact search, which needs none
    slots: int = 0  # how many stored rows it holds
    trained: int = 0  # how many there were when it was trained and tuned
    recall: Mapping[str, float | None] = field(default_factory=lambda: {"text": 1.0, "image": 1.0})
    target: float = RECALL
    memory: int | None = None  # the most bytes that the index may hold
    tuned_on: Mapping[str, int] = field(default_factory=dict)  # how many queries of each kind
    effort: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON; this is what the catalogue keeps and `mmretrieval info` shows."""
        return asdict(self)


def prepare(
    index: Path,
    *,
    kind: str | None = None,
    recall: float | None = None,
    memory: int | None = None,
    text_queries: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Choose, build and tune the index over the pictures' vectors, and write the plan into the catalogue.

    `kind` is a name from `mmretrieval list indexes`, with settings where it has any ("rabitq:bits=2"); "auto" is the
    planner's choice, and None what was asked for before, or else the planner's choice. `recall` is the recall@10 to
    reach; None what was asked for before, or else 0.98. `memory` is the most bytes that the planner's
    choice may hold; None what was said before, or else no limit. `text_queries` are (q, dim) unit rows of texts such as
    users write.
    An index that stands, asked for in the same way and not outgrown, is kept, and what was written since is added to
    it. Takes the writer's lock.
    Raises NotFound without an index, UsageError for arguments that cannot work, InvalidData for queries of another
    dimension, IndexLocked, StorageError.
    """
    if recall is not None and not 0 < recall <= 1:
        raise UsageError(f"the recall to reach is {recall}: it must lie above 0 and be at most 1")
    Catalog.open_snapshot(index).close()  # says that there is no index, before a lock makes its folder
    with sole_writer(index), Collection.open(index) as collection:
        rows, asked = collection.rows("image"), kind or collection.plan.get("asked", AUTO)
        target = recall or collection.plan.get("target", RECALL)
        memory = collection.plan.get("memory") if memory is None else memory
        chosen = choose(rows.n, rows.dim, memory) if asked == AUTO else asked
        new: Any = open_index(collection, chosen)
        if not hasattr(new, "build"):
            prepared = Prepared(chosen, asked, target=target, warnings=_cramped(rows.n, asked))
        elif rows.n < new.least_rows:
            prepared = Prepared(EXACT, asked, target=target)
        elif _answers(collection, new.spec, target, text_queries) and not _is_outgrown(collection):
            prepared = _extended(collection, progress)
        else:
            prepared = replace(_built(new, rows, target, text_queries, progress), asked=asked)
        with closing(Catalog.open_writer(index)) as catalog, catalog.transaction():
            prepared = replace(prepared, memory=memory)
            catalog.set_meta({META: prepared.to_dict()})
    return prepared


def choose(n: int, dim: int, memory: int | None) -> str:
    """The kind of index for `n` vectors of `dim` numbers whose index may hold `memory` bytes.

    Exact search needs no memory of its own. Above its range product quantisation in lists is the quickest that meets
    the recall on texts, and among the smallest; assets/reports/large-collections.md holds it beside the others. Signs
    alone are taken where the memory holds nothing else.
    """
    if n <= EXACT_UP_TO:
        return EXACT
    kinds = (kind for kind in ("pq", "binary") if memory is None or _bytes(kind, n, dim) <= memory)
    return next(kinds, EXACT)


def _bytes(kind: str, n: int, dim: int) -> float:
    return n * float(registry.load("indexes", kind).bytes_per_row(dim))


def describe(collection: Collection) -> dict[str, Any]:
    """What `prepare` found for this collection: kind, bytes, recall, target, tuned_on, effort, curve, warnings."""
    return collection.plan or Prepared(EXACT).to_dict()


def open_index(collection: Collection, kind: str = AUTO) -> Index:
    """The index over the pictures' vectors; "auto" is the kind planned for this collection.

    A kind may have settings, as in "rabitq:bits=2" (see `specs`). Raises UsageError for an unknown kind or setting.
    """
    chosen = describe(collection)["kind"] if kind == AUTO else kind
    index: Index = make("indexes", chosen, rows=collection.rows("image"), cache=collection.index / "cache" / "image")
    return index


def is_due(collection: Collection) -> bool:
    """Whether `prepare` has something to do: no plan yet, or an index that is lost, outgrown, or has a long tail.

    Outgrown is an index when a fifth of what is stored is dead or was written after its training, and after the
    vectors were compacted.
    """
    if not collection.plan:
        return collection.count > EXACT_UP_TO
    kind, rows = collection.plan["kind"], collection.rows("image")
    if not hasattr(registry.load("indexes", parse_spec(kind)[0]), "build"):
        return collection.plan["asked"] != kind and rows.n > EXACT_UP_TO
    return _is_outgrown(collection) or rows.stored - collection.plan["slots"] > TAIL


def _is_outgrown(collection: Collection) -> bool:
    rows, index = collection.rows("image"), _planned(collection)
    changed = 2 * rows.stored - collection.plan["trained"] - rows.n  # slots that are newer, and slots that are dead
    return changed > STALE * rows.stored or not index.is_built()


def _planned(collection: Collection) -> Any:
    """The coarse index that the plan on record names."""
    return open_index(collection, collection.plan["kind"])


def _answers(collection: Collection, kind: str, recall: float, text_queries: NDArray[np.float32] | None) -> bool:
    """Whether the plan on record is for the same request."""
    plan = collection.plan
    if plan.get("kind") != kind or plan["target"] != recall:
        return False
    return plan["recall"]["text"] is not None or text_queries is None


def _extended(collection: Collection, progress: Progress | None) -> Prepared:
    """The plan on record, with all rows in its index; nothing is trained or tuned."""
    plan, rows = Prepared(**collection.plan), collection.rows("image")
    if rows.stored == plan.slots:
        return plan
    with _storing(collection.index):
        return replace(plan, bytes=_planned(collection).extend(progress), slots=rows.stored)


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # FAISS reports a full disk as RuntimeError
        raise StorageError(f"{folder}: its index cannot be kept ({error}); make room and index again") from error


def _built(
    index: Any, rows: Rows, recall: float, text_queries: NDArray[np.float32] | None, progress: Progress | None
) -> Prepared:
    from mmretrieval.indexes._tuning import chosen, curve, like_pictures, measured

    samples = {"image": like_pictures(rows, QUERIES)}
    if text_queries is not None and len(text_queries):
        some = np.linspace(0, len(text_queries) - 1, min(QUERIES, len(text_queries))).astype(int)
        samples["text"] = measured(rows, legal_queries(text_queries, rows.dim)[some])
    built = index.build(progress)
    points = curve(index, built, samples, recall, progress)
    point = chosen(points, recall)
    with _storing(index.cache):
        size = index.adopt(built, point.effort)
    return Prepared(
        kind=index.spec,
        bytes=size,
        slots=int(built.ntotal),
        trained=int(built.ntotal),
        recall={kind: round(point.recall[kind], 4) if kind in point.recall else None for kind in ("text", "image")},
        target=recall,
        tuned_on={kind: len(sample.queries) for kind, sample in samples.items()},
        effort=point.effort._asdict(),
        curve=tuple(each.to_dict() for each in points),
        warnings=tuple(doubts(point.recall, recall)),
    )


def _cramped(n: int, asked: str) -> tuple[str, ...]:
    """What to say when only the memory speaks for exact search."""
    if asked != AUTO or n <= EXACT_UP_TO:
        return ()
    return (
        f"{n} vectors are searched exactly, which is slow, as no index of them fits the memory: allow more --memory",
    )


def doubts(measured: Mapping[str, float], target: float) -> list[str]:
    """What a user should know about the recall."""
    names = {"text": "texts", "image": "pictures"}
    doubts = [
        f"of the ten pictures nearest to a query, searches by {names[kind]} find {recall:.3f} on average where "
        f"{target} was asked for: choose another --index-kind, or exact"
        for kind, recall in measured.items()
        if recall < target
    ]
    if "text" not in measured:
        doubts.append(
            "the index was tuned on pictures alone, so searches by words, if there are any, may find less than was "
            "asked for: give --text-vectors, or a manifest with captions"
        )
    return doubts
