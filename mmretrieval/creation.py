"""A new index: everything that is measured once and then stays, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mmretrieval import canary
from mmretrieval.catalog import FORMAT, create, is_ours
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Encoder

MOST_CAPTIONS = 256

# Plain words about many things: where no caption is at hand, their mean stands for what all texts have in common.
NEUTRAL_TEXTS = (
    "a photo of a person outdoors",
    "a plate of food on a table",
    "an animal in the grass",
    "a street with cars and houses",
    "a bird on a branch",
    "people sitting in a room",
    "a landscape with hills and clouds",
    "a close-up of a flower",
    "a cup of coffee next to a book",
    "a dog looking at the camera",
    "the sea under an evening sky",
    "a child playing in a garden",
    "vegetables at a market stall",
    "a bicycle leaning against a wall",
    "a bowl of soup",
    "a train at a station",
    "a cat asleep on a chair",
    "a mountain lake in summer",
    "tools on a wooden bench",
    "a group of friends at a party",
    "a piece of cake",
    "a tall building seen from below",
    "a horse standing in a field",
    "a bottle and a glass",
    "a shirt on a hanger",
    "snow on the trees of a forest",
    "a boat on a river",
    "a bridge at night",
    "a kitchen with white cupboards",
    "a drawing of simple shapes",
    "an old black and white picture",
    "a hand holding a small object",
)


def create_index(source: Path, index: Path, encoder: Encoder, captions: Sequence[str], *, is_drawn: bool) -> None:
    """Makes an empty index for `encoder` in the folder.

    `captions` are those of the first run in the order of their ids. Raises UsageError when the folder holds something
    else, StorageError where it cannot be written.
    """
    foreign = sorted(entry.name for entry in index.iterdir() if not is_ours(entry.name))
    if foreign:
        raise UsageError(
            f"{index}: no index, and it holds other files such as '{foreign[0]}'; give a new or empty folder"
        )
    texts = spread(captions, MOST_CAPTIONS) or list(NEUTRAL_TEXTS)
    vectors = np.asarray(encoder.encode_texts(texts), dtype=np.float64)
    if vectors.shape != (len(texts), encoder.dim) or not np.isfinite(vectors).all():
        raise InvalidData(
            f"the encoder '{encoder.spec}' gave vectors of shape {vectors.shape} for {len(texts)} texts, where finite "
            f"rows of {encoder.dim} numbers are needed"
        )
    facts = {
        "uid": uuid.uuid4().hex,
        "generation": 0,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder": encoder.spec,
        "fingerprint": dict(encoder.fingerprint),
        "text_mean": [float(np.float32(value)) for value in vectors.mean(axis=0)],
        "canaries": canary.measure(encoder),
        "source": "folder",
        "is_drawn": is_drawn,
        **root_facts(source, index),
    }
    create(index, facts, {"image": encoder.dim})


def root_facts(source: Path, index: Path) -> dict[str, Any]:
    """Where the pictures lie, twice: as an absolute path, and as seen from the index folder where there is a way."""
    source, index = source.resolve(), index.resolve()
    try:
        relative = Path(os.path.relpath(source, index)).as_posix()
    except ValueError:  # another drive
        relative = None
    return {"root": str(source), "root_from_index": relative}


def spread(texts: Sequence[str], most: int) -> list[str]:
    """At most `most` non-empty texts, evenly spaced over all of them."""
    texts = [text for text in texts if text.strip()]
    if len(texts) <= most:
        return texts
    return [texts[number * len(texts) // most] for number in range(most)]
