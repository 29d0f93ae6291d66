"""Texts to token rows without torch, open_clip or transformers: the tokenizers library, and how texts are cleaned.

The rules are written down once, when a model is exported, and compared there with open_clip's own tokenizer.
"""

from __future__ import annotations

import html
import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExportedWords:
    """The tokenizer of an exported model.

    `rules` holds `context`, `clean`, and either `pattern` with the marks `start` and `end` (OpenAI's way: the text is
    cut into words by a regular expression) or what the tokenizer's own file says with `stripped`, a token that
    becomes 0.
    """

    def __init__(self, file: Path, rules: Mapping[str, Any]) -> None:
        self.rules = rules
        self.context = int(rules["context"])
        self._clean = CLEANERS[rules["clean"]]
        text = file.read_text("utf-8")
        self._rows, self._whole = Tokenizer.from_str(text), Tokenizer.from_str(text)
        self._whole.no_truncation()
        self._whole.no_padding()
        self._find: Callable[[str], list[str]] | None = None
        if "pattern" in rules:
            import regex

            self._find = regex.compile(rules["pattern"], regex.IGNORECASE).findall

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """(n, context) token numbers, cut off and padded as the model was trained; raises InvalidData for non-text."""
        for text in texts:
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise InvalidData(f"the text {text!r} holds half a character: give it in UTF-8") from error
        clean = [self._clean(text) for text in texts]
        if self._find is not None:
            rows = [self._marked(self._numbers(text)) for text in clean]
        else:
            rows = [encoding.ids for encoding in self._rows.encode_batch(clean)]
        table = np.array(rows, dtype=np.int64).reshape(len(texts), self.context)
        if (stripped := self.rules.get("stripped")) is not None:
            table[table == stripped] = 0
        return table

    def fits(self, text: str) -> bool:
        """Whether no part of the text is cut off."""
        clean = self._clean(text)
        length = len(self._whole.encode(clean).ids) if self._find is None else len(self._numbers(clean)) + 2
        return length <= self.context

    def _numbers(self, clean: str) -> list[int]:
        assert self._find is not None, "only OpenAI's way cuts the text into words beforehand"
        ids: list[int] = self._whole.encode(self._find(clean), is_pretokenized=True, add_special_tokens=False).ids
        return ids

    def _marked(self, numbers: list[int]) -> list[int]:
        row = [self.rules["start"], *numbers[: self.context - 2], self.rules["end"]]
        return row + [0] * (self.context - len(row))


def _basic(text: str) -> str:
    import ftfy

    return html.unescape(html.unescape(ftfy.fix_text(text))).strip()


def _whitespace(text: str) -> str:
    return " ".join(_basic(text).split())


def _lower(text: str) -> str:
    return _whitespace(text).lower()


def _canonicalize(text: str) -> str:
    return " ".join(_basic(text).replace("_", " ").translate(_NO_PUNCTUATION).lower().split())


CLEANERS: Mapping[str, Callable[[str], str]] = {
    "lower": _lower,
    "whitespace": _whitespace,
    "canonicalize": _canonicalize,
}
