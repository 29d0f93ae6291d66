"""Whether two names can stand for one encoder, told without loading or fetching anything."""

from __future__ import annotations

from pathlib import Path

from mmretrieval.encoders import DEFAULT_ENCODER
from mmretrieval.errors import FingerprintMismatch


def refuse_another(given: str, made_with: str, index: Path) -> None:
    """Raises FingerprintMismatch when the names are public ones of one kind and differ.

    A folder may hold the same weights as anything else, so where one of the names is a folder's or a file's, only the
    fingerprint can tell.
    """
    ours, theirs = _public(given), _public(made_with)
    on_hub = ours.startswith("hf-hub:") + theirs.startswith("hf-hub:")  # one of two: it may hold a tag's weights
    if ours and theirs and ours != theirs and (on_hub != 1 or "demo" in (ours, theirs)):
        raise FingerprintMismatch(
            f"{index}: made with the encoder '{made_with}', and '{given}' is another one; use '{made_with}', or index "
            "into a new folder"
        )


def _public(name: str) -> str:
    """A name that means the same everywhere, in one spelling; empty for a folder or a file."""
    name = DEFAULT_ENCODER if name == "default" else name
    stem, _, last = name.rpartition("/")
    if name == "demo" or name.startswith("hf-hub:"):
        return name
    if ":" in name or not stem or Path(name).expanduser().exists() or Path(last).is_file():
        return ""
    return f"{stem.replace('/', '-')}/{last}"  # open_clip also writes ViT-B/32 for ViT-B-32
