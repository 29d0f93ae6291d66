"""A new index: everything that is measured once and then stays, written whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval import canary
from mmretrieval.catalog import FORMAT, create, is_ours
from mmretrieval.errors import InvalidData, UsageError
from mmretrieval.protocols import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_CAPTIONS = 256
VECTORS = "vectors"  # the source of an index that was made of ready vectors

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


def create_index(index: Path, dim: int, facts: Mapping[str, Any]) -> None:
    """Makes an empty index in the folder; `facts` are those of its encoder, its source and its root.

    Raises UsageError when the folder holds something else, StorageError where it cannot be written.
    """
    born = {
        "uid": uuid.uuid4().hex,
        "generation": 0,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    create(index, {**born, **facts}, {"image": dim})


def check_empty(index: Path) -> None:
    """Raises UsageError when the folder, which holds no index, holds anything else."""
    foreign = sorted(entry.name for entry in index.iterdir() if not is_ours(entry.name))
    if foreign:
        raise UsageError(
            f"{index}: no index, and it holds other files such as '{foreign[0]}'; give a new or empty folder"
        )


def encoder_facts(encoder: Encoder, captions: Sequence[str]) -> dict[str, Any]:
    """What an index keeps of its encoder: name, fingerprint, canaries, and the mean of what it makes of texts.

    `captions` are those of the first run in the order of their ids.
    """
    texts = spread(captions, MOST_CAPTIONS) or list(NEUTRAL_TEXTS)
    vectors = np.asarray(encoder.encode_texts(texts), dtype=np.float64)
    if vectors.shape != (len(texts), encoder.dim) or not np.isfinite(vectors).all():
        raise InvalidData(
            f"the encoder '{encoder.spec}' gave vectors of shape {vectors.shape} for {len(texts)} texts, where finite "
            f"rows of {encoder.dim} numbers are needed"
        )
    return {
        "encoder": encoder.spec,
        "fingerprint": dict(encoder.fingerprint),
        "text_mean": [float(np.float32(value)) for value in vectors.mean(axis=0)],
        "canaries": canary.measure(encoder),
    }


def no_encoder_facts(text_mean: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """The same for vectors whose encoder is not known; `text_mean` may be zeros where no text vector is known."""
    mean = [float(np.float32(value)) for value in text_mean]
    return {"encoder": "", "fingerprint": {}, "text_mean": mean, "canaries": {}}


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
