"""Lets a language model describe the pictures of an index; `correcting` lets people correct what it said.

Batch by batch: pictures are opened, the model is asked once for the whole batch, and what came of each picture is
committed with its state. A run that is stopped, killed or out of budget goes on where it was. What was described
is not asked again; failed asks are. Captions of the manifest and those written by hand stay, unless the run is told to
replace them. A picture that fails has no caption, never that of another one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmretrieval.asks import MLLM, Failed, Generate
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.describing import described, questions, was_asked
from mmretrieval.errors import MMRetrievalError, UsageError
from mmretrieval.features import EDITED, KINDS, MANIFEST, Feature, picture_hashes, write_features
from mmretrieval.lock import sole_writer
from mmretrieval.prompts import VERSIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmretrieval.protocols import TextEncoder

MODEL = "model"
REPLACEABLE = (MODEL, MANIFEST, EDITED)
MOST_FAILURES = 32  # pictures in a row that the model fails on, after which it is taken for dead
_MIN_SIDE = 1024  # pixels that a picture is decoded to at least, where its format can do with less than all
_REASONS_TOLD = 20

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class CaptionReport:
    """What a run did: by kind how many pictures are in which state, kept or pending; what it cost; what went wrong.

    "kept" were described before, or are the manifest's or edited. `stopped` says why it did not get to the end.
    """

    pictures: int = 0
    states: dict[str, Counter[str]] = field(default_factory=dict)
    calls: int = 0
    cached: int = 0
    tokens: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str, str]] = field(default_factory=list)  # id, kind, reason
    stopped: str = ""

    @property
    def is_partial(self) -> bool:
        return bool(self.stopped) or any(states["failed"] for states in self.states.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "pictures": self.pictures,
            "states": {kind: dict(states) for kind, states in self.states.items()},
            "calls": self.calls,
            "cached": self.cached,
            "tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "failures": [{"id": i, "kind": kind, "reason": why} for i, kind, why in self.failures[:_REASONS_TOLD]],
            "stopped": self.stopped,
        }


def describe(
    index: Path | str,
    mllm: MLLM,
    *,
    what: Sequence[str] = ("caption",),
    replacing: Sequence[str] = (),
    encoder: TextEncoder | None = None,
    batch_size: int = 16,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> CaptionReport:
    """Ask the model for what is missing: "caption", "ingredients", "aspects", or several of them.

    `replacing` names what gives way to new answers: those of another "model" or of another version of the prompt,
    captions of the "manifest", "edited" ones. Aspects are scored by `encoder`, the one of the index. The channel of
    captions does not follow by itself: see `captions.encode_captions`.

    Raises UsageError for a kind or an origin that there is not, or for a model that gives no text; NotFound without an
    index; IndexLocked, StorageError. What was committed before an error is kept.
    """
    _check(mllm, what, replacing, encoder)
    index, began = Path(index), time.monotonic()
    if not Catalog.exists(index):
        Catalog.open_snapshot(index)  # says that there is none
    with sole_writer(index), closing(Catalog.open_writer(index)) as catalog, Collection.open(index) as collection:
        run = _Run(catalog, collection, mllm, tuple(dict.fromkeys(what)), frozenset(replacing), encoder)
        run.go(batch_size, progress, stop or (lambda: False))
    run.report.seconds = time.monotonic() - began
    return run.report


def origin_of(mllm: MLLM, kind: str) -> str:
    """The model by name and a digest of all that pins its replies, and the version of the prompt."""
    facts = json.dumps(dict(mllm.fingerprint), sort_keys=True, default=str)
    return f"{mllm.spec}#{hashlib.blake2b(facts.encode(), digest_size=4).hexdigest()} {VERSIONS[kind]}"


def _check(mllm: MLLM, what: Sequence[str], replacing: Sequence[str], encoder: TextEncoder | None) -> None:
    for kind in what:
        if kind not in KINDS:
            raise UsageError(f"a picture has no '{kind}': choose among {', '.join(KINDS)}")
    for origin in replacing:
        if origin not in REPLACEABLE:
            raise UsageError(f"'{origin}' cannot be replaced: choose among {', '.join(REPLACEABLE)}")
    if not what:
        raise UsageError(f"nothing is asked for: choose among {', '.join(KINDS)}")
    if Generate not in mllm.answers:
        raise UsageError(f"'{mllm.spec}' gives no text, so it cannot describe pictures: use another model")
    if "aspects" in what and encoder is None:
        raise UsageError("aspects are chosen by the encoder of the index, and none is given")


@dataclass(frozen=True, slots=True)
class _Task:
    id: str
    kinds: tuple[str, ...]


class _Run:
    def __init__(
        self,
        catalog: Catalog,
        collection: Collection,
        mllm: MLLM,
        kinds: tuple[str, ...],
        replacing: frozenset[str],
        encoder: TextEncoder | None,
    ) -> None:
        self.catalog, self.collection, self.mllm, self.encoder = catalog, collection, mllm, encoder
        self.kinds, self.replacing = kinds, replacing
        self.origins = {kind: origin_of(mllm, kind) for kind in kinds}
        self.report = CaptionReport(collection.count, {kind: Counter() for kind in kinds})
        self._failed_in_a_row = 0

    def go(self, batch_size: int, progress: Progress | None, stop: Callable[[], bool]) -> None:
        """The whole run; it ends early when told to, when the budget is spent, or when the model seems dead."""
        if self.collection.count:
            _ = self.collection.root  # an index without pictures is refused before anything is asked
        tasks = self._tasks()
        waiting, done = iter(tasks), 0
        while batch := list(islice(waiting, max(batch_size, 1))):
            if stop():
                self.report.stopped = "stopped before the end: run the same command again to go on"
            if self.report.stopped:
                break
            self._batch(batch)
            done += len(batch)
            if progress is not None:
                progress(done, len(tasks))
        for kind in self.kinds:
            states = self.report.states[kind]
            states["pending"] = sum(kind in task.kinds for task in tasks) - sum(
                states[state] for state in ("ok", "cut", "refused", "failed")
            )

    def _tasks(self) -> list[_Task]:
        """What is missing of which record, in the order of ids."""
        settled: dict[str, set[str]] = {kind: self._settled(kind) for kind in self.kinds}
        tasks = []
        for record_id in self.collection.ids:
            missing = tuple(kind for kind in self.kinds if record_id not in settled[kind])
            for kind in self.kinds:
                self.report.states[kind]["kept"] += kind not in missing
            if missing:
                tasks.append(_Task(record_id, missing))
        return tasks

    def _settled(self, kind: str) -> set[str]:
        """Ids whose feature of this kind stays as it is."""
        rows = self.catalog.rows(
            "SELECT id, state, origin FROM features JOIN records ON number = record WHERE kind = ?", [kind]
        )
        settled = {
            record_id
            for record_id, state, origin in rows
            if (origin == self.origins[kind] and state != "failed")
            or (origin == EDITED and EDITED not in self.replacing)
            or (origin not in (self.origins[kind], EDITED) and state != "failed" and MODEL not in self.replacing)
        }
        if kind == "caption" and MANIFEST not in self.replacing:
            given = self.catalog.rows("SELECT id FROM records WHERE trim(COALESCE(given, caption)) <> ''")
            described = {record_id for record_id, _, origin in rows if origin == EDITED}
            settled |= {record_id for (record_id,) in given} - described
        return settled

    def _batch(self, tasks: Sequence[_Task]) -> None:
        """Asks for all of them at once, and commits what came of each."""
        hashes = picture_hashes(self.catalog, [task.id for task in tasks])
        stored: list[tuple[str, Feature]] = []
        asked = []
        for task in tasks:
            try:
                image = self.collection.open_image(task.id, min_side=_MIN_SIDE)
            except (MMRetrievalError, OSError) as error:
                stored += [(task.id, self._unreadable(kind, str(error))) for kind in task.kinds]
                continue
            asked.append((task, questions(image, task.kinds, compact=self.mllm.compact)))
        replies = iter(self.mllm.answer([one.ask for _, own in asked for one in own]))
        for task, own in asked:
            answers = list(zip(own, islice(replies, len(own)), strict=True))
            for _, reply in answers:
                self.report.calls += not reply.cached and was_asked(reply)
                self.report.cached += reply.cached
                self.report.tokens += reply.tokens
                if isinstance(reply, Failed) and not reply.asked:
                    self.report.stopped = f"{reply.reason}: run the same command again to go on"
            made = described(answers, self.origins, partial(self._fit, task.id))
            stored += [(task.id, feature) for feature in made]
            self._watch(made)
        stored = [(record_id, replace(feature, hash=hashes[record_id])) for record_id, feature in stored]
        write_features(self.catalog, stored)
        for record_id, feature in stored:
            self.report.states[feature.kind][feature.state] += 1
            if feature.state in ("failed", "refused"):
                self.report.failures.append((record_id, feature.kind, feature.reason))

    def _unreadable(self, kind: str, reason: str) -> Feature:
        return Feature(kind, "", "failed", reason, self.origins[kind])

    def _watch(self, made: Sequence[Feature]) -> None:
        """Stops a run whose model fails on everything: better a sentence now than a thousand failures."""
        if not made:
            return
        is_failed = all(feature.state == "failed" for feature in made)
        self._failed_in_a_row = self._failed_in_a_row + 1 if is_failed else 0
        if self._failed_in_a_row >= MOST_FAILURES:
            self.report.stopped = (
                f"the model failed on {self._failed_in_a_row} pictures in a row, last with: {made[-1].reason}; look "
                "after it and run the same command again"
            )

    def _fit(self, record_id: str, texts: Sequence[str]) -> list[float]:
        """Cosines of texts with the picture's stored vector."""
        assert self.encoder is not None, "checked at the start"
        row: NDArray[np.float32] = self.collection.vectors("image", [record_id])[0]
        return [float(cosine) for cosine in self.encoder.encode_texts(list(texts)) @ row]
