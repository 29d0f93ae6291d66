"""What a person says of a picture, in place of a model or a manifest."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mmretrieval.caption_text import MOST_OF_CAPTION, items_of
from mmretrieval.catalog import Catalog
from mmretrieval.collection import Collection
from mmretrieval.errors import UsageError
from mmretrieval.features import Feature, drop_feature, picture_hashes, write_features
from mmretrieval.lock import sole_writer
from mmretrieval.untrusted import clean


def set_by_hand(index: Path | str, record_id: str, text: str, kind: str = "caption") -> str:
    """Write what a person says of a picture; an empty text takes it back. Returns what counts from now on.

    Raises UsageError for a kind that cannot be written by hand, NotFound for an unknown id, IndexLocked, StorageError.
    """
    index = Path(index)
    if kind not in ("caption", "ingredients"):
        raise UsageError(f"'{kind}' cannot be written by hand: choose caption or ingredients")
    with Collection.open(index) as collection:
        collection.position(record_id)  # raises for one that is not there
    said = clean(text, MOST_OF_CAPTION) if kind == "caption" else ", ".join(items_of(text))
    if text.strip() and not said:
        raise UsageError(f"the {kind} '{text}' holds no words: write some, or an empty one to take it back")
    with sole_writer(index), closing(Catalog.open_writer(index)) as catalog:
        if said:
            write_features(
                catalog, [(record_id, Feature(kind, said, hash=picture_hashes(catalog, [record_id])[record_id]))]
            )
        else:
            drop_feature(catalog, record_id, kind)
    with Collection.open(index) as collection:
        return collection.features(record_id).get(kind, "")
