"""Texts to token rows: open_clip's tokenizers, how long a text is, and how a long one is split."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

from mmretrieval.encoders._clip_source import Source
from mmretrieval.errors import InvalidData
from mmretrieval.model_noise import quiet

if TYPE_CHECKING:
    import torch

_CHARACTERS_PER_TOKEN = 16  # more are never put into one piece on average, so that a huge text is not split at length
_PROBES = ("", "a photo of a dog", "Zwölf große Äpfel, 12.50 €; the END!", "犬の写真\t\U0001f415")


class Words:
    """The tokenizer of one model; `context` is how many tokens a text may have, its marks at both ends included."""

    def __init__(self, source: Source) -> None:
        """Raises InvalidData when the tokenizer's files are damaged."""
        text: dict[str, Any] = source.config["text_cfg"]
        self.context = int(text.get("context_length", 77))
        self.tokenizer = _tokenizer(source, text, self.context)
        self._place = source.weights.parent

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """(n, context) token numbers, cut off and padded as the model was trained; raises InvalidData for non-text."""
        for text in texts:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidData(f"the text {text!r} holds half a character: give it in UTF-8") from error
        rows: torch.Tensor = self.tokenizer(list(texts))
        return rows

    def fits(self, text: str) -> bool:
        """Whether no part of the text is cut off."""
        return self._length(text) <= self.context

    def pieces(self, text: str) -> list[str]:
        """The text itself if it fits, else the longest runs of its words that do, in order.

        A single word that does not fit is split between its characters.
        """
        if self.fits(text):
            return [text]
        pieces, words = [], text.split()
        while words:
            count = self._fitting(words, " ")
            if count == 0:
                letters = self._fitting(words[0], "") or 1
                rest = words[0][letters:]
                words = [words[0][:letters], *([rest] if rest else []), *words[1:]]
            count = count or 1
            pieces.append(" ".join(words[:count]))
            words = words[count:]
        return pieces or [text]

    def _fitting(self, parts: Sequence[str], between: str) -> int:
        """How many of these parts, joined from the first on, fit together; found by halving."""
        counts = range(1, min(len(parts), self.context * _CHARACTERS_PER_TOKEN) + 1)
        return bisect_right(counts, False, key=lambda count: not self.fits(between.join(parts[:count])))

    def _length(self, text: str) -> int:
        """Tokens that the whole text takes, with its marks."""
        if isinstance(self.tokenizer, SimpleTokenizer):
            return len(self.tokenizer.encode(text)) + 2
        clean = self.tokenizer.clean_fn(text)
        if self.tokenizer.tokenizer_mode == "clips":  # leaves room for three marks
            return len(self._numbers(clean, marks=False)) + 3
        return len(self._numbers(clean, marks=True))

    def _numbers(self, text: str, *, marks: bool) -> list[int]:
        split = self.tokenizer.tokenizer
        numbers: list[int] = split(
            text, add_special_tokens=marks, truncation=False, padding=False, verbose=False
        ).input_ids
        return numbers

    def digest(self) -> str:
        """Changes whenever some text could get other tokens."""
        facts: list[Any] = [self.context, self.tokens(_PROBES).tolist(), *_rules(self.tokenizer)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def check(self, vocabulary: int) -> None:
        """Raise InvalidData when a model of that many tokens does not know those of this tokenizer.

        That happens when a folder does not name its own tokenizer, since open_clip then takes CLIP's without a word.
        """
        highest = int(self.tokens(_PROBES).max())
        if highest >= vocabulary:
            raise InvalidData(
                f"{self._place}: the tokenizer gives the token {highest} and the model knows {vocabulary}: put the "
                "model's own tokenizer beside the weights and name it in text_cfg as hf_tokenizer_name"
            )


def _tokenizer(source: Source, text: dict[str, Any], context: int) -> Any:
    """What open_clip would choose, but never from the network and never with code from a repository."""
    given = dict(text.get("tokenizer_kwargs") or {})
    try:
        if not source.tokenizer:
            return SimpleTokenizer(context_length=context, **given)
        given.update(local_files_only=True, trust_remote_code=False)
        with quiet():
            mode = text.get("tokenizer_mode")
            return HFTokenizer(source.tokenizer, context_length=context, tokenizer_mode=mode, **given)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        place = source.tokenizer or source.shown
        raise InvalidData(f"{place}: the tokenizer cannot be loaded ({reason[:200]}): fetch the model again") from error


def _rules(tokenizer: Any) -> list[Any]:
    """What the tokenizer was told, as data that JSON can hold."""
    clean = tokenizer.clean_fn.__name__
    if isinstance(tokenizer, SimpleTokenizer):
        merges = sorted((rank, *pair) for pair, rank in tokenizer.bpe_ranks.items())
        return ["open_clip", clean, sorted(tokenizer.encoder.items()), merges]
    split = tokenizer.tokenizer
    marks = [clean, tokenizer.tokenizer_mode, tokenizer.strip_sep_token, split.padding_side, split.truncation_side]
    if hasattr(split, "backend_tokenizer") and split.is_fast:
        rules = json.loads(split.backend_tokenizer.to_str())
        # Settings of the last call, and not rules of the tokenizer.
        return [*marks, {name: rule for name, rule in rules.items() if name not in ("padding", "truncation")}]
    return [*marks, sorted(split.get_vocab().items())]
