"""Sentence-embedding models of the sentence-transformers library, for captions: they know nothing of pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from mmretrieval.errors import InvalidData, MissingExtra, MissingPrerequisite, UsageError
from mmretrieval.protocols import TextEncoder
from mmretrieval.vectors import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 64
_PROBES = ("", "a photo of a dog", "Zwölf große Äpfel, 12.50 €; the END!", "犬の写真")


class Sentence(TextEncoder):
    """A sentence-embedding model by its name on the hub or in a folder; it encodes captions and words only.

    Queries and captions go through the model alike, so models that want different words in front of the two lose a
    little. Safe to use from many threads; one computes at a time.
    """

    def __init__(self, spec: str, *, device: str | None = None, precision: str = "fp32") -> None:
        """Loads the model, from a folder or the hub; weights are read from safetensors files alone.

        Raises MissingExtra without sentence-transformers, MissingPrerequisite for a model that cannot be had,
        UsageError for another precision than fp32, InvalidData for a broken model.
        """
        if precision != "fp32":
            raise UsageError(f"the precision '{precision}' is not supported for sentence models: use fp32")
        if not spec:
            raise UsageError("sentence: names no model: write its name or folder behind it")
        self.spec = f"{self.name}:{spec}"
        self._model = _load(spec, device)
        self._computing = Lock()
        self.dim = int(_checked_dim(self._model, spec))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """As in `TextEncoder`. Raises InvalidData for a text that is not valid Unicode, and for broken weights."""
        for text in texts:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidData(f"the text {text!r} holds half a character: give it in UTF-8") from error
        if not texts:
            return np.empty((0, self.dim), np.float32)
        with self._computing:
            rows = self._model.encode(
                list(texts), batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True, precision="float32"
            )
        return unit_rows(rows)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        most = self._model.get_max_seq_length()
        return [most is not None and self._length(text) > most for text in texts]

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """Hashes of the weights, of how the model is put together, and of the tokenizer; no name and no path."""
        from mmretrieval.encoders._clip_digest import of_weights

        with self._computing:
            parts = [type(part).__name__ for part in self._model]
            return {
                "encoder": self.name,
                "parts": parts,
                "weights": of_weights(self._model),
                "tokenizer": self._tokenizer_digest(),
                "max_tokens": self._model.get_max_seq_length(),
                "dim": self.dim,
            }

    def _length(self, text: str) -> int:
        return len(self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"])

    def _tokenizer_digest(self) -> str:
        tokens = [self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"] for text in _PROBES]
        vocabulary = sorted(self._model.tokenizer.get_vocab().items())
        return hashlib.sha256(json.dumps([tokens, vocabulary]).encode()).hexdigest()


def _load(spec: str, device: str | None) -> Any:
    from mmretrieval.model_noise import quiet

    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the sentence model '{spec}'", "sentence_transformers", "sentence") from error
    try:
        with quiet():
            model = SentenceTransformer(
                spec, device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        if Path(spec).is_dir():
            raise InvalidData(f"{spec}: no sentence model that can be loaded ({reason}): fetch it again") from error
        raise MissingPrerequisite(
            f"the sentence model '{spec}' is no folder here and cannot be had from the hub ({reason}): give a folder, "
            "or download it once on a machine with network"
        ) from error
    return model.eval()


def _checked_dim(model: Any, spec: str) -> int:
    dim = model.get_embedding_dimension()
    if not dim:
        raise InvalidData(f"{spec}: the model does not say how many numbers it gives: use another one")
    return int(dim)
