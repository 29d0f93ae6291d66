"""The caption channel: vectors of the records' captions, beside those of their pictures.

A record without a caption has no row in it. A caption that changes loses its row in the transaction that changes it,
and the next run encodes what has none. The channel has an encoder of its own: the text tower of the index's encoder
("clip"), or a sentence-embedding model ("sentence:NAME"), which knows more of language and nothing of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.catalog import Catalog
from mmretrieval.changes import Changes
from mmretrieval.compaction import tidy
from mmretrieval.errors import FingerprintMismatch, InvalidData, UsageError
from mmretrieval.lock import sole_writer
from mmretrieval.protocols import TextEncoder
from mmretrieval.segments import Segment, append_rows
from mmretrieval.storage import writing
from mmretrieval.vectors import half_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANNEL = "caption"
META = "captions"  # the catalogue's name for what made the channel
CLIP = "clip"
NONE = "none"
BATCH = 256
_TO_DO = """FROM records LEFT JOIN vectors ON vectors.record = number AND channel = 'caption'
    WHERE trim(caption) <> '' AND vectors.record IS NULL"""


def check_spec(spec: str) -> None:
    """Raise UsageError for what is no way to encode captions; nothing is loaded for it."""
    if spec not in (CLIP, NONE) and not spec.startswith("sentence:"):
        raise UsageError(f"captions cannot be encoded by '{spec}': use clip, sentence:NAME_OR_FOLDER, or none")


def encode_captions(
    index: Path,
    spec: str,
    encoder: TextEncoder,
    *,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[int, bool]:
    """Give each caption its row; returns how many were encoded, and whether that were all.

    What stands already is not done again.

    A channel that another encoder made is made anew. Each batch is committed by itself, so a run that is stopped or
    killed goes on where it was. Raises IndexLocked while another process writes, StorageError when the disk refuses,
    InvalidData when the encoder gives unusable vectors.
    """
    with sole_writer(index), closing(Catalog.open_writer(index)) as catalog:
        _settle(catalog, spec, encoder)
        ((total,),) = catalog.rows(f"SELECT COUNT(*) {_TO_DO}")
        done = 0
        while batch := catalog.rows(f"SELECT id, caption {_TO_DO} ORDER BY number LIMIT {BATCH}"):
            if stop is not None and stop():
                return done, False
            _commit(catalog, index, [record_id for record_id, _ in batch], _encoded(encoder, [c for _, c in batch]))
            done += len(batch)
            if progress is not None:
                progress(done, total)
        tidy(catalog, index, CHANNEL)
        return done, True


def drop_captions(index: Path) -> None:
    """Take the channel out, if there is one; raises IndexLocked, StorageError."""
    with sole_writer(index), closing(Catalog.open_writer(index)) as catalog:
        if META in catalog.meta():
            with catalog.transaction():
                _clear(catalog)
                catalog.many("DELETE FROM channels WHERE name = ?", [(CHANNEL,)])
                catalog.many("DELETE FROM meta WHERE key = ?", [(META,)])
            tidy(catalog, index, CHANNEL)


def open_caption_encoder(facts: Mapping[str, Any], clip: TextEncoder, device: str | None = None) -> TextEncoder:
    """The encoder that made the channel, given what the index tells of it and the index's own encoder.

    Raises FingerprintMismatch when it is another one than on the day of indexing.
    """
    spec = str(facts["encoder"])
    if spec == CLIP:
        return clip
    encoder = open_sentence(spec, device)
    ours, theirs = json.loads(json.dumps(dict(encoder.fingerprint))), facts["fingerprint"]
    if ours != theirs:
        other = ", ".join(sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)))
        raise FingerprintMismatch(
            f"the model '{spec}' is not the one that encoded the captions (it differs in: {other}): use it as it was, "
            f"or encode them again with: mmretrieval index PICTURES --captions {spec}"
        )
    return encoder


def open_sentence(spec: str, device: str | None = None) -> TextEncoder:
    """The model of "sentence:NAME_OR_FOLDER"; raises as `encoders.sentence.Sentence` does."""
    from mmretrieval import registry

    encoder: TextEncoder = registry.load("encoders", "sentence")(spec.removeprefix("sentence:"), device=device)
    return encoder


def _settle(catalog: Catalog, spec: str, encoder: TextEncoder) -> None:
    """Makes the channel, or makes it empty when another encoder made it."""
    fingerprint = json.loads(json.dumps(dict(encoder.fingerprint)))
    old = catalog.meta().get(META)
    facts = {"encoder": spec, "fingerprint": fingerprint}
    if old == facts:
        return
    with catalog.transaction():
        if old is None or old["fingerprint"] != fingerprint:
            _clear(catalog)
        catalog.many("INSERT OR REPLACE INTO channels VALUES (?, ?)", [(CHANNEL, encoder.dim)])
        catalog.set_meta({META: facts})
        catalog.rows("UPDATE meta SET value = value + 1 WHERE key = 'generation'")


def _clear(catalog: Catalog) -> None:
    """No row and one empty segment of a number that was never used: readers may still have the old ones mapped."""
    ((last,),) = catalog.rows("SELECT COALESCE(MAX(number), -1) FROM segments WHERE channel = ?", [CHANNEL])
    catalog.many("DELETE FROM vectors WHERE channel = ?", [(CHANNEL,)])
    catalog.many("DELETE FROM segments WHERE channel = ?", [(CHANNEL,)])
    catalog.many("INSERT INTO segments VALUES (?, ?, 0)", [(CHANNEL, last + 1)])


def _encoded(encoder: TextEncoder, captions: list[str]) -> NDArray[np.float16]:
    rows = np.asarray(encoder.encode_texts(captions), dtype=np.float32)
    if rows.shape != (len(captions), encoder.dim):
        raise InvalidData(f"the encoder '{encoder.spec}' gave vectors of shape {rows.shape} for {len(captions)} texts")
    return half_rows(rows)


def _commit(catalog: Catalog, index: Path, ids: list[str], rows: NDArray[np.float16]) -> None:
    found = catalog.rows("SELECT number, rows FROM segments WHERE channel = ? ORDER BY number DESC LIMIT 1", [CHANNEL])
    with writing(index):
        segments, places = append_rows(index, CHANNEL, Segment(*found[0]) if found else None, rows)
    Changes().apply(catalog, CHANNEL, segments, dict(zip(ids, places, strict=True)))
